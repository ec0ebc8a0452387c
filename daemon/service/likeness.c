#include "service/likeness.h"

#include "base/cleanup.h"

#include <sodium.h>
#include <string.h>

static void add_image(json_t *images, const char *image)
{
	size_t i = 0;
	const json_t *known = NULL;
	if (image == NULL || image[0] == '\0')
		return;
	json_array_foreach(images, i, known) {
		if (strcmp(json_string_value(known), image) == 0)
			return;
	}
	json_array_append_new(images, json_string(image));
}

json_t *likeness_images(const struct eval_plan *plan)
{
	json_t *images = json_array();
	if (plan->deployment != NULL)
		add_image(images, plan->deployment->image);
	for (size_t i = 0; i < plan->auxiliary_count; i++)
		add_image(images, plan->auxiliaries[i].image);
	for (size_t i = 0; i < plan->job_count; i++)
		add_image(images, plan->jobs[i].container);
	return images;
}

static int add_to_hash(const char *text, size_t size, void *state)
{
	return crypto_hash_sha256_update(state, (const unsigned char *)text, size);
}

void likeness_hash(const struct eval_plan *plan, char ret_hash[SECRET_HASH_SIZE])
{
	static const char *const parts[] = {"deployment", "auxiliary_deployments", "evaluation", "target", "env_vars"};
	CLEANUP(json_freep) json_t *all = json_object();
	unsigned char hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state state;
	json_object_set_new(all, "model", json_string(plan->model));
	json_object_set_new(all, "images", likeness_images(plan));
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		json_t *part = json_object_get(plan->resolved, parts[i]);
		if (part != NULL && !json_is_null(part))
			json_object_set(all, parts[i], part);
	}
	crypto_hash_sha256_init(&state);
	json_dump_callback(all, add_to_hash, &state, JSON_COMPACT | JSON_SORT_KEYS);
	crypto_hash_sha256_final(&state, hash);
	sodium_bin2hex(ret_hash, SECRET_HASH_SIZE, hash, sizeof hash);
}

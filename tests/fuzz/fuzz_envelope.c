/* api/envelope: the config is taken from the body byte for byte, and every refusal names a place. */
#include "api/v1/envelope.h"
#include "fuzz_submission.h"

static void check_errors(const json_t *errors)
{
	size_t i;
	const json_t *item;
	FUZZ_CHECK(json_array_size(errors) > 0);
	json_array_foreach(errors, i, item) {
		FUZZ_CHECK(json_is_string(json_object_get(item, "pointer")));
		FUZZ_CHECK(json_is_string(json_object_get(item, "message")));
	}
}

/* A config that is an object is the one that the body holds. */
static void check_config(const char *body, size_t size, const struct submission *s)
{
	CLEANUP(json_freep) json_t *root = json_loadb(body, size, JSON_REJECT_DUPLICATES, NULL);
	const json_t *config = json_object_get(root, "config");
	if (!json_is_object(config))
		return;
	CLEANUP(json_freep) json_t *taken = json_loadb(s->text, s->size, 0, NULL);
	FUZZ_CHECK(s->json && json_equal(config, taken));
	FUZZ_CHECK(s->line_offset >= 0 && s->column_offset >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nel_err err = {0};
	CLEANUP(submission_done) struct submission s = {0};
	CLEANUP(json_freep) json_t *errors = NULL;
	CLEANUP(mem_freep) char *body = size == 0 ? mem_strdup("") : mem_dup(data, size);
	if (envelope_parse(body, size, &s, &errors, &err) != 0) {
		fuzz_check_error(&err, NEL_INVALID);
		check_errors(errors);
		FUZZ_CHECK(s.text == NULL);
		return 0;
	}
	FUZZ_CHECK(errors == NULL && s.text != NULL && s.size <= size);
	fuzz_check_submission(&s);
	check_config(body, size, &s);
	return 0;
}

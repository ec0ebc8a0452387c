/* config/overrides and config/task_names: the first part of an input is a config in JSON, the others are overrides of
 * it, which are applied one after the other. */
#include "config/compose/overrides.h"
#include "config/compose/task_names.h"
#include "config/text/yaml_json.h"
#include "fuzz.h"

#define DEPTH_MAX 256 /* OVERRIDE_SEGMENTS_MAX, then a value of VALUE_DEPTH_MAX, in a config of jansson's own limit */

static void check_value(const json_t *value, int depth)
{
	const char *key;
	json_t *member;
	size_t i;
	FUZZ_CHECK(value != NULL && depth <= DEPTH_MAX);
	if (json_is_string(value))
		FUZZ_CHECK(strlen(json_string_value(value)) == json_string_length(value) &&
			   fuzz_is_utf8(json_string_value(value)));
	json_object_foreach((json_t *)value, key, member) {
		FUZZ_CHECK(fuzz_is_utf8(key));
		check_value(member, depth + 1);
	}
	json_array_foreach(value, i, member) {
		check_value(member, depth + 1);
	}
}

/* One that fails changes nothing; after one that does not, the config is still one. */
static void apply(json_t *config, struct override *o)
{
	struct nel_err err = {0};
	CLEANUP(json_freep) json_t *before = json_deep_copy(config);
	if (override_names_task(o) && task_names_resolve(config, o, &err) != 0) {
		fuzz_check_error(&err, NEL_INVALID);
		return;
	}
	FUZZ_CHECK(json_equal(config, before));
	if (override_apply(config, o, &err) != 0) {
		fuzz_check_error(&err, NEL_INVALID);
		FUZZ_CHECK(json_equal(config, before));
		return;
	}
	check_value(config, 0);
	if (o->op == OVERRIDE_FORCE || o->op == OVERRIDE_SET) {
		CLEANUP(json_freep) json_t *once = json_deep_copy(config);
		FUZZ_CHECK(override_apply(config, o, &err) == 0);
		FUZZ_CHECK(json_equal(config, once));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nel_err err = {0};
	CLEANUP(fuzz_parts_done) struct fuzz_parts parts = fuzz_split(data, size);
	CLEANUP(problems_done) struct problems problems = {0};
	CLEANUP(override_list_done) struct override_list list = {0};
	CLEANUP(json_freep) json_t *config = json_loadb(parts.texts[0], parts.sizes[0], 0, NULL);
	if (!json_is_object(config)) {
		json_decref(config);
		config = json_object();
	}
	size_t count = parts.count - 1;
	if (overrides_parse((const char *const *)parts.texts + 1, count, &list, &problems, &err) != 0) {
		fuzz_check_error(&err, NEL_INVALID);
		FUZZ_CHECK(count > OVERRIDES_MAX && problems.count == 1);
		return 0;
	}
	FUZZ_CHECK(list.count + problems.count == count || problems.count == PROBLEMS_MAX);
	fuzz_check_problems(&problems);
	for (size_t i = 0; i < list.count; i++) {
		FUZZ_CHECK(problems.count > 0 || list.items[i].text == parts.texts[i + 1]);
		FUZZ_CHECK(list.items[i].value != NULL || list.items[i].op == OVERRIDE_DELETE);
		if (list.items[i].value != NULL)
			check_value(list.items[i].value, 0);
		apply(config, &list.items[i]);
	}
	return 0;
}

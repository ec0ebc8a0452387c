/* config/yaml_json: what is read is plain JSON, and what is written reads back as the same value. */
#include "config/text/yaml_json.h"
#include "fuzz.h"

/* Every text can stand in a reply and in C; nothing is deeper or more than the limits say. */
static size_t check_value(const json_t *value, int depth)
{
	size_t count = 1;
	FUZZ_CHECK(value != NULL && depth <= YAML_DEPTH_MAX + 1);
	if (json_is_string(value)) {
		FUZZ_CHECK(strlen(json_string_value(value)) == json_string_length(value));
		FUZZ_CHECK(fuzz_is_utf8(json_string_value(value)));
	} else if (json_is_array(value)) {
		for (size_t i = 0; i < json_array_size(value); i++)
			count += check_value(json_array_get(value, i), depth + 1);
	} else if (json_is_object(value)) {
		const char *key;
		json_t *member;
		json_object_foreach((json_t *)value, key, member) {
			FUZZ_CHECK(fuzz_is_utf8(key));
			count += check_value(member, depth + 1);
		}
	}
	return count;
}

static json_t *parse(const char *text, size_t size, bool json)
{
	CLEANUP(problems_done) struct problems problems = {0};
	CLEANUP(source_map_freep) struct source_map *map = NULL;
	struct nel_err err = {0};
	json_t *value = NULL;
	int line = 0;
	int column = 0;
	if (yaml_json_parse(text, size, json, &value, &map, &problems, &err) != 0) {
		fuzz_check_error(&err, NEL_INVALID);
		FUZZ_CHECK(problems.count > 0 && value == NULL);
		fuzz_check_problems(&problems);
		return NULL;
	}
	FUZZ_CHECK(problems.count == 0);
	FUZZ_CHECK(check_value(value, 0) <= YAML_NODES_MAX);
	if (source_map_find(map, "/a/0", &line, &column))
		FUZZ_CHECK(line > 0 && column > 0);
	return value;
}

static void check_round_trip(const json_t *value)
{
	CLEANUP(mem_freep) char *text = yaml_json_emit(value);
	FUZZ_CHECK(fuzz_is_utf8(text));
	CLEANUP(json_freep) json_t *again = parse(text, strlen(text), false);
	if (again == NULL || !json_equal(value, again))
		fprintf(stderr, "written as:\n%s\n", text);
	FUZZ_CHECK(again != NULL && json_equal(value, again));
	CLEANUP(mem_freep) char *text_again = yaml_json_emit(again);
	FUZZ_CHECK(strcmp(text, text_again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(json_freep) json_t *yaml = parse((const char *)data, size, false);
	CLEANUP(json_freep) json_t *json = parse((const char *)data, size, true);
	if (yaml != NULL)
		check_round_trip(yaml);
	if (json != NULL)
		check_round_trip(json);
	return 0;
}

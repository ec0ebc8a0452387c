#include "config/compose/defaulted.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/compose/task_names.h"

#include <string.h>

struct search {
	char **named; /* what the overrides name: pointers */
	size_t count;
	json_t *found;
};

static bool lies_in(const char *pointer, const char *outer)
{
	size_t size = strlen(outer);
	return strncmp(pointer, outer, size) == 0 && (pointer[size] == '/' || pointer[size] == '\0');
}

/* By an override of this value or of one that it is in. */
static bool is_named(const struct search *s, const char *pointer)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->named[i][0] != '\0' && lies_in(pointer, s->named[i]))
			return true;
	return false;
}

static bool has_named(const struct search *s, const char *pointer)
{
	for (size_t i = 0; i < s->count; i++)
		if (lies_in(s->named[i], pointer))
			return true;
	return false;
}

static bool has_name(const json_t *one, const json_t *of)
{
	const char *name = json_string_value(json_object_get(of, "name"));
	const char *its = json_string_value(json_object_get(one, "name"));
	return name != NULL && its != NULL && strcmp(name, its) == 0;
}

/* Of the submitted array: the element at that place, or, where some were left out, the first of the same name. */
static const json_t *counterpart(const json_t *submitted, size_t index, const json_t *element)
{
	const json_t *same = json_array_get(submitted, index);
	if (has_name(same, element))
		return same;
	size_t i = 0;
	json_t *other = NULL;
	json_array_foreach(submitted, i, other)
		if (has_name(other, element))
			return other;
	return same;
}

/* As deep as configs are (config/text/limits.h). */
static void look(struct search *s, const char *pointer, const json_t *value,
		 const json_t *submitted) /* NOLINT(misc-no-recursion) */
{
	bool partly = has_named(s, pointer);
	if (is_named(s, pointer))
		return;
	if (json_is_object(value) && (json_is_object(submitted) || partly)) {
		const char *key = NULL;
		json_t *inner = NULL;
		json_object_foreach((json_t *)value, key, inner) {
			CLEANUP(str_done) struct str deeper = {0};
			str_append(&deeper, pointer);
			str_append_pointer(&deeper, key);
			look(s, str_text(&deeper), inner, json_object_get(submitted, key));
		}
	} else if (json_is_array(value) && (json_is_array(submitted) || partly)) {
		for (size_t i = 0; i < json_array_size(value); i++) {
			CLEANUP(str_done) struct str deeper = {0};
			str_append(&deeper, pointer);
			str_append_pointer_index(&deeper, i);
			const json_t *element = json_array_get(value, i);
			look(s, str_text(&deeper), element, counterpart(submitted, i, element));
		}
	} else if (submitted == NULL) {
		json_array_append_new(s->found, json_string(pointer));
	}
}

/* Not what chooses a group, "deployment=vllm": its values are the group's. */
static void add_named(struct search *s, const json_t *resolved, struct override *o)
{
	if (override_names_task(o))
		(void)task_names_resolve(resolved, o, NULL);
	CLEANUP(mem_freep) char *pointer = override_pointer(o->key);
	const char *key = pointer + (*pointer == '/');
	if (json_is_string(o->value) && json_is_object(json_object_get(resolved, key)))
		return;
	s->named = mem_realloc(s->named, s->count + 1, sizeof *s->named);
	s->named[s->count++] = TAKE(pointer);
}

json_t *defaulted_find(const json_t *resolved, const json_t *submitted, const char *const *overrides, size_t count)
{
	struct search s = {.found = json_array()};
	CLEANUP(override_list_done) struct override_list list = {0};
	CLEANUP(problems_done) struct problems problems = {0};
	if (overrides_parse(overrides, count, &list, &problems, NULL) == 0)
		for (size_t i = 0; i < list.count; i++)
			add_named(&s, resolved, &list.items[i]);
	look(&s, "", resolved, submitted);
	for (size_t i = 0; i < s.count; i++)
		free(s.named[i]);
	free(s.named);
	return s.found;
}

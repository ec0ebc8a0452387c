/* Task names in overrides, looked up in evaluation.tasks of the composed config. */
#include "config/compose/task_names.h"

#include "base/mem.h"
#include "base/str.h"

#include <string.h>

#define PREFIX "evaluation.tasks."

static const char *task_name(const json_t *tasks, size_t index)
{
	const char *name = json_string_value(json_object_get(json_array_get(tasks, index), "name"));
	return name == NULL ? "" : name;
}

static size_t count_named(const json_t *tasks, const char *name, size_t *ret_index)
{
	size_t found = 0;
	for (size_t i = json_array_size(tasks); i-- > 0;)
		if (strcmp(task_name(tasks, i), name) == 0) {
			*ret_index = i;
			found++;
		}
	return found;
}

/* The tasks whose name ends in ".name"; their names go into `names`. */
static size_t count_ending(const json_t *tasks, const char *name, size_t *ret_index, struct str *names)
{
	CLEANUP(mem_freep) char *suffix = mem_printf(".%s", name);
	size_t found = 0;
	for (size_t i = 0; i < json_array_size(tasks); i++)
		if (str_ends_with(task_name(tasks, i), suffix)) {
			str_appendf(names, "%s%s", found == 0 ? "" : ", ", task_name(tasks, i));
			*ret_index = i;
			found++;
		}
	return found;
}

static int not_found(const json_t *tasks, const char *name, struct nel_err *err)
{
	CLEANUP(str_done) struct str names = {0};
	for (size_t i = 0; i < json_array_size(tasks); i++)
		str_appendf(&names, "%s%s", i == 0 ? "" : ", ", task_name(tasks, i));
	return err_set(err, NEL_INVALID, "there is no task \"%s\"; the tasks are: %s", name,
		       names.len == 0 ? "none" : str_text(&names));
}

static int find_task(const json_t *tasks, const char *name, size_t *ret_index, struct nel_err *err)
{
	CLEANUP(str_done) struct str names = {0};
	size_t found = count_named(tasks, name, ret_index);
	if (found > 1)
		return err_set(err, NEL_INVALID,
			       "the task \"%s\" appears %zu times: name it by its index, " PREFIX "%zu", name, found,
			       *ret_index);
	if (found == 1)
		return 0;
	found = count_ending(tasks, name, ret_index, &names);
	if (found > 1)
		return err_set(err, NEL_INVALID, "\"%s\" matches several tasks: %s; write the whole name", name,
			       str_text(&names));
	return found == 1 ? 0 : not_found(tasks, name, err);
}

int task_names_resolve(const json_t *config, struct override *o, struct nel_err *err)
{
	const json_t *tasks = json_object_get(json_object_get(config, "evaluation"), "tasks");
	const char *rest = o->key + strlen(PREFIX);
	size_t one = strcspn(rest, ".");
	size_t two = rest[one] == '.' ? one + 1 + strcspn(rest + one + 1, ".") : one;
	CLEANUP(mem_freep) char *name = mem_strndup(rest, two);
	size_t index = 0;
	size_t taken = two;
	if (two == one || count_named(tasks, name, &index) == 0) {
		free(name);
		name = mem_strndup(rest, one);
		taken = one;
	}
	if (find_task(tasks, name, &index, err) != 0)
		return -1;
	char *key = mem_printf(PREFIX "%zu%s", index, rest + taken);
	free(o->key);
	o->key = key;
	return 0;
}

static bool is_named(const json_t *tasks, size_t index, const char *name)
{
	CLEANUP(mem_freep) char *unique = mem_printf("%s.%zu", task_name(tasks, index), index);
	return strcmp(task_name(tasks, index), name) == 0 || strcmp(unique, name) == 0;
}

int task_names_select(json_t *config, const char *const *names, size_t count, struct source_map *map,
		      struct nel_err *err)
{
	json_t *evaluation = json_object_get(config, "evaluation");
	const json_t *tasks = json_object_get(evaluation, "tasks");
	size_t size = json_array_size(tasks);
	CLEANUP(mem_freep) bool *wanted = mem_calloc(size + 1, sizeof *wanted);
	CLEANUP(mem_freep) int *new_index = mem_calloc(size + 1, sizeof *new_index);
	for (size_t i = 0; i < count; i++) {
		bool found = false;
		for (size_t k = 0; k < size; k++) {
			bool named = is_named(tasks, k, names[i]);
			wanted[k] = wanted[k] || named;
			found = found || named;
		}
		if (!found)
			return not_found(tasks, names[i], err);
	}
	json_t *kept = json_array();
	for (size_t k = 0; k < size; k++) {
		new_index[k] = wanted[k] ? (int)json_array_size(kept) : -1;
		if (wanted[k])
			json_array_append(kept, json_array_get(tasks, k));
	}
	json_object_set_new(evaluation, "tasks", kept);
	source_map_renumber(map, "/evaluation/tasks", new_index, size);
	return 0;
}

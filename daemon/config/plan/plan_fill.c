/* What is written into the resolved config after interpolation, so that the plan can be made again from it alone: older
 * keys under their new names, null for mandatory values that nothing needs, and each task's container, endpoint type
 * and evaluator type out of the catalogue. */
#include "config/plan/plan_parts.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/plan/evaluator_config.h"

#include <string.h>
#include <strings.h>

#define PATH(...) ((const char *const[]){__VA_ARGS__, NULL})

static json_t *get_or_add(json_t *object, const char *key)
{
	if (reader_get(object, key) == NULL)
		json_object_set_new(object, key, json_object());
	return json_object_get(object, key);
}

static const char *type_of(const json_t *server)
{
	const char *type = json_string_value(json_object_get(server, "type"));
	return type == NULL ? "" : type;
}

static void move_legacy(const struct reader *r, json_t *root, const char *key, const char *name, const char *prefix)
{
	CLEANUP(json_freep) json_t *old = json_incref(json_object_get(root, key));
	if (old == NULL)
		return;
	json_object_del(root, key);
	if (!json_is_object(old) || *type_of(old) == '\0' || strcmp(type_of(old), "none") == 0)
		return;
	CLEANUP(mem_freep) char *pointer = reader_join("", key);
	json_t *auxiliaries = get_or_add(root, "auxiliary_deployments");
	if (reader_get(auxiliaries, name) != NULL) {
		reader_warn(r, pointer, "%s is not read: auxiliary_deployments.%s is there, too", key, name);
		return;
	}
	reader_warn(r, pointer, "%s is an old name: write auxiliary_deployments.%s", key, name);
	json_object_set_new(old, "env_prefix", json_string(prefix));
	json_object_set(auxiliaries, name, old);
	json_t *mounts = json_object_get(json_object_get(root, "execution"), "mounts");
	json_t *own = json_object_get(mounts, key);
	if (own != NULL && json_object_set(get_or_add(mounts, "auxiliary"), name, own) == 0)
		json_object_del(mounts, key);
}

void plan_fill_legacy(const struct reader *r, json_t *root)
{
	move_legacy(r, root, "judge_deployment", "judge", "JUDGE");
	move_legacy(r, root, "user_deployment", "user", "USER");
}

static bool has_destinations(const json_t *root)
{
	const json_t *given = reader_get(json_object_get(root, "execution"), "auto_export");
	const json_t *names = json_is_object(given) ? reader_get(given, "destinations") : given;
	return json_is_string(names) || json_array_size(names) != 0;
}

/* A model comes from checkpoint_path or from hf_model_handle: with one set, the other may be missing. */
static bool is_other_source(const json_t *server, const char *key)
{
	if (strcmp(key, "checkpoint_path") == 0)
		return reader_get(server, "hf_model_handle") != NULL;
	return strcmp(key, "hf_model_handle") == 0 && reader_get(server, "checkpoint_path") != NULL;
}

/* Keys of our groups that the launcher's have not, so that ${oc.select:execution.gpus_per_node,8} gives its default
 * there: our groups say that they are missing, which does the same and lets overrides set them. A submitted text that
 * says so itself wants them. */
static bool is_optional(const struct reader *r, const char *pointer, const json_t *parent, const char *key)
{
	static const char *const optional[] = {"/execution/gpus_per_node", "/execution/evaluation_gpu_visible", NULL};
	return (str_in(pointer, optional) || (strcmp(key, "hf_model_handle") == 0 && *type_of(parent) != '\0')) &&
	       !source_map_has(r->map, pointer);
}

/* Does anything read the value at pointer (the member key of parent)? */
static bool is_used(const struct reader *r, const json_t *root, const char *pointer, const json_t *parent,
		    const char *key)
{
	const json_t *deployment = json_object_get(root, "deployment");
	bool none = strcmp(type_of(deployment), "none") == 0;
	if (strcmp(pointer, "/execution/hostname") == 0)
		return reader_get(parent, "cluster") == NULL;
	if (strcmp(pointer, "/execution/cluster") == 0 || is_optional(r, pointer, parent, key))
		return false;
	if (str_starts_with(pointer, "/target/"))
		return none;
	if (str_starts_with(pointer, "/deployment/"))
		return !none && !(parent == deployment && is_other_source(parent, key));
	if (str_starts_with(pointer, "/export/") || str_starts_with(pointer, "/execution/auto_export/"))
		return has_destinations(root);
	if (str_starts_with(pointer, "/auxiliary_deployments/")) {
		const char *name = pointer + strlen("/auxiliary_deployments/");
		CLEANUP(mem_freep) char *plain = mem_strndup(name, strcspn(name, "/"));
		const json_t *server = json_object_get(json_object_get(root, "auxiliary_deployments"), plain);
		return strcmp(type_of(server), "none") != 0 && !(parent == server && is_other_source(parent, key));
	}
	return true;
}

static bool walk_missing(const struct reader *r, json_t *root, const json_t *composed, json_t *resolved,
			 const struct reader_step *at);

/* Of the value at a place: true when it is missing and wanted, or something in it is. */
static bool look_for_missing(const struct reader *r, json_t *root, const json_t *composed, json_t *parent,
			     json_t *resolved, const struct reader_step *at)
{
	if (!reader_is_missing(composed))
		return walk_missing(r, root, composed, resolved, at);
	CLEANUP(mem_freep) char *pointer = reader_pointer(at);
	if (at->key == NULL || is_used(r, root, pointer, parent, at->key)) {
		reader_missing(r, pointer);
		return true;
	}
	if (json_is_object(parent))
		json_object_set_new(parent, at->key, json_null());
	return false;
}

/* Walks composed and the resolved value beside it; true when something is missing. */
static bool walk_missing(const struct reader *r, json_t *root, const json_t *composed, json_t *resolved,
			 const struct reader_step *at)
{
	bool missing = false;
	const char *key;
	json_t *member;
	size_t i;
	json_object_foreach((json_t *)composed, key, member) {
		const struct reader_step step = {.parent = at, .key = key};
		missing |= look_for_missing(r, root, member, resolved, json_object_get(resolved, key), &step);
	}
	json_array_foreach((json_t *)composed, i, member) {
		const struct reader_step step = {.parent = at, .index = i};
		missing |= look_for_missing(r, root, member, resolved, json_array_get(resolved, i), &step);
	}
	return missing;
}

void plan_fill_missing(const struct reader *r, const json_t *composed, json_t *root)
{
	/* What refers to a missing value is missing, too; that is only worth saying when nothing else was. */
	if (!walk_missing(r, root, composed, root, NULL))
		(void)walk_missing(r, root, root, root, NULL);
}

/* Several harnesses have a task of this name: an error that lists them. */
static void report_ambiguous(const struct reader *r, const struct catalogue *catalogue, const char *name,
			     const char *pointer)
{
	struct str choices = {0};
	for (size_t i = 0; i < catalogue_count(catalogue); i++) {
		const struct catalogue_task *row = catalogue_at(catalogue, i);
		if (strcmp(row->task, name) == 0)
			str_appendf(&choices, "%s%s.%s", choices.len == 0 ? "" : ", ", row->harness, row->task);
	}
	reader_error(r, pointer, "Several harnesses have a task '%s': name one of %s", name, str_text(&choices));
	str_done(&choices);
}

/* Images that are files are always permitted: whoever can put them there can run them. */
static bool is_file_image(const char *container)
{
	return container[0] == '/' || str_ends_with(container, ".sqsh");
}

/* The listed task whose name is nearest to that, in the harness (NULL: in any); case does not count. */
static const char *nearest_task(const struct catalogue *catalogue, const char *name, const char *harness)
{
	size_t count = 0;
	CLEANUP(mem_freep) const char **names = mem_calloc(catalogue_count(catalogue) + 1, sizeof *names);
	for (size_t i = 0; i < catalogue_count(catalogue); i++) {
		const struct catalogue_task *row = catalogue_at(catalogue, i);
		if (strcasecmp(row->task, name) == 0 && (harness == NULL || strcmp(row->harness, harness) == 0))
			return row->task;
		if (harness == NULL || strcmp(row->harness, harness) == 0)
			names[count++] = row->task;
	}
	return str_nearest(name, names, count);
}

/* "; did you mean 'a.b'?" for a task that is not listed, with every harness that has the task that may be meant; or
 * where all tasks are listed. harness: the known one that the name begins with, or NULL. */
static char *make_hint(const struct catalogue *catalogue, const char *name, const char *harness)
{
	const char *dot = strchr(name, '.');
	const char *near = nearest_task(catalogue, dot == NULL ? name : dot + 1, harness);
	if (near == NULL)
		return mem_strdup("; GET /v1/tasks lists those that are");
	struct str choices = {0};
	size_t count = 0;
	for (size_t i = 0; i < catalogue_count(catalogue); i++) {
		const struct catalogue_task *row = catalogue_at(catalogue, i);
		if (strcmp(row->task, near) == 0 && (harness == NULL || strcmp(row->harness, harness) == 0))
			str_appendf(&choices, "%s'%s.%s'", count++ > 0 ? ", " : "", row->harness, near);
	}
	char *hint = dot == NULL && count == 1
			 ? mem_printf("; did you mean '%s'?", near)
			 : mem_printf("; did you mean %s%s?", count > 1 ? "one of " : "", str_text(&choices));
	str_done(&choices);
	return hint;
}

/* row: some task of the known harness that the name begins with, or NULL. */
static void check_unlisted(const struct reader *r, const struct catalogue *catalogue, const char *name,
			   const struct catalogue_task *row, const char *container, bool allow, const char *pointer)
{
	const char *harness = row == NULL ? NULL : row->harness;
	const char *image = container == NULL && row != NULL ? row->container : container;
	bool permitted = image != NULL && (allow || is_file_image(image));
	if ((permitted && image == container) || !reader_has_room(permitted ? r->warnings : r->errors))
		return;
	CLEANUP(mem_freep) char *hint = make_hint(catalogue, name, harness);
	if (permitted)
		reader_warn(r, pointer, "Task '%s' is not in the catalogue; the image of %s is taken for it%s", name,
			    harness, hint);
	else if (image == NULL)
		reader_error(r, pointer, "Unknown task '%s': a task that is not in the catalogue needs a container%s",
			     name, hint);
	else
		reader_error(
		    r, pointer,
		    "Task '%s' is not in the catalogue, and this service's settings do not permit you such tasks "
		    "(allow.unlisted_tasks)%s",
		    name, hint);
}

static void set_evaluator_type(json_t *task, const json_t *evaluation, const char *type)
{
	if (evaluator_config_given(evaluation, task, PATH("config", "type")) != NULL)
		return;
	json_t *own = get_or_add(task, "nemo_evaluator_config");
	json_t *config = json_is_object(own) ? get_or_add(own, "config") : NULL;
	if (json_is_object(config))
		json_object_set_new(config, "type", json_string(type));
}

static void fill_from(json_t *task, const json_t *evaluation, const char *name, const struct catalogue_task *row,
		      bool listed)
{
	if (reader_get(task, "container") == NULL)
		json_object_set_new(task, "container", json_string(row->container));
	if (listed && reader_get(task, "endpoint_type") == NULL)
		json_object_set_new(task, "endpoint_type", json_string(row->endpoint_types[0]));
	if (listed && strcmp(name, row->task) != 0)
		set_evaluator_type(task, evaluation, row->task);
}

static bool is_row(const struct catalogue_task *row, const char *name)
{
	size_t size = strlen(row->harness);
	return strcmp(row->task, name) == 0 ||
	       (strncmp(name, row->harness, size) == 0 && name[size] == '.' && strcmp(name + size + 1, row->task) == 0);
}

/* What the catalogue says of a task in an image of its own; *ret_harness: whose image it is, NULL for a foreign one. */
static const struct catalogue_task *find_in_image(const struct catalogue *catalogue, const char *name,
						  const char *container, const char **ret_harness)
{
	*ret_harness = NULL;
	for (size_t i = 0; i < catalogue_count(catalogue); i++) {
		const struct catalogue_task *row = catalogue_at(catalogue, i);
		if (strcmp(row->container, container) != 0)
			continue;
		*ret_harness = row->harness;
		if (is_row(row, name))
			return row;
	}
	return NULL;
}

/* A task in an image of which the catalogue says nothing. harness: whose image it is as far as the catalogue knows. */
static void check_own_image(const struct reader *r, const json_t *task, const struct catalogue *catalogue,
			    const char *container, const char *harness, bool allow_unlisted, const char *pointer)
{
	const char *name = json_string_value(reader_get(task, "name"));
	const char *dot = strchr(name, '.');
	const struct catalogue_task *row = NULL;
	enum catalogue_match match = catalogue_find(catalogue, name, &row);
	if (match == CATALOGUE_UNKNOWN || match == CATALOGUE_HARNESS_KNOWN)
		check_unlisted(r, catalogue, name, row, container, allow_unlisted, pointer);
	else if (reader_get(task, "endpoint_type") == NULL && strcmp(row->endpoint_types[0], "chat") != 0)
		reader_warn(
		    r, pointer,
		    "The catalogue knows '%s' in the image %s only: in %s the endpoint type is taken to be chat; "
		    "set endpoint_type if it is %s",
		    name, row->container, container, row->endpoint_types[0]);
	if (harness != NULL && dot != NULL &&
	    (strlen(harness) != (size_t)(dot - name) || strncmp(name, harness, (size_t)(dot - name)) != 0))
		reader_warn(r, pointer, "'%s' does not fit its image %s, which has the tasks of %s", name, container,
			    harness);
}

/* The row of the catalogue that fills in a task in the catalogue's own image or in none. */
static const struct catalogue_task *find_row(const struct reader *r, json_t *task, const json_t *evaluation,
					     const struct catalogue *catalogue, bool allow_unlisted,
					     const char *pointer)
{
	const char *name = json_string_value(reader_get(task, "name"));
	const char *container = json_string_value(reader_get(task, "container"));
	const struct catalogue_task *row = NULL;
	if (container != NULL) {
		const char *harness = NULL;
		row = find_in_image(catalogue, name, container, &harness);
		if (row == NULL)
			check_own_image(r, task, catalogue, container, harness, allow_unlisted, pointer);
		return row;
	}
	switch (catalogue_find(catalogue, name, &row)) {
	case CATALOGUE_FOUND: return row;
	case CATALOGUE_AMBIGUOUS: report_ambiguous(r, catalogue, name, pointer); break;
	case CATALOGUE_HARNESS_KNOWN:
		check_unlisted(r, catalogue, name, row, NULL, allow_unlisted, pointer);
		fill_from(task, evaluation, name, row, false);
		break;
	case CATALOGUE_UNKNOWN: check_unlisted(r, catalogue, name, NULL, NULL, allow_unlisted, pointer); break;
	}
	return NULL;
}

static void fill_task(const struct reader *r, json_t *task, const json_t *evaluation, const struct catalogue *catalogue,
		      bool allow_unlisted, const char *pointer)
{
	const char *name = json_string_value(reader_get(task, "name"));
	if (name == NULL || (reader_get(task, "container") != NULL && !json_is_string(reader_get(task, "container"))))
		return; /* plan_tasks() complains */
	const struct catalogue_task *row = find_row(r, task, evaluation, catalogue, allow_unlisted, pointer);
	if (row != NULL)
		fill_from(task, evaluation, name, row, true);
	if (reader_get(task, "endpoint_type") == NULL)
		json_object_set_new(task, "endpoint_type", json_string("chat"));
}

void plan_fill_tasks(const struct reader *r, json_t *root, const struct catalogue *catalogue, bool allow_unlisted)
{
	const json_t *evaluation = json_object_get(root, "evaluation");
	const json_t *tasks = json_object_get(evaluation, "tasks");
	size_t i;
	json_t *task;
	if (json_array_size(tasks) > EVAL_JOBS_MAX)
		return;
	json_array_foreach((json_t *)tasks, i, task) {
		CLEANUP(mem_freep) char *base = reader_join_index("/evaluation/tasks", i);
		CLEANUP(mem_freep) char *pointer = reader_join(base, "name");
		if (json_is_object(task))
			fill_task(r, task, evaluation, catalogue, allow_unlisted, pointer);
	}
}

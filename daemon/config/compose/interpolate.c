/* Interpolation. An index knows the parent of each of the config's containers and interpolated strings, so that
 * relative keys and error places can be told; each string is resolved once and its value kept. */
#include "config/compose/interpolate.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/compose/resolvers.h"
#include "config/text/tree.h"
#include "config/text/value_grammar.h"

#include <string.h>
#include <uthash.h>

/* References can multiply what they refer to; these bound the result. */
#define INTERPOLATE_NODES_MAX 120000 /* by tree_weight() */
#define INTERPOLATE_BYTES_MAX (4 * 1024 * 1024)
#define INTERPOLATE_DEPTH_MAX 200 /* containers and references within each other */
#define KEYS_MAX 256              /* candidates for a suggestion */

enum node_state { NODE_NEW, NODE_OPEN, NODE_DONE, NODE_FAILED };

/* A container or an interpolated string of the config. */
struct node {
	UT_hash_handle hh;
	const json_t *json; /* the table's key */
	struct node *parent;
	const char *key; /* in an object; NULL: `index` in an array */
	size_t index;
	enum node_state state;
	json_t *value;       /* when done */
	struct node *opener; /* the string whose resolving led here, while open */
};

struct context {
	const struct interpolate_env *env;
	const struct source_map *map;
	json_t *root; /* borrowed; it is not changed */
	struct node *nodes;
	struct node *current; /* the string being resolved */
	size_t made_nodes;
	size_t made_bytes;
	size_t created; /* bytes, by oc.create */
	int depth;
	struct problems *problems;
	struct nel_err *err;
	bool failed;
};

static json_t *resolve_text(struct context *c, const char *text, struct nel_err *err);
static json_t *resolve_value(struct context *c, json_t *json, struct nel_err *err);

static bool has_interpolation(const json_t *value)
{
	return json_is_string(value) && strstr(json_string_value(value), "${") != NULL;
}

/* Children are added by loops over the levels that JSON nesting allows (bounded by the parser and by packages). */
static void index_value(struct context *c, const json_t *value, struct node *parent, const char *key, size_t index)
{
	if (!json_is_object(value) && !json_is_array(value) && !has_interpolation(value))
		return;
	struct node *node = mem_calloc(1, sizeof *node);
	*node = (struct node){.json = value, .parent = parent, .key = key, .index = index};
	HASH_ADD_PTR(c->nodes, json, node);
	const char *child_key = NULL;
	size_t child_index = 0;
	json_t *child = NULL;
	json_object_foreach((json_t *)value, child_key, child)
		index_value(c, child, node, child_key, 0);
	json_array_foreach(value, child_index, child)
		index_value(c, child, node, NULL, child_index);
}

static struct node *find_node(struct context *c, const json_t *json)
{
	struct node *node = NULL;
	HASH_FIND_PTR(c->nodes, &json, node);
	return node;
}

static void append_pointer(struct str *out, const struct node *node)
{
	if (node->parent == NULL)
		return;
	append_pointer(out, node->parent);
	if (node->key == NULL)
		str_append_pointer_index(out, node->index);
	else
		str_append_pointer(out, node->key);
}

static void append_dotted(struct str *out, const struct node *node)
{
	if (node->parent == NULL)
		return;
	append_dotted(out, node->parent);
	if (node->key == NULL)
		str_appendf(out, "[%zu]", node->index);
	else
		str_appendf(out, "%s%s", out->len == 0 ? "" : ".", node->key);
}

static void report(struct context *c, const struct node *node, const char *message)
{
	CLEANUP(str_done) struct str pointer = {0};
	int line = 0;
	int column = 0;
	append_pointer(&pointer, node);
	source_map_find(c->map, str_text(&pointer), &line, &column);
	problems_add(c->problems, str_text(&pointer), line, column, "%s", message);
	if (!c->failed)
		err_set(c->err, NEL_INVALID, "%s", message);
	c->failed = true;
}

/* An error that is reported at another string already: an empty message. */
static json_t *failed_elsewhere(struct nel_err *err)
{
	err_set(err, NEL_INVALID, "%s", "");
	return NULL;
}

static int spend(struct context *c, size_t nodes, size_t bytes, struct nel_err *err)
{
	c->made_nodes += nodes;
	c->made_bytes += bytes;
	if (c->made_nodes > INTERPOLATE_NODES_MAX || c->made_bytes > INTERPOLATE_BYTES_MAX)
		return err_set(err, NEL_INVALID,
			       "interpolations make the config too large (limits: %d values, %d bytes)",
			       INTERPOLATE_NODES_MAX, INTERPOLATE_BYTES_MAX);
	return 0;
}

static int enter(struct context *c, struct nel_err *err)
{
	if (++c->depth > INTERPOLATE_DEPTH_MAX)
		return err_set(err, NEL_INVALID, "interpolations lead through more than %d levels",
			       INTERPOLATE_DEPTH_MAX);
	return 0;
}

static json_t *copy(struct context *c, const json_t *value, struct nel_err *err);

static json_t *copy_container(struct context *c, const json_t *value, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *made = json_is_object(value) ? json_object() : json_array();
	const char *key = NULL;
	size_t index = 0;
	json_t *child = NULL;
	json_object_foreach((json_t *)value, key, child) {
		json_t *member = copy(c, child, err);
		if (member == NULL)
			return NULL;
		json_object_set_new_nocheck(made, key, member);
	}
	json_array_foreach(value, index, child) {
		json_t *item = copy(c, child, err);
		if (item == NULL)
			return NULL;
		json_array_append_new(made, item);
	}
	return TAKE(made);
}

/* A copy of a resolved value, paid for; scalars are shared. */
static json_t *copy(struct context *c, const json_t *value, struct nel_err *err)
{
	json_t *made = NULL;
	if (enter(c, err) == 0 && spend(c, json_is_real(value) ? TREE_REAL : 1,
					json_is_string(value) ? json_string_length(value) : 0, err) == 0)
		made = json_is_object(value) || json_is_array(value) ? copy_container(c, value, err)
								     : json_incref((json_t *)value);
	c->depth--;
	return made;
}

/* "a.b -> c -> a.b", from the string that was reached again. */
static void report_cycle(struct context *c, struct node *node)
{
	CLEANUP(str_done) struct str text = {0};
	CLEANUP(str_done) struct str first = {0};
	append_dotted(&first, node);
	for (struct node *n = c->current; n != NULL; n = n == node ? NULL : n->opener) {
		CLEANUP(str_done) struct str before = {0};
		append_dotted(&before, n);
		str_appendf(&before, " -> %s", text.len == 0 ? str_text(&first) : str_text(&text));
		str_clear(&text);
		str_append(&text, str_text(&before));
	}
	str_clear(&first);
	str_appendf(&first, "the references go round in a circle: %s", str_text(&text));
	report(c, node, str_text(&first));
}

/* The value of an interpolated string: borrowed, kept with its node. */
static const json_t *resolve_node(struct context *c, struct node *node, struct nel_err *err)
{
	if (node->state == NODE_OPEN) {
		report_cycle(c, node);
		failed_elsewhere(err);
		return NULL;
	}
	if (node->state == NODE_FAILED || c->problems->count >= PROBLEMS_MAX) {
		failed_elsewhere(err); /* when the list is full, no more is looked for */
		return NULL;
	}
	if (node->state != NODE_NEW)
		return node->value;
	node->state = NODE_OPEN;
	node->opener = c->current;
	c->current = node;
	struct nel_err own = {0};
	node->value = resolve_text(c, json_string_value(node->json), &own);
	c->current = node->opener;
	node->state = node->value == NULL ? NODE_FAILED : NODE_DONE;
	if (node->value == NULL) {
		if (own.msg[0] != '\0')
			report(c, node, own.msg);
		failed_elsewhere(err);
	}
	return node->value;
}

static json_t *resolve_container(struct context *c, json_t *json, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *made = json_is_object(json) ? json_object() : json_array();
	const char *key = NULL;
	size_t index = 0;
	json_t *child = NULL;
	bool ok = true;
	json_object_foreach(json, key, child) {
		json_t *member = resolve_value(c, child, err);
		ok = ok && member != NULL;
		if (member != NULL)
			json_object_set_new_nocheck(made, key, member);
	}
	json_array_foreach(json, index, child) {
		json_t *item = resolve_value(c, child, err);
		ok = ok && item != NULL;
		if (item != NULL)
			json_array_append_new(made, item);
	}
	return ok ? TAKE(made) : NULL;
}

/* A value of the config with everything in it resolved: a new value. */
static json_t *resolve_value(struct context *c, json_t *json, struct nel_err *err)
{
	json_t *made = NULL;
	if (enter(c, err) == 0) {
		if (has_interpolation(json)) {
			const json_t *value = resolve_node(c, find_node(c, json), err);
			made = value == NULL ? NULL : copy(c, value, err);
		} else if (json_is_object(json) || json_is_array(json)) {
			made = spend(c, 1, 0, err) == 0 ? resolve_container(c, json, err) : NULL;
		} else {
			made = copy(c, json, err);
		}
	}
	c->depth--;
	return made;
}

/* Takes the next part of a key (".name", "name", "[name]") from *p; false when there is none or it is wrong. */
static bool next_part(const char **p, char **ret_part)
{
	const char *start = *p + (**p == '.' || **p == '[');
	bool bracket = **p == '[';
	size_t size = strcspn(start, bracket ? "]" : ".[");
	if (size == 0 || (bracket && start[size] != ']'))
		return false;
	*ret_part = mem_strndup(start, size);
	*p = start + size + bracket;
	return true;
}

static json_t *child_of(const json_t *parent, const char *part)
{
	long long index = 0;
	long long size = (long long)json_array_size(parent);
	if (json_is_object(parent))
		return json_object_get(parent, part);
	if (!json_is_array(parent) || !str_to_int(part, 0, size - 1, &index))
		return NULL;
	return json_array_get(parent, (size_t)index);
}

/* Where a key starts to be looked up: the root, or, for a relative key, a container above the current string. */
static json_t *start_of(struct context *c, const char **key)
{
	struct node *node = c->current;
	if (**key != '.')
		return c->root;
	for (; **key == '.' && node != NULL; (*key)++)
		node = node->parent;
	return node == NULL ? NULL : (json_t *)node->json;
}

/* A walk along a key. */
struct walk {
	json_t *at;       /* borrowed from the config, or from `held` */
	json_t *held;     /* a resolved value that the walk went into */
	json_t *stopped;  /* where a part was not found: borrowed */
	char *stopped_at; /* the part that was not found */
};

static void walk_done(struct walk *w)
{
	json_decref(w->held);
	free(w->stopped_at);
}

static enum resolver_lookup walk_key(struct context *c, const char *key, struct walk *w, struct nel_err *err)
{
	const char *p = key;
	w->at = start_of(c, &p);
	while (w->at != NULL && *p != '\0') {
		CLEANUP(mem_freep) char *part = NULL;
		if (!next_part(&p, &part)) {
			err_set(err, NEL_INVALID, "\"%s\" is not a key", key);
			return LOOKUP_FAILED;
		}
		if (w->held == NULL && has_interpolation(w->at)) {
			w->held = resolve_value(c, w->at, err);
			w->at = w->held;
			if (w->at == NULL)
				return LOOKUP_FAILED;
		}
		if (json_is_string(w->at) && strcmp(json_string_value(w->at), "???") == 0)
			return LOOKUP_FOUND; /* what is missing is reported as such */
		json_t *next = child_of(w->at, part);
		if (next == NULL) {
			w->stopped = w->at;
			w->stopped_at = TAKE(part);
		}
		w->at = next;
	}
	return w->at == NULL ? LOOKUP_ABSENT : LOOKUP_FOUND;
}

static enum resolver_lookup finish_walk(struct context *c, struct walk *w, json_t **ret_value, struct nel_err *err)
{
	*ret_value = w->held == NULL ? resolve_value(c, w->at, err) : copy(c, w->at, err);
	return *ret_value == NULL ? LOOKUP_FAILED : LOOKUP_FOUND;
}

static enum resolver_lookup lookup(const char *key, void *arg, json_t **ret_value, struct nel_err *err)
{
	struct context *c = arg;
	CLEANUP(walk_done) struct walk w = {0};
	enum resolver_lookup found = walk_key(c, key, &w, err);
	return found == LOOKUP_FOUND ? finish_walk(c, &w, ret_value, err) : found;
}

static json_t *unknown_key(const char *key, const struct walk *w, struct nel_err *err)
{
	const char *keys[KEYS_MAX] = {NULL};
	size_t count = 0;
	const char *member = NULL;
	json_t *value = NULL;
	json_object_foreach(w->stopped, member, value) {
		if (count < KEYS_MAX)
			keys[count++] = member;
	}
	const char *nearest = w->stopped_at == NULL ? NULL : str_nearest(w->stopped_at, keys, count);
	bool shell = key[strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] == '\0';
	if (nearest != NULL)
		err_set(err, NEL_INVALID, "${%s}: there is no such key (did you mean %s?)", key, nearest);
	else if (shell)
		err_set(err, NEL_INVALID, "${%s}: there is no such key; for a shell variable write $%s or \\${%s}", key,
			key, key);
	else
		err_set(err, NEL_INVALID, "${%s}: there is no such key", key);
	return NULL;
}

static json_t *resolve_reference(struct context *c, const char *key, struct nel_err *err)
{
	CLEANUP(walk_done) struct walk w = {0};
	json_t *value = NULL;
	enum resolver_lookup found = walk_key(c, key, &w, err);
	if (found == LOOKUP_FAILED)
		return NULL;
	if (found == LOOKUP_FOUND)
		return finish_walk(c, &w, &value, err) == LOOKUP_FOUND ? value : NULL;
	if (c->env->keep != NULL && c->env->keep(key, c->env->keep_arg)) {
		CLEANUP(mem_freep) char *kept = mem_printf("${%s}", key);
		return json_string(kept);
	}
	return unknown_key(key, &w, err);
}

static json_t *resolve_interpolation(const char *text, size_t size, void *arg, struct nel_err *err);

static void call_done(struct resolver_call *call)
{
	for (size_t i = 0; i < call->count; i++)
		json_decref(call->args[i].value);
}

static json_t *resolve_call(struct context *c, const char *name, const char *args, struct nel_err *err)
{
	CLEANUP(call_done)
	struct resolver_call call = {.name = name, .env = c->env, .created = &c->created, .lookup = lookup, .arg = c};
	struct value_scan scan = {
	    .at = args, .end = args + strlen(args), .interpolation = resolve_interpolation, .arg = c};
	while (args[strspn(args, " \t")] != '\0') {
		bool quoted = false;
		if (call.count == RESOLVER_ARGS_MAX) {
			err_set(err, NEL_INVALID, "more than %d arguments", RESOLVER_ARGS_MAX);
			return NULL;
		}
		json_t *value = value_element(&scan, &quoted, err);
		if (value == NULL)
			return NULL;
		call.args[call.count++] = (struct resolver_arg){value, quoted};
		if (scan.at == scan.end)
			break;
		if (*scan.at++ != ',') {
			err_set(err, NEL_INVALID, "the arguments of %s cannot be read at \"%s\"", name, scan.at - 1);
			return NULL;
		}
	}
	return resolver_run(&call, err);
}

/* Replaces the interpolations within a key or a name by their texts; args of resolvers are left to value_element(). */
static char *expand_inner(struct context *c, const char *text, size_t size, struct nel_err *err)
{
	CLEANUP(str_done) struct str out = {0};
	const char *end = text + size;
	for (const char *p = text; p < end;) {
		if (!str_starts_with(p, "${")) {
			str_append_c(&out, *p++);
			continue;
		}
		const char *inner_end = value_interpolation_end(p, end);
		CLEANUP(json_freep)
		json_t *value = inner_end == NULL ? NULL : resolve_interpolation(p, (size_t)(inner_end - p), c, err);
		if (inner_end == NULL)
			err_set(err, NEL_INVALID,
				"an interpolation has no end (} is missing, or more than %d are open)",
				INTERPOLATION_BRACES_MAX);
		if (value == NULL)
			return NULL;
		CLEANUP(mem_freep) char *value_text = value_to_text(value);
		str_append(&out, value_text);
		p = inner_end;
	}
	return str_take(&out);
}

/* The first ':' that is not inside an inner interpolation: it parts a resolver's name from its arguments. */
static const char *find_colon(const char *text)
{
	const char *end = text + strlen(text);
	for (const char *p = text; p < end;) {
		const char *inner_end = str_starts_with(p, "${") ? value_interpolation_end(p, end) : NULL;
		if (*p == ':')
			return p;
		p = inner_end == NULL ? p + 1 : inner_end;
	}
	return NULL;
}

static char *trimmed(const char *text, size_t size)
{
	while (size > 0 && strchr(" \t\n", text[size - 1]) != NULL)
		size--;
	while (size > 0 && strchr(" \t\n", *text) != NULL) {
		text++;
		size--;
	}
	return mem_strndup(text, size);
}

/* The value of one "${...}" of size bytes. */
static json_t *resolve_interpolation(const char *text, size_t size, void *arg, struct nel_err *err)
{
	struct context *c = arg;
	json_t *value = NULL;
	CLEANUP(mem_freep) char *content = trimmed(text + 2, size - 3);
	const char *colon = find_colon(content);
	if (enter(c, err) == 0) {
		CLEANUP(mem_freep)
		char *name = expand_inner(c, content, colon == NULL ? strlen(content) : (size_t)(colon - content), err);
		if (name != NULL && *name == '\0')
			err_set(err, NEL_INVALID, "${} has no key");
		else if (name != NULL)
			value = colon == NULL ? resolve_reference(c, name, err) : resolve_call(c, name, colon + 1, err);
	}
	c->depth--;
	return value;
}

/* One step through a string: backslashes before "${" (each pair is one; an odd one makes it plain text), an
 * interpolation, or a character. *single is the value when the interpolation is all there is. */
static int resolve_step(struct context *c, const char *text, const char **p, const char *end, struct str *out,
			json_t **single, struct nel_err *err)
{
	const char *start = *p;
	size_t slashes = strspn(start, "\\");
	if (slashes > 0) {
		bool before = str_starts_with(start + slashes, "${");
		str_append_n(out, start, before ? slashes / 2 : slashes);
		*p += slashes;
		if (before && slashes % 2 == 1) {
			str_append(out, "${");
			*p += 2;
		}
		return 0;
	}
	if (!str_starts_with(start, "${")) {
		str_append_c(out, *(*p)++);
		return 0;
	}
	const char *inner_end = value_interpolation_end(start, end);
	if (inner_end == NULL)
		return err_set(
		    err, NEL_INVALID,
		    "an interpolation has no end (} is missing, or more than %d are open): write \\${ for plain "
		    "text",
		    INTERPOLATION_BRACES_MAX);
	CLEANUP(json_freep) json_t *value = resolve_interpolation(start, (size_t)(inner_end - start), c, err);
	if (value == NULL)
		return -1;
	*p = inner_end;
	if (start == text && *inner_end == '\0') {
		*single = TAKE(value);
		return 0;
	}
	if (spend(c, tree_weight(value), 0, err) != 0)
		return -1;
	CLEANUP(mem_freep) char *value_text = value_to_text(value);
	str_append(out, value_text);
	return spend(c, 0, strlen(value_text), err);
}

static json_t *resolve_text(struct context *c, const char *text, struct nel_err *err)
{
	CLEANUP(str_done) struct str out = {0};
	json_t *single = NULL;
	const char *end = text + strlen(text);
	for (const char *p = text; *p != '\0';)
		if (resolve_step(c, text, &p, end, &out, &single, err) != 0)
			return NULL;
	return single == NULL ? json_string(str_text(&out)) : single;
}

static void context_done(struct context *c)
{
	struct node *node = c->nodes;
	HASH_CLEAR(hh, c->nodes);
	while (node != NULL) {
		struct node *next = node->hh.next;
		json_decref(node->value);
		free(node);
		node = next;
	}
}

int interpolate(const json_t *config, const struct interpolate_env *env, const struct source_map *map,
		json_t **ret_config, struct problems *problems, struct nel_err *err)
{
	CLEANUP(context_done)
	struct context c = {.env = env, .map = map, .root = (json_t *)config, .problems = problems, .err = err};
	struct nel_err own = {0};
	index_value(&c, c.root, NULL, NULL, 0);
	CLEANUP(json_freep) json_t *made = resolve_value(&c, c.root, &own);
	if (made == NULL && !c.failed) {
		const char *message = own.msg[0] == '\0' ? "too many problems" : own.msg;
		problems_add(problems, "", 0, 0, "%s", message);
		err_set(err, NEL_INVALID, "%s", message);
	}
	if (made == NULL || c.failed)
		return -1;
	*ret_config = TAKE(made);
	return 0;
}

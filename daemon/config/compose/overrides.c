/* Hydra's overrides (hydra.cc/docs/advanced/override_grammar/basic), and the task names of the launcher in them. */
#include "config/compose/overrides.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"
#include "config/text/scalar.h"
#include "config/text/value_grammar.h"
#include "config/text/yaml_json.h"

#include <string.h>

#define TASKS_PREFIX "evaluation.tasks."
#define POINTER_SIZE_MAX 512 /* of a key that is worth pointing at */
#define KEYS_MAX 256         /* candidates for a suggestion */

static void override_done(struct override *o)
{
	free(o->key);
	free(o->package);
	json_decref(o->value);
	*o = (struct override){0};
}

void override_list_done(struct override_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		override_done(&list->items[i]);
	free(list->items);
	*list = (struct override_list){0};
}

static int check_text(const char *text, struct nel_err *err)
{
	size_t size = strlen(text);
	if (size > OVERRIDE_BYTES_MAX)
		return err_set(err, NEL_INVALID, "longer than %d bytes", OVERRIDE_BYTES_MAX);
	for (size_t at = 0; at < size;) {
		uint32_t code = 0;
		size_t length = utf8_decode(text + at, size - at, &code);
		if (length == 0)
			return err_set(err, NEL_INVALID, "not valid UTF-8");
		if ((code < 0x20 && code != '\t' && code != '\n') || (code >= 0x7f && code < 0xa0))
			return err_set(err, NEL_INVALID, "it has a control character");
		at += length;
	}
	return 0;
}

/* Splits what stands before '=' into key and package. */
static int parse_key(const char *text, size_t size, struct override *o, struct nel_err *err)
{
	CLEANUP(mem_freep) char *whole = mem_strndup(text, size);
	if (*whole == '\0')
		return err_set(err, NEL_INVALID, "the key is missing");
	if (strpbrk(whole, " \t\n'\"{}(),") != NULL)
		return err_set(err, NEL_INVALID, "the key has a character that has no place in a key");
	char *at = strchr(whole, '@');
	if (at != NULL) {
		*at = '\0';
		o->package = mem_strdup(at + 1);
	}
	o->key = TAKE(whole);
	return 0;
}

/* The value behind a task's name is YAML, as the launcher reads it there; what is not YAML is the text itself. */
static json_t *parse_yaml_value(const char *text, struct nel_err *err)
{
	json_t *value = NULL;
	struct nel_err why = {0};
	if (*text == '\0')
		return json_string("");
	if (yaml_json_parse(text, strlen(text), false, &value, NULL, NULL, &why) == 0)
		return value;
	if (strstr(why.msg, SCALAR_TOO_LARGE) == NULL && strstr(why.msg, SCALAR_NO_VALUE) == NULL)
		return json_string(text);
	*err = why;
	return NULL;
}

static int parse_one(const char *text, struct override *o, struct nel_err *err)
{
	const char *p = text;
	o->text = text;
	if (check_text(text, err) != 0)
		return -1;
	if (*p == '~') {
		o->op = OVERRIDE_DELETE;
		p++;
	} else if (str_starts_with(p, "++")) {
		o->op = OVERRIDE_FORCE;
		p += 2;
	} else if (*p == '+') {
		o->op = OVERRIDE_ADD;
		p++;
	}
	const char *equals = strchr(p, '=');
	if (equals == NULL && o->op != OVERRIDE_DELETE)
		return err_set(err, NEL_INVALID, "an `=` and a value are missing");
	if (parse_key(p, equals == NULL ? strlen(p) : (size_t)(equals - p), o, err) != 0)
		return -1;
	if (equals != NULL)
		o->value = override_names_task(o) ? parse_yaml_value(equals + 1, err) : value_parse(equals + 1, err);
	return equals != NULL && o->value == NULL ? -1 : 0;
}

char *override_pointer(const char *text)
{
	CLEANUP(str_done) struct str out = {0};
	text += strspn(text, "+~");
	size_t size = strcspn(text, "=@");
	for (size_t i = 0; i < size; i++)
		if (size > POINTER_SIZE_MAX || text[i] <= ' ' || text[i] > '~')
			return mem_strdup("");
	for (size_t at = 0; at < size;) {
		size_t length = strcspn(text + at, "./[]=@");
		CLEANUP(mem_freep) char *segment = mem_strndup(text + at, length);
		if (length > 0)
			str_append_pointer(&out, segment);
		at += length + 1;
	}
	return str_take(&out);
}

int overrides_parse(const char *const *texts, size_t count, struct override_list *ret_list, struct problems *problems,
		    struct nel_err *err)
{
	struct override_list list = {0};
	if (count > OVERRIDES_MAX) {
		problems_add(problems, "", 0, 0, "more than %d overrides", OVERRIDES_MAX);
		return err_set(err, NEL_INVALID, "more than %d overrides", OVERRIDES_MAX);
	}
	list.items = mem_calloc(count + 1, sizeof *list.items);
	for (size_t i = 0; i < count; i++) {
		struct nel_err one = {0};
		struct override *o = &list.items[list.count];
		const char *text = texts[i] + utf8_mark_size(texts[i], strlen(texts[i]));
		if (parse_one(text, o, &one) == 0) {
			list.count++;
			continue;
		}
		CLEANUP(mem_freep) char *pointer = override_pointer(text);
		problems_add(problems, pointer, 0, 0, "override \"%s\": %s", text, one.msg);
		override_done(o);
	}
	*ret_list = list;
	return 0;
}

/* A key split at its dots and brackets. */
struct path {
	char *text; /* holds the segments */
	char *segments[OVERRIDE_SEGMENTS_MAX];
	size_t count;
};

static void path_done(struct path *path)
{
	free(path->text);
}

static int path_split(const char *key, struct path *path, struct nel_err *err)
{
	path->text = mem_strdup(key);
	char *start = path->text;
	for (char *p = path->text;; p++) {
		char c = *p;
		if (c != '.' && c != '[' && c != '\0')
			continue;
		if (p > path->text && p[-1] == ']') /* a[0].b */
			p[-1] = '\0';
		*p = '\0';
		if (*start == '\0')
			return err_set(err, NEL_INVALID, "the key has an empty part");
		if (path->count == OVERRIDE_SEGMENTS_MAX)
			return err_set(err, NEL_INVALID, "the key has more than %d parts", OVERRIDE_SEGMENTS_MAX);
		path->segments[path->count++] = start;
		start = p + 1;
		if (c == '\0')
			return 0;
	}
}

static bool list_index(const json_t *list, const char *segment, size_t *ret_index)
{
	long long index = 0;
	long long size = (long long)json_array_size(list);
	if (!str_to_int(segment, -size, size - 1, &index))
		return false;
	*ret_index = (size_t)(index < 0 ? index + size : index);
	return true;
}

static json_t *child(const json_t *parent, const char *segment)
{
	size_t index = 0;
	if (json_is_object(parent))
		return json_object_get(parent, segment);
	return json_is_array(parent) && list_index(parent, segment, &index) ? json_array_get(parent, index) : NULL;
}

/* The node at the path's first n segments, or NULL; *ret_found is how many of them there are. */
static json_t *find(json_t *config, const struct path *path, size_t n, size_t *ret_found)
{
	json_t *node = config;
	size_t i = 0;
	while (i < n) {
		json_t *next = child(node, path->segments[i]);
		if (next == NULL)
			break;
		node = next;
		i++;
	}
	*ret_found = i;
	return i == n ? node : NULL;
}

static char *path_join(const struct path *path, size_t n)
{
	CLEANUP(str_done) struct str out = {0};
	for (size_t i = 0; i < n; i++)
		str_appendf(&out, "%s%s", i == 0 ? "" : ".", path->segments[i]);
	return str_take(&out);
}

/* " (did you mean a.b?)" for the first segment that is not there, or "". */
static char *suggest(json_t *config, const struct path *path, size_t found)
{
	size_t ignored = 0;
	json_t *parent = find(config, path, found, &ignored);
	const char *keys[KEYS_MAX] = {NULL};
	size_t count = 0;
	const char *key = NULL;
	json_t *value = NULL;
	json_object_foreach(parent, key, value) {
		if (count < KEYS_MAX)
			keys[count++] = key;
	}
	const char *nearest = str_nearest(path->segments[found], keys, count);
	if (nearest == NULL)
		return mem_strdup("");
	CLEANUP(mem_freep) char *before = path_join(path, found);
	return mem_printf(" (did you mean %s%s%s?)", before, found == 0 ? "" : ".", nearest);
}

static int absent(json_t *config, const struct override *o, const struct path *path, size_t found, struct nel_err *err)
{
	CLEANUP(mem_freep) char *hint = suggest(config, path, found);
	CLEANUP(mem_freep) char *known = path_join(path, found + 1);
	if (o->op == OVERRIDE_DELETE)
		return err_set(err, NEL_INVALID, "there is no %s to delete%s", known, hint);
	return err_set(err, NEL_INVALID, "there is no key %s%s; to add it, write +%s", known, hint, o->text);
}

const char *const override_own_keys[] = {"share_deployment", "share_order", "idle_limit", "move_after", NULL};

static bool is_own(const struct path *path)
{
	return path->count == 2 && strcmp(path->segments[0], "execution") == 0 &&
	       str_in(path->segments[1], override_own_keys);
}

static bool is_missing(const json_t *value)
{
	return json_is_string(value) && strcmp(json_string_value(value), "???") == 0;
}

/* Puts value at segment of parent: mappings merge, everything else is replaced. parent takes a copy. */
static void put(json_t *parent, const char *segment, const json_t *value)
{
	json_t *old = child(parent, segment);
	size_t index = 0;
	if (json_is_object(old) && json_is_object(value)) {
		const char *key = NULL;
		json_t *member = NULL;
		json_object_foreach((json_t *)value, key, member)
			put(old, key, member);
	} else if (json_is_object(parent)) {
		json_object_set_new(parent, segment, json_deep_copy(value));
	} else if (list_index(parent, segment, &index)) {
		json_array_set_new(parent, index, json_deep_copy(value));
	}
}

/* Sets with `+` or `++`: parents that are not there, or are no containers, become mappings. */
static int force(json_t *config, const struct path *path, const json_t *value, struct nel_err *err)
{
	json_t *node = config;
	for (size_t i = 0; i < path->count; i++) {
		const char *segment = path->segments[i];
		bool last = i + 1 == path->count;
		size_t index = 0;
		if (json_is_array(node) && !list_index(node, segment, &index))
			return err_set(err, NEL_INVALID, "the list has %zu elements and no [%s]", json_array_size(node),
				       segment);
		json_t *next = child(node, segment);
		if (!last && !json_is_object(next) && !json_is_array(next)) {
			CLEANUP(json_freep) json_t *empty = json_object();
			put(node, segment, empty);
			next = child(node, segment);
		}
		if (last)
			put(node, segment, value);
		node = next;
	}
	return 0;
}

static int apply_delete(json_t *config, const struct override *o, const struct path *path, struct nel_err *err)
{
	size_t found = 0;
	size_t index = 0;
	const json_t *node = find(config, path, path->count, &found);
	if (node == NULL)
		return absent(config, o, path, found, err);
	if (o->value != NULL && !json_equal(o->value, node)) {
		CLEANUP(mem_freep) char *text = value_to_text(node);
		return err_set(err, NEL_INVALID, "%s is %s, not what is to be deleted", o->key, text);
	}
	json_t *parent = find(config, path, path->count - 1, &found);
	const char *segment = path->segments[path->count - 1];
	if (json_is_object(parent))
		json_object_del(parent, segment);
	else if (list_index(parent, segment, &index))
		json_array_remove(parent, index);
	return 0;
}

int override_apply(json_t *config, const struct override *o, struct nel_err *err)
{
	CLEANUP(path_done) struct path path = {0};
	size_t found = 0;
	if (path_split(o->key, &path, err) != 0)
		return -1;
	const json_t *node = find(config, &path, path.count, &found);
	switch (o->op) {
	case OVERRIDE_DELETE: return apply_delete(config, o, &path, err);
	case OVERRIDE_FORCE: return force(config, &path, o->value, err);
	case OVERRIDE_ADD:
		/* As in Hydra, null and ??? count as absent, and containers merge. */
		if (node != NULL && !json_is_null(node) && !is_missing(node) && !json_is_object(o->value) &&
		    !json_is_array(o->value))
			return err_set(err, NEL_INVALID, "%s is there already: to change it, write %s or +%s", o->key,
				       o->text + 1, o->text);
		return force(config, &path, o->value, err);
	case OVERRIDE_SET:
		if (node == NULL && is_own(&path))
			return force(config, &path, o->value, err);
		if (node == NULL)
			return absent(config, o, &path, found, err);
		put(find(config, &path, path.count - 1, &found), path.segments[path.count - 1], o->value);
		return 0;
	}
	return err_set(err, NEL_INTERNAL, "an override of an unknown kind");
}

bool override_names_task(const struct override *o)
{
	if (!str_starts_with(o->key, TASKS_PREFIX))
		return false;
	const char *name = o->key + strlen(TASKS_PREFIX);
	CLEANUP(mem_freep) char *segment = mem_strndup(name, strcspn(name, "."));
	long long index = 0;
	return *segment != '\0' && !str_to_int(segment, -1000000, 1000000, &index);
}

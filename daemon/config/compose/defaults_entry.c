/* The forms of a defaults list's entries (hydra.cc/docs/advanced/defaults_list). */
#include "config/compose/defaults_entry.h"

#include "base/mem.h"
#include "base/str.h"

#include <string.h>

void defaults_entry_done(struct defaults_entry *entry)
{
	free(entry->group);
	free(entry->written);
	free(entry->package);
	free(entry->origin);
	json_decref(entry->options);
	*entry = (struct defaults_entry){0};
}

/* The option's name without ".yaml". */
static json_t *option_name(const char *text)
{
	size_t size = strlen(text);
	if (str_ends_with(text, ".yaml"))
		size -= strlen(".yaml");
	return json_stringn(text, size);
}

static int add_option(json_t *options, const json_t *value, struct nel_err *err)
{
	const char *text = json_string_value(value);
	if (text == NULL || *text == '\0')
		return err_set(err, NEL_INVALID, "an option must be the name of a group file");
	if (strstr(text, "${") != NULL)
		return err_set(err, NEL_INVALID, "an option cannot be an interpolation (%s)", text);
	json_array_append_new(options, option_name(text));
	return 0;
}

int defaults_options(const json_t *value, json_t **ret_options, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *options = json_array();
	size_t index = 0;
	const json_t *item = NULL;
	if (json_is_string(value) && strcmp(json_string_value(value), "???") == 0) {
		*ret_options = NULL;
		return 0;
	}
	if (json_array_size(value) > DEFAULTS_ENTRIES_MAX)
		return err_set(err, NEL_INVALID, "more than %d options in one entry of `defaults`",
			       DEFAULTS_ENTRIES_MAX);
	if (json_is_array(value)) {
		json_array_foreach(value, index, item)
			if (add_option(options, item, err) != 0)
				return -1;
	} else if (!json_is_null(value) && add_option(options, value, err) != 0) {
		return -1;
	}
	*ret_options = TAKE(options);
	return 0;
}

/* Takes "optional" and "override" from before a path; returns the rest. */
static const char *read_keywords(const char *text, struct defaults_entry *entry)
{
	for (;;) {
		text += strspn(text, " ");
		if (str_starts_with(text, "optional "))
			entry->optional = true;
		else if (str_starts_with(text, "override "))
			entry->override = true;
		else
			return text;
		text += strcspn(text, " ");
	}
}

/* Splits "[/]group[@package]" into the entry. */
static void read_path(const char *text, const char *dir, struct defaults_entry *entry)
{
	size_t size = strcspn(text, "@");
	if (text[size] == '@')
		entry->package = mem_strdup(text + size + 1);
	entry->absolute = *text == '/';
	entry->written = mem_strndup(text + entry->absolute, size - entry->absolute);
	if (entry->absolute || *dir == '\0')
		entry->group = mem_strdup(entry->written);
	else
		entry->group = mem_printf("%s%s%s", dir, *entry->written == '\0' ? "" : "/", entry->written);
}

/* "deployment/vllm" as an entry of its own: the last segment is the option. */
static int read_file_entry(const char *text, const char *dir, struct defaults_entry *entry, struct nel_err *err)
{
	entry->kind = DEFAULTS_FILE;
	const char *path = read_keywords(text, entry);
	CLEANUP(mem_freep) char *bare = mem_strndup(path, strcspn(path, "@"));
	const char *slash = strrchr(bare, '/');
	const char *name = slash == NULL ? bare : slash + 1;
	CLEANUP(str_done) struct str group = {0};
	str_append_n(&group, bare, (size_t)(name - bare));
	if (group.len > 1) /* the slash before the name, but not one that makes it absolute */
		group.data[--group.len] = '\0';
	str_append(&group, path + strlen(bare));
	CLEANUP(json_freep) json_t *option = json_string(name);
	read_path(str_text(&group), dir, entry);
	if (entry->override)
		return err_set(err, NEL_INVALID, "`override` needs a group and an option: `override %s: <option>`",
			       bare);
	return defaults_options(option, &entry->options, err);
}

static int read_group_entry(const json_t *value, const char *dir, struct defaults_entry *entry, struct nel_err *err)
{
	entry->kind = DEFAULTS_GROUP;
	if (json_object_size(value) != 1)
		return err_set(err, NEL_INVALID, "an entry of `defaults` has one `group: option` only");
	void *member = json_object_iter((json_t *)value);
	read_path(read_keywords(json_object_iter_key(member), entry), dir, entry);
	if (*entry->written == '\0')
		return err_set(err, NEL_INVALID, "the name of the group is missing");
	return defaults_options(json_object_iter_value(member), &entry->options, err);
}

int defaults_entry_read(const json_t *value, const char *dir, struct defaults_entry *ret_entry, struct nel_err *err)
{
	CLEANUP(defaults_entry_done) struct defaults_entry entry = {0};
	const char *text = json_string_value(value);
	if (text != NULL && strcmp(text, "_self_") == 0) {
		ret_entry->kind = DEFAULTS_SELF;
		return 0;
	}
	if (text == NULL && !json_is_object(value))
		return err_set(err, NEL_INVALID, "an entry of `defaults` is `group: option`, a group file, or _self_");
	if ((text == NULL ? read_group_entry(value, dir, &entry, err) : read_file_entry(text, dir, &entry, err)) != 0)
		return -1;
	*ret_entry = entry;
	entry = (struct defaults_entry){0};
	return 0;
}

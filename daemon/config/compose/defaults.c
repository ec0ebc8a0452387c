/* The expansion of the defaults list. As in Hydra, each list is walked from its end, so that an `override` in a later
 * config is known when the group that it concerns is reached; the result is in the order of the lists. */
#include "config/compose/defaults.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/str_list.h"
#include "config/compose/defaults_entry.h"
#include "config/compose/groups.h"
#include "config/compose/merge.h"
#include "config/text/tree.h"

#include <stdarg.h>
#include <string.h>

#define OPTIONS_NAMED_MAX 20
#define SLURM_DEFAULT "execution: slurm/default"

/* An option chosen for a group from elsewhere: an override, or `override` in a defaults list. An outer one counts, and
 * of several overrides the last. */
struct choice {
	char *key;       /* "deployment", "deployment@auxiliary_deployments.judge" */
	json_t *options; /* an array; NULL: the group is deleted */
	char *pointer;   /* of the `override` entry in the submitted text; "" for command-line overrides */
	const struct override *from;
	bool used;
};

struct expansion {
	const struct defaults_input *in;
	struct choice *choices;
	size_t choice_count;
	json_t *groups; /* the keys of the groups that were met: each may be chosen once */
	size_t configs;
	int depth;
	bool failed;
	struct problems *problems;
	struct nel_err *err;
};

/* The config whose defaults list is being expanded. */
struct parent {
	const char *dir;     /* its folder below the groups' root */
	const char *package; /* where it is placed */
	const char *from;    /* references that move with it, or NULL */
	const char *to;
	const char *pointer; /* "/defaults" in the submitted config, "" elsewhere */
	const char *path;    /* "deployment/vllm_ray"; NULL for the submitted config */
};

static void item_done(struct defaults_item *item)
{
	json_decref(item->config);
	free(item->path);
	free(item->package);
}

void defaults_items_done(struct defaults_items *list)
{
	for (size_t i = 0; i < list->count; i++)
		item_done(&list->items[i]);
	free(list->items);
	*list = (struct defaults_items){0};
}

/* Puts the items of `head` before those of `tail`, and empties it. */
static void prepend(struct defaults_items *head, struct defaults_items *tail)
{
	head->items = mem_realloc(head->items, head->count + tail->count + 1, sizeof *head->items);
	if (tail->count > 0)
		memcpy(head->items + head->count, tail->items, tail->count * sizeof *tail->items);
	head->count += tail->count;
	free(tail->items);
	*tail = *head;
	*head = (struct defaults_items){0};
}

static void vreport(struct expansion *x, const char *pointer, const char *before, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));
static void vreport(struct expansion *x, const char *pointer, const char *before, const char *fmt, va_list ap)
{
	CLEANUP(mem_freep) char *text = NULL;
	int line = 0;
	int column = 0;
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	if (str_starts_with(pointer, "/defaults")) /* else an override's, which stands in no text */
		source_map_find(x->in->map, pointer, &line, &column);
	problems_add(x->problems, pointer, line, column, "%s%s", before, text);
	if (!x->failed)
		err_set(x->err, NEL_INVALID, "%s%s", before, text);
	x->failed = true;
}

static void report(struct expansion *x, const char *pointer, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void report(struct expansion *x, const char *pointer, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vreport(x, pointer, "", fmt, ap);
	va_end(ap);
}

static char *override_origin(const struct override *o)
{
	return mem_printf("override \"%s\": ", o->text);
}

static void report_override(struct expansion *x, const struct override *o, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void report_override(struct expansion *x, const struct override *o, const char *fmt, ...)
{
	CLEANUP(mem_freep) char *pointer = override_pointer(o->text);
	CLEANUP(mem_freep) char *origin = override_origin(o);
	va_list ap;
	va_start(ap, fmt);
	vreport(x, pointer, origin, fmt, ap);
	va_end(ap);
}

static char *join(const char *a, const char *b)
{
	return mem_printf("%s%s%s", a, *a == '\0' || *b == '\0' ? "" : ".", b);
}

static char *dotted(const char *group)
{
	char *text = mem_strdup(group);
	for (char *p = text; *p != '\0'; p++)
		if (*p == '/')
			*p = '.';
	return text;
}

/* Where a config goes: `package` (from '@' or from its header; NULL: the group's own) seen from its parent's place. */
static char *resolve_package(const char *parent, const char *package, const char *written)
{
	CLEANUP(mem_freep) char *own = dotted(written);
	if (package == NULL || strcmp(package, "_group_") == 0)
		return join(parent, own);
	if (strcmp(package, "_global_") == 0)
		return mem_strdup("");
	if (str_starts_with(package, "_global_."))
		return mem_strdup(package + strlen("_global_."));
	if (strcmp(package, "_here_") == 0)
		return mem_strdup(parent);
	if (str_starts_with(package, "_here_."))
		return join(parent, package + strlen("_here_."));
	return join(parent, package);
}

/* The group's own package says no more than none, as in Hydra: deployment@deployment is deployment. */
static char *choice_key(const char *group, const char *package)
{
	CLEANUP(mem_freep) char *own = dotted(group);
	if (package == NULL || strcmp(package, own) == 0)
		return mem_strdup(group);
	return mem_printf("%s@%s", group, package);
}

static struct choice *find_choice(struct expansion *x, const char *key)
{
	for (size_t i = 0; i < x->choice_count; i++)
		if (strcmp(x->choices[i].key, key) == 0)
			return &x->choices[i];
	return NULL;
}

static void choice_done(struct choice *choice)
{
	free(choice->key);
	free(choice->pointer);
	json_decref(choice->options);
}

/* Takes the choice over. An override comes after those on its left, and before all that a defaults list says. */
static void add_choice(struct expansion *x, struct choice choice)
{
	struct choice *before = find_choice(x, choice.key);
	if (before != NULL && choice.from == NULL) {
		choice_done(&choice);
		return;
	}
	if (before != NULL) {
		if ((before->from->op == OVERRIDE_DELETE) != (choice.from->op == OVERRIDE_DELETE))
			report_override(x, choice.from,
					"%s is chosen and deleted by two overrides: leave one of them out", choice.key);
		choice_done(before);
		*before = choice;
		return;
	}
	x->choices = mem_realloc(x->choices, x->choice_count + 1, sizeof *x->choices);
	x->choices[x->choice_count++] = choice;
}

/* "; did you mean X? There are: a, b" for a group's options. */
static char *name_options(struct expansion *x, const char *group, const char *wanted)
{
	CLEANUP(str_list_freep) char **options = groups_options(x->in->groups_dir, group);
	CLEANUP(str_done) struct str out = {0};
	size_t count = 0;
	while (options[count] != NULL)
		count++;
	const char *nearest = str_nearest(wanted, (const char *const *)options, count);
	if (nearest != NULL)
		str_appendf(&out, "; did you mean %s?", nearest);
	for (size_t i = 0; i < count && i < OPTIONS_NAMED_MAX; i++)
		str_appendf(&out, "%s%s",
			    i > 0             ? ", "
			    : nearest == NULL ? "; there are: "
					      : " There are: ",
			    options[i]);
	return str_take(&out);
}

static int expand_config(struct expansion *x, const struct parent *parent, const json_t *config,
			 struct defaults_items *ret_items);

static bool is_execution(const char *path)
{
	return str_starts_with(path, "execution/");
}

/* An execution other than the shipped Slurm one or the site's own. */
static bool is_foreign_execution(struct expansion *x, const char *path)
{
	return is_execution(path) && !str_starts_with(path, "execution/slurm/") &&
	       !groups_is_site_file(x->in->groups_dir, path);
}

static void report_foreign_execution(struct expansion *x, const char *pointer, const char *origin, const char *path)
{
	report(x, pointer, "%sthis service runs Slurm only: use `%s` in `defaults`, not execution: %s", origin,
	       SLURM_DEFAULT, path + strlen("execution/"));
}

/* Loads the file of one option and everything that it asks for. */
static void expand_option(struct expansion *x, const struct parent *parent, const struct defaults_entry *entry,
			  const char *option, const char *pointer, const char *origin, struct defaults_items *ret_items)
{
	CLEANUP(mem_freep) char *path = mem_printf("%s%s%s", entry->group, *entry->group == '\0' ? "" : "/", option);
	CLEANUP(group_file_done) struct group_file file = {0};
	struct nel_err err = {0};
	if (is_foreign_execution(x, path)) {
		report_foreign_execution(x, pointer, origin, path);
		return;
	}
	if (groups_load(x->in->groups_dir, path, &file, &err) != 0) {
		CLEANUP(mem_freep) char *options = name_options(x, entry->group, option);
		if (err.kind == NEL_NOTFOUND && !entry->optional)
			report(x, pointer, "%sthere is no config \"%s\"%s", origin, path, options);
		else if (err.kind != NEL_NOTFOUND)
			report(x, pointer, "%s%s", origin, err.msg);
		return;
	}
	CLEANUP(mem_freep) char *home = resolve_package(parent->package, file.package, entry->written);
	CLEANUP(mem_freep)
	char *package = entry->package == NULL ? mem_strdup(home)
					       : resolve_package(parent->package, entry->package, entry->written);
	const char *slash = strrchr(path, '/');
	CLEANUP(mem_freep) char *dir = mem_strndup(path, slash == NULL ? 0 : (size_t)(slash - path));
	struct parent self = {.dir = dir, .package = package, .pointer = "", .path = path};
	self.from = parent->path == NULL ? home : parent->from;
	self.to = parent->path == NULL ? package : parent->to;
	expand_config(x, &self, file.config, ret_items);
}

static void expand_entry(struct expansion *x, const struct parent *parent, const struct defaults_entry *entry,
			 const char *pointer, struct defaults_items *ret_items)
{
	CLEANUP(mem_freep)
	char *package =
	    entry->package == NULL ? NULL : resolve_package(parent->package, entry->package, entry->written);
	CLEANUP(mem_freep) char *key = choice_key(entry->group, package);
	struct choice *choice = entry->kind == DEFAULTS_GROUP ? find_choice(x, key) : NULL;
	const json_t *options = entry->options;
	CLEANUP(mem_freep) char *origin = mem_strdup(entry->origin == NULL ? "" : entry->origin);
	if (entry->kind == DEFAULTS_GROUP && json_object_get(x->groups, key) != NULL) {
		report(x, pointer,
		       "%s stands more than once in `defaults`; what replaces an option is written `override %s: ...`",
		       key, key);
		return;
	}
	if (entry->kind == DEFAULTS_GROUP)
		json_object_set_new(x->groups, key, json_true());
	if (choice != NULL) {
		bool deletes = choice->from != NULL && choice->from->op == OVERRIDE_DELETE;
		if (deletes && choice->options != NULL && !json_equal(choice->options, options))
			return; /* ~deployment=x, where x is not chosen: stays unused, which is an error */
		choice->used = true;
		if (deletes)
			return;
		options = choice->options;
		pointer = choice->pointer;
		if (choice->from != NULL) {
			free(origin);
			origin = override_origin(choice->from);
		}
	}
	if (options == NULL) {
		CLEANUP(mem_freep) char *names = name_options(x, entry->group, "");
		report(x, pointer, "%san option for %s must be chosen%s", origin, key, names);
		return;
	}
	for (size_t i = json_array_size(options); i-- > 0;) {
		CLEANUP(defaults_items_done) struct defaults_items items = {0};
		expand_option(x, parent, entry, json_string_value(json_array_get(options, i)), pointer, origin, &items);
		prepend(&items, ret_items);
	}
}

/* The config itself, at its place. */
static void add_self(const struct parent *parent, const json_t *config, struct defaults_items *ret_items)
{
	struct defaults_items items = {.items = mem_calloc(1, sizeof *items.items), .count = 1};
	bool moves = parent->from != NULL && *parent->from != '\0' && strcmp(parent->from, parent->to) != 0;
	json_t *own = moves ? tree_copy(config) : json_copy((json_t *)config);
	json_object_del(own, "defaults");
	if (parent->path == NULL)
		json_object_del(own, "hydra"); /* how Hydra itself runs: nothing of the evaluation's */
	if (moves)
		merge_move_references(own, parent->from, parent->to);
	items.items[0] = (struct defaults_item){own, mem_strdup(parent->path == NULL ? "" : parent->path),
						mem_strdup(parent->package)};
	prepend(&items, ret_items);
}

struct entry_list {
	struct defaults_entry *items;
	size_t count;
};

static void entry_list_done(struct entry_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		defaults_entry_done(&list->items[i]);
	free(list->items);
}

static char *entry_pointer(const struct parent *parent, size_t index)
{
	return *parent->pointer == '\0' ? mem_strdup("") : mem_printf("%s/%zu", parent->pointer, index);
}

static struct defaults_entry *add_entry(struct entry_list *list)
{
	list->items = mem_realloc(list->items, list->count + 1, sizeof *list->items);
	list->items[list->count] = (struct defaults_entry){0};
	return &list->items[list->count++];
}

/* Reads the whole list. `_self_` comes last when it is not in it; what `+group=option` adds comes after that. */
static void read_entries(struct expansion *x, const struct parent *parent, const json_t *defaults,
			 struct entry_list *list)
{
	size_t index = 0;
	const json_t *value = NULL;
	size_t selves = 0;
	CLEANUP(mem_freep) char *where = parent->path == NULL ? mem_strdup("") : mem_printf("in %s: ", parent->path);
	if (defaults != NULL && !json_is_array(defaults))
		report(x, parent->pointer, "%s`defaults` must be a list", where);
	if (json_array_size(defaults) > DEFAULTS_ENTRIES_MAX) {
		report(x, parent->pointer, "%s`defaults` has more than %d entries", where, DEFAULTS_ENTRIES_MAX);
		return;
	}
	json_array_foreach(defaults, index, value) {
		struct nel_err err = {0};
		CLEANUP(mem_freep) char *pointer = entry_pointer(parent, index);
		struct defaults_entry *entry = add_entry(list);
		if (defaults_entry_read(value, parent->dir, entry, &err) != 0) {
			report(x, pointer, "%s%s", where, err.msg);
			list->count--;
		} else if (entry->kind == DEFAULTS_SELF && ++selves > 1) {
			report(x, pointer, "%s_self_ stands twice in `defaults`", where);
		}
	}
	if (selves == 0)
		add_entry(list)->kind = DEFAULTS_SELF;
}

static bool is_hydra(const struct defaults_entry *entry)
{
	return entry->kind != DEFAULTS_SELF &&
	       (strcmp(entry->group, "hydra") == 0 || str_starts_with(entry->group, "hydra/"));
}

/* Makes the `override` entries known before any group of the list is expanded. */
static void note_overrides(struct expansion *x, const struct parent *parent, const struct entry_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct defaults_entry *entry = &list->items[i];
		if (!entry->override || is_hydra(entry))
			continue;
		CLEANUP(mem_freep)
		char *package =
		    entry->package == NULL ? NULL : resolve_package(parent->package, entry->package, entry->written);
		add_choice(x, (struct choice){.key = choice_key(entry->group, package),
					      .options = json_incref(entry->options),
					      .pointer = entry_pointer(parent, i)});
	}
}

/* Adds to the submitted config's list what `+group=option` asks for. */
static void add_appended(struct expansion *x, struct entry_list *list)
{
	for (size_t i = 0; i < x->in->overrides->count; i++) {
		const struct override *o = &x->in->overrides->items[i];
		struct nel_err err = {0};
		if (o->op != OVERRIDE_ADD || !defaults_is_group_override(o, x->in->groups_dir))
			continue;
		bool there = false;
		for (size_t k = 0; k < list->count; k++) {
			const struct defaults_entry *entry = &list->items[k];
			there = there || (entry->kind == DEFAULTS_GROUP && strcmp(entry->group, o->key) == 0 &&
					  strcmp(entry->package == NULL ? "" : entry->package,
						 o->package == NULL ? "" : o->package) == 0);
		}
		if (there) {
			report_override(x, o, "the group is in `defaults` already: write %s", o->text + 1);
			continue;
		}
		struct defaults_entry *entry = add_entry(list);
		entry->kind = DEFAULTS_GROUP;
		entry->group = mem_strdup(o->key);
		entry->written = mem_strdup(o->key);
		entry->package = mem_strdup(o->package);
		entry->origin = override_origin(o);
		if (defaults_options(o->value, &entry->options, &err) != 0)
			report_override(x, o, "%s", err.msg);
	}
}

static int expand_config(struct expansion *x, const struct parent *parent, const json_t *config,
			 struct defaults_items *ret_items)
{
	CLEANUP(entry_list_done) struct entry_list list = {0};
	if (++x->configs > DEFAULTS_CONFIGS_MAX || x->depth >= DEFAULTS_DEPTH_MAX) {
		report(x, "", "the defaults lists lead to too many configs (a circle, perhaps: %s)", parent->path);
		return -1;
	}
	x->depth++;
	const json_t *defaults = json_object_get(config, "defaults");
	read_entries(x, parent, defaults, &list);
	if (parent->path == NULL)
		add_appended(x, &list);
	note_overrides(x, parent, &list);
	for (size_t i = list.count; i-- > 0;) {
		const struct defaults_entry *entry = &list.items[i];
		CLEANUP(defaults_items_done) struct defaults_items items = {0};
		CLEANUP(mem_freep)
		char *pointer = i < json_array_size(defaults) ? entry_pointer(parent, i) : mem_strdup("");
		if (entry->kind == DEFAULTS_SELF)
			add_self(parent, config, &items);
		else if (!entry->override && !is_hydra(entry))
			expand_entry(x, parent, entry, pointer, &items);
		prepend(&items, ret_items);
	}
	x->depth--;
	return 0;
}

bool defaults_is_group_override(const struct override *o, const char *groups_dir)
{
	if (o->package != NULL || (strchr(o->key, '/') != NULL && strchr(o->key, '.') == NULL))
		return true;
	return !json_is_object(o->value) && groups_exist(groups_dir, o->key);
}

static void note_group_overrides(struct expansion *x)
{
	for (size_t i = 0; i < x->in->overrides->count; i++) {
		const struct override *o = &x->in->overrides->items[i];
		CLEANUP(json_freep) json_t *options = NULL;
		struct nel_err err = {0};
		if (!defaults_is_group_override(o, x->in->groups_dir))
			continue;
		if (!groups_exist(x->in->groups_dir, o->key)) {
			report_override(x, o, "there is no config group \"%s\"", o->key);
			continue;
		}
		if (o->op == OVERRIDE_ADD)
			continue;
		if (o->value != NULL && defaults_options(o->value, &options, &err) != 0) {
			report_override(x, o, "%s", err.msg);
			continue;
		}
		add_choice(x, (struct choice){.key = choice_key(o->key, o->package),
					      .options = TAKE(options),
					      .pointer = override_pointer(o->text),
					      .from = o});
	}
}

static void report_unused(struct expansion *x)
{
	for (size_t i = 0; i < x->choice_count; i++) {
		const struct choice *choice = &x->choices[i];
		if (choice->used)
			continue;
		if (choice->from == NULL)
			report(x, choice->pointer, "there is no %s in `defaults` to override", choice->key);
		else if (choice->from->op == OVERRIDE_DELETE)
			report_override(x, choice->from, "`defaults` has no such choice to delete");
		else
			report_override(x, choice->from, "`defaults` has no %s; to add it, write +%s", choice->key,
					choice->from->text + (choice->from->op == OVERRIDE_FORCE ? 2 : 0));
	}
}

int defaults_expand(const struct defaults_input *in, struct defaults_items *ret_list, struct problems *problems,
		    struct nel_err *err)
{
	CLEANUP(json_freep) json_t *groups = json_object();
	struct expansion x = {.in = in, .groups = groups, .problems = problems, .err = err};
	CLEANUP(defaults_items_done) struct defaults_items list = {0};
	struct parent submitted = {.dir = "", .package = "", .pointer = "/defaults"};
	note_group_overrides(&x);
	expand_config(&x, &submitted, in->submitted, &list);
	if (!x.failed)
		report_unused(&x);
	for (size_t i = 0; i < x.choice_count; i++)
		choice_done(&x.choices[i]);
	free(x.choices);
	if (x.failed)
		return -1;
	*ret_list = list;
	list = (struct defaults_items){0};
	return 0;
}

/* Container mounts: pyxis takes them as one comma-separated list of source:target[:flags], so neither path may hold ','
 * or ':' (https://github.com/NVIDIA/pyxis, --container-mounts). Each becomes `echo "source target options"` in the
 * script that it gives to `enroot start --conf` (enroot_create_start_config() in its pyxis_slurmstepd.c). */
#include "config/plan/plan_mounts.h"

#include "base/mem.h"
#include "base/str.h"

#include <string.h>

#define REFUSED ",:"
#define FLAG_BYTES "abcdefghijklmnopqrstuvwxyz0123456789-+=_"

bool plan_mounts_path_ok(const struct reader *r, const char *path, const char *name, const char *pointer)
{
	if (strpbrk(path, " \"$`\\") == NULL)
		return true;
	reader_error(
	    r, pointer,
	    "%s must not hold a space, '\"', '$', '`' or '\\': Pyxis writes it unquoted into a line of a shell script, "
	    "whose words enroot takes for source, target and options",
	    name);
	return false;
}

static bool has_target(const struct mount_list *mounts, const char *target)
{
	for (size_t i = 0; i < mounts->count; i++)
		if (strcmp(mounts->items[i].target, target) == 0)
			return true;
	return false;
}

void plan_mounts_add(const struct reader *r, const char *pointer, const char *source, const char *target,
		     struct mount_list *mounts)
{
	size_t path_size = strcspn(target, ":");
	const char *flags = target[path_size] == ':' ? target + path_size + 1 : NULL;
	CLEANUP(mem_freep) char *path = mem_strndup(target, path_size);
	CLEANUP(mem_freep) char *from = mem_printf("The mount's source '%s'", source);
	CLEANUP(mem_freep) char *to = mem_printf("The mount's place in the container, '%s',", path);
	if (!reader_check_named_path(r, source, from, pointer, REFUSED) ||
	    !reader_check_named_path(r, path, to, pointer, REFUSED))
		return;
	if (!plan_mounts_path_ok(r, source, from, pointer) || !plan_mounts_path_ok(r, path, to, pointer))
		return;
	if (flags != NULL && (*flags == '\0' || strspn(flags, FLAG_BYTES) != strlen(flags))) {
		reader_error(r, pointer, "Wrong mount flags after '%s:'; 'ro' and 'rw' are the usual ones", path);
		return;
	}
	if (mounts->count >= PLAN_MOUNTS_MAX) {
		reader_error(r, pointer, "More than %d mounts in one container", PLAN_MOUNTS_MAX);
		return;
	}
	if (has_target(mounts, path))
		reader_warn(r, pointer, "Something else is mounted at %s already; the later mount hides it", path);
	mounts->items = mem_realloc(mounts->items, mounts->count + 1, sizeof *mounts->items);
	mounts->items[mounts->count++] =
	    (struct mount){.source = mem_strdup(source), .target = TAKE(path), .flags = mem_strdup(flags)};
}

void plan_mounts_add_all(const struct reader *r, const json_t *object, const char *base, const char *key,
			 struct mount_list *mounts)
{
	const json_t *given = reader_object(r, object, base, key);
	CLEANUP(mem_freep) char *place = reader_join(base, key);
	const char *source;
	json_t *target;
	json_object_foreach((json_t *)given, source, target) {
		CLEANUP(mem_freep) char *pointer = reader_join(place, source);
		if (reader_is_missing(target))
			reader_missing(r, pointer);
		else if (json_is_string(target))
			plan_mounts_add(r, pointer, source, json_string_value(target), mounts);
		else
			reader_error(r, pointer, "A mount's value is its path in the container, as text");
	}
}

void plan_mounts_add_key(const struct reader *r, const json_t *object, const char *base, const char *key,
			 const char *target, struct mount_list *mounts)
{
	CLEANUP(mem_freep) char *pointer = reader_join(base, key);
	CLEANUP(mem_freep) char *source = reader_text(r, object, base, key, READER_ANY);
	if (source != NULL && *source != '\0')
		plan_mounts_add(r, pointer, source, target, mounts);
}

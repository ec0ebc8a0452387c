#include "service/apart.h"

#include "base/mem.h"
#include "base/str.h"
#include "db/output_dirs.h"
#include "service/plan_containers.h"
#include "slurm/script.h"

#include <string.h>

#define RUNS_BELOW "run directories of everybody lie below it: mount the directory that is needed, not one above"

/* Is path root, or below it? Both tidy. */
static bool lies_under(const char *path, const char *root)
{
	size_t len = strlen(root);
	return strcmp(root, "/") == 0 || (strncmp(path, root, len) == 0 && (path[len] == '/' || path[len] == '\0'));
}

/* Does a directory above this one, or it itself, have to be mounted for path to be seen? Untidy root. */
static bool shows(const char *path, const char *root)
{
	CLEANUP(mem_freep) char *there = str_tidy_path(root);
	return lies_under(there, path);
}

/* "20260131_120000-0a57bcf1e977cb35", as script_rundir() names it. */
static bool is_rundir_name(const char *name, size_t len)
{
	static const char shape[] = "dddddddd_dddddd-hhhhhhhhhhhhhhhh";
	if (len != sizeof shape - 1)
		return false;
	for (size_t i = 0; i < len; i++) {
		const char *allowed = shape[i] == 'd' ? "0123456789" : shape[i] == 'h' ? "0123456789abcdef" : "_-";
		if (strchr(allowed, name[i]) == NULL)
			return false;
	}
	return true;
}

/* What a conversion has converted, within the run directory whose name ends here: run.sub alone makes that. */
static bool is_converted(const char *rest)
{
	CLEANUP(mem_freep) char *converted = script_converted("", "");
	return lies_under(rest, converted);
}

static const char *bad_part(const char *path, bool shared)
{
	if (shared && lies_under(path, "/proc"))
		return "it leads elsewhere for each process";
	for (const char *at = path; *at != '\0';) {
		size_t skip = strspn(at, "/");
		const char *part = at + skip;
		size_t len = strcspn(part, "/");
		if (len == 2 && strncmp(part, "..", 2) == 0)
			return "it has '..' in it: write it out";
		if (shared && len == 4 && strncmp(part, ".ssh", 4) == 0)
			return "it leads to keys";
		if (shared && is_rundir_name(part, len) && !is_converted(part + len))
			return "it leads into a run directory, where secrets and results of an evaluation lie; its "
			       "artifacts come over the API";
		at = part + len;
	}
	return NULL;
}

const char *apart_refusal(const char *source, const char *output_dir, char *const *output_roots, char *const *prefixes)
{
	CLEANUP(mem_freep) char *path = str_tidy_path(source);
	const char *why = output_dir != NULL || prefixes != NULL ? bad_part(path, output_dir != NULL) : NULL;
	bool contains = output_dir != NULL && shows(path, output_dir);
	for (char *const *root = output_roots; output_dir != NULL && root != NULL && *root != NULL; root++)
		contains = contains || shows(path, *root);
	if (why == NULL && contains)
		why = RUNS_BELOW;
	if (why != NULL || prefixes == NULL)
		return why;
	for (; *prefixes != NULL; prefixes++) {
		CLEANUP(mem_freep) char *prefix = str_tidy_path(*prefixes);
		if (lies_under(path, prefix))
			return NULL;
	}
	return "allow.mounts of the daemon's settings has no prefix of it for your role";
}

const char *apart_watch_refusal(const char *directory, bool shared)
{
	CLEANUP(mem_freep) char *path = str_tidy_path(directory);
	return bad_part(path, shared);
}

/* What one look at the mounts needs. */
struct look {
	const struct eval_plan *plan;
	json_t *fine; /* sources that may be mounted, so that each is judged once, whatever the number of jobs */
	const struct settings_cluster *cluster;
	struct db *db;
	char *const *prefixes;
	void (*refused)(const char *pointer, const char *message, void *arg);
	void *arg;
};

/* *ret_why: why the path may not be mounted, or NULL. */
static int judge(const struct look *look, const char *source, const char **ret_why, struct nel_err *err)
{
	bool shared = !look->cluster->identity_per_user;
	bool found = false;
	*ret_why =
	    apart_refusal(source, shared ? look->plan->output_dir : NULL, look->cluster->output_roots, look->prefixes);
	if (*ret_why != NULL || !shared)
		return 0;
	CLEANUP(mem_freep) char *path = str_tidy_path(source);
	if (output_dirs_have_below(look->db, look->cluster->name, path, &found, err) != 0)
		return -1;
	if (found)
		*ret_why = RUNS_BELOW;
	return 0;
}

/* The place is that of the mount in execution.mounts.<group> when it is there, else the other one. */
static int look_at(const struct look *look, const struct mount_list *mounts, const char *group, const char *other,
		   struct nel_err *err)
{
	for (size_t i = 0; i < mounts->count; i++) {
		const char *source = mounts->items[i].source;
		const char *why = NULL;
		if (json_object_get(look->fine, source) != NULL)
			continue;
		if (judge(look, source, &why, err) != 0)
			return -1;
		if (why == NULL) {
			json_object_set_new_nocheck(look->fine, source, json_true());
			continue;
		}
		struct str pointer = {0};
		const json_t *place = json_object_get(json_object_get(look->plan->resolved, "execution"), "mounts");
		str_append(&pointer, "/execution/mounts");
		CLEANUP(mem_freep) char *path = mem_strdup(group);
		char *rest = NULL;
		for (char *key = strtok_r(path, "/", &rest); key != NULL; key = strtok_r(NULL, "/", &rest)) {
			place = json_object_get(place, key);
			str_append_pointer(&pointer, key);
		}
		if (json_object_get(place, source) != NULL) {
			str_append_pointer(&pointer, source);
		} else {
			str_clear(&pointer);
			str_append(&pointer, other);
		}
		CLEANUP(mem_freep)
		char *message = mem_printf("%s cannot be mounted on cluster %s: %s", source, look->cluster->name, why);
		look->refused(str_text(&pointer), message, look->arg);
		str_done(&pointer);
	}
	return 0;
}

/* The look for plan_containers_images(), and how it went. */
struct image_look {
	struct look look;
	int rc;
	struct nel_err *err;
};

/* By its name; run.sub refuses a directory that has such a name where people share the account. */
static bool is_image_file(const char *path)
{
	return str_ends_with(path, ".sif") || str_ends_with(path, ".sqsh") || str_ends_with(path, ".squashfs");
}

/* Apptainer takes a directory for an image, which shows what is in it as a mount does. */
static void look_at_image(const char *image, const char *pointer, void *arg)
{
	struct image_look *images = arg;
	struct look look = images->look;
	const char *why = NULL;
	if (images->rc != 0 || *image != '/')
		return;
	if (is_image_file(image))
		look.prefixes = NULL;
	images->rc = judge(&look, image, &why, images->err);
	if (images->rc != 0 || why == NULL)
		return;
	CLEANUP(mem_freep)
	char *message = mem_printf("%s cannot be an image on cluster %s: %s", image, look.cluster->name, why);
	look.refused(pointer, message, look.arg);
}

static int look_at_images(const struct look *look, struct nel_err *err)
{
	struct image_look images = {.look = *look, .err = err};
	if (look->plan->containers == CONTAINERS_APPTAINER)
		plan_containers_images(look->plan, look_at_image, &images);
	return images.rc;
}

int apart_check_mounts(const struct eval_plan *plan, const struct settings *settings,
		       const struct settings_cluster *cluster, struct db *db, const char *role,
		       void (*refused)(const char *pointer, const char *message, void *arg), void *arg,
		       struct nel_err *err)
{
	CLEANUP(json_freep) json_t *fine = json_object();
	const struct look look = {.plan = plan,
				  .fine = fine,
				  .cluster = cluster,
				  .db = db,
				  .prefixes = settings_mount_prefixes(settings, role),
				  .refused = refused,
				  .arg = arg};
	if (look_at_images(&look, err) != 0)
		return -1;
	if (plan->deployment != NULL &&
	    look_at(&look, &plan->deployment->mounts, "deployment", "/deployment", err) != 0)
		return -1;
	for (size_t i = 0; i < plan->auxiliary_count; i++) {
		const struct server *server = &plan->auxiliaries[i];
		CLEANUP(mem_freep) char *group = mem_printf("auxiliary/%s", server->name);
		CLEANUP(mem_freep) char *other = mem_printf("/auxiliary_deployments/%s", server->name);
		if (look_at(&look, &server->mounts, group, other, err) != 0)
			return -1;
	}
	for (size_t i = 0; i < plan->job_count; i++) {
		CLEANUP(mem_freep) char *other = mem_printf("/evaluation/tasks/%d", plan->jobs[i].index);
		if (look_at(&look, &plan->jobs[i].mounts, "evaluation", other, err) != 0)
			return -1;
	}
	return plan->export_ == NULL ? 0
				     : look_at(&look, &plan->export_->mounts, "export", "/execution/auto_export", err);
}

bool apart_leave_home_out(struct eval_plan *plan)
{
	json_t *execution = json_object_get(plan->resolved, "execution");
	json_t *mounts = json_object_get(execution, "mounts");
	if (json_is_false(json_object_get(mounts, "mount_home")))
		return false;
	if (!json_is_object(mounts)) {
		json_object_set_new(execution, "mounts", json_object());
		mounts = json_object_get(execution, "mounts");
	}
	json_object_set_new(mounts, "mount_home", json_false());
	if (plan->deployment != NULL)
		plan->deployment->mount_home = false;
	for (size_t i = 0; i < plan->auxiliary_count; i++)
		plan->auxiliaries[i].mount_home = false;
	return true;
}

#include "service/planned.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/plan/eval_config.h"
#include "config/text/yaml_json.h"
#include "service/apart.h"
#include "service/plan_containers.h"
#include "service/secrets.h"
#include "slurm/script.h"

#include <string.h>

void planned_done(struct planned *planned)
{
	for (size_t i = 0; i < planned->candidate_count; i++) {
		free(planned->candidates[i].cluster);
		free(planned->candidates[i].why);
		if (planned->candidates[i].plan != planned->plan)
			eval_plan_free(planned->candidates[i].plan);
	}
	eval_plan_free(planned->plan);
	problems_done(&planned->warnings);
	free(planned->candidates);
	*planned = (struct planned){0};
}

static const struct settings_cluster *find_cluster(const struct settings *settings, const char *hostname,
						   const char *cluster)
{
	if (cluster != NULL)
		return settings_cluster_by_name(settings, cluster);
	return hostname != NULL ? settings_cluster_by_hostname(settings, hostname) : NULL;
}

/* The person's account on the cluster; the same name as here, where nothing else was said. NULL offline, where each
 * person has his own. */
static const char *account_on(const struct planned_input *in, const struct settings_cluster *cluster)
{
	if (!cluster->identity_per_user)
		return cluster->username;
	for (size_t i = 0; in->identities != NULL && i < in->identities->count; i++)
		if (strcmp(in->identities->items[i].cluster, cluster->name) == 0)
			return in->identities->items[i].username;
	return in->offline ? NULL : in->request->actor->name;
}

static const char *username_for(const char *hostname, const char *cluster, void *arg)
{
	const struct planned_input *in = arg;
	const struct settings_cluster *found = find_cluster(in->settings, hostname, cluster);
	return found != NULL ? account_on(in, found) : NULL;
}

static const char *site_path_for(const char *hostname, const char *cluster, const char *name, void *arg,
				 struct nel_err *err)
{
	const struct planned_input *in = arg;
	const struct settings_cluster *found = find_cluster(in->settings, hostname, cluster);
	const char *path = found != NULL ? settings_cluster_path(found, name) : NULL;
	if (path != NULL)
		return path;
	CLEANUP(str_done) struct str text = {0};
	for (size_t i = 0; found != NULL && i < found->path_count; i++)
		str_appendf(&text, "%s%s", i > 0 ? ", " : "", found->paths[i].name);
	if (found == NULL && cluster != NULL)
		err_set(err, NEL_INVALID, "no cluster here has the name \"%s\", whose path ${site:%s} would be",
			cluster, name);
	else if (found == NULL)
		err_set(err, NEL_INVALID,
			"${site:%s} is a path of the cluster, and execution names none that is known here", name);
	else
		err_set(err, NEL_INVALID, "cluster %s has no path \"%s\" (clusters[].paths); it has: %s", found->name,
			name, text.len > 0 ? str_text(&text) : "none");
	return NULL;
}

/* The checks of what a config alone does not tell. The plan may be of a config with errors: what it lacks is NULL. */
struct checks {
	const struct planned_input *in;
	struct planned *planned;
	const struct source_map *map;
	struct problems *errors;
};

/* A problem that this layer finds, with its place in the submitted text. */
static void add_problem(const struct checks *c, const char *pointer, const char *message)
{
	int line = 0;
	int column = 0;
	source_map_find(c->map, pointer, &line, &column);
	problems_add(c->errors, pointer, line, column, "%s", message);
}

static void list_clusters(const struct settings *settings, const char *key, const char *value, struct str *text)
{
	size_t shown = 0;
	str_appendf(text, "no cluster here has the %s \"%s\"; there are:", key, value);
	for (size_t i = 0; i < settings->cluster_count; i++)
		if (!settings->clusters[i].draining)
			str_appendf(text, "%s %s (%s)", shown++ > 0 ? "," : "", settings->clusters[i].name,
				    settings->clusters[i].hostname);
	if (shown == 0)
		str_append(text, " none");
}

static void check_cluster(const struct checks *c)
{
	const struct planned_input *in = c->in;
	struct planned *planned = c->planned;
	const struct eval_plan *plan = planned->plan;
	planned->cluster = find_cluster(in->settings, plan->hostname, plan->cluster);
	if (planned->cluster != NULL)
		planned->plan->containers = planned->cluster->containers;
	if ((planned->cluster != NULL && !planned->cluster->draining) || in->offline ||
	    (plan->cluster == NULL && plan->hostname == NULL))
		return;
	bool by_name = plan->cluster != NULL;
	struct str text = {0};
	if (planned->cluster != NULL)
		str_appendf(&text, "cluster %s is draining: its jobs go on to their ends, and it takes no new ones",
			    planned->cluster->name);
	else
		list_clusters(in->settings, by_name ? "name" : "hostname", by_name ? plan->cluster : plan->hostname,
			      &text);
	add_problem(c, by_name ? "/execution/cluster" : "/execution/hostname", str_text(&text));
	str_done(&text);
}

static bool lies_under(const char *path, const char *root)
{
	size_t len = strlen(root);
	while (len > 1 && root[len - 1] == '/')
		len--;
	return strncmp(path, root, len) == 0 && (path[len] == '/' || path[len] == '\0' || len == 1);
}

static bool has_dot_dot(const char *path)
{
	for (const char *p = strstr(path, "/.."); p != NULL; p = strstr(p + 1, "/.."))
		if (p[3] == '/' || p[3] == '\0')
			return true;
	return false;
}

static void check_output_dir(const struct checks *c)
{
	const struct settings_cluster *cluster = c->planned->cluster;
	const char *dir = c->planned->plan->output_dir;
	if (cluster == NULL || dir == NULL || cluster->output_roots == NULL || cluster->output_roots[0] == NULL)
		return;
	for (char **root = cluster->output_roots; *root != NULL; root++)
		if (lies_under(dir, *root) && !has_dot_dot(dir))
			return;
	struct str text = {0};
	str_appendf(&text, "%s lies outside of what cluster %s allows: ", dir, cluster->name);
	for (char **root = cluster->output_roots; *root != NULL; root++)
		str_appendf(&text, "%s%s", root != cluster->output_roots ? ", " : "", *root);
	add_problem(c, "/execution/output_dir", str_text(&text));
	str_done(&text);
}

static void check_username(const struct checks *c)
{
	const struct planned_input *in = c->in;
	struct planned *planned = c->planned;
	const struct settings_cluster *cluster = planned->cluster;
	const char *account = cluster != NULL ? account_on(in, cluster) : NULL;
	const char *wanted = planned->plan->username;
	if (account == NULL)
		return;
	if (cluster->identity_per_user)
		identity_name(in->request->actor->name, account, planned->identity);
	else
		snprintf(planned->identity, sizeof planned->identity, "%s", account);
	if (wanted == NULL || strcmp(wanted, account) == 0)
		return;
	CLEANUP(mem_freep)
	char *text = cluster->identity_per_user
			 ? mem_printf("your jobs on cluster %s run as %s, not as %s: leave execution.username out, or "
				      "change your account there with PUT /v1/identities/%s; its owner has to let your "
				      "key in",
				      cluster->name, account, wanted, cluster->name)
			 : mem_printf("jobs on cluster %s run as %s, not as %s: leave execution.username out",
				      cluster->name, account, wanted);
	add_problem(c, "/execution/username", text);
}

/* Where one of several is to be chosen, a cluster that does not let the person in is none of them. */
static void check_access(const struct checks *c)
{
	const struct planned_input *in = c->in;
	const struct settings_cluster *cluster = c->planned->cluster;
	if (cluster == NULL || !cluster->identity_per_user || in->offline)
		return;
	for (size_t i = 0; in->identities != NULL && i < in->identities->count; i++)
		if (strcmp(in->identities->items[i].cluster, cluster->name) == 0 &&
		    in->identities->items[i].state == IDENTITY_OK)
			return;
	CLEANUP(mem_freep)
	char *text = mem_printf("your key is not let in on cluster %s yet: see GET /v1/identities/%s", cluster->name,
				cluster->name);
	add_problem(c, "/execution/cluster", text);
}

static void check_secrets(const struct checks *c)
{
	char **names = eval_plan_secret_names(c->planned->plan);
	for (char **name = names; *name != NULL; name++) {
		if (!c->in->offline && submit_request_env(c->in->request, *name) == NULL &&
		    (c->in->stored == NULL || !secret_names_have(c->in->stored, *name, c->planned->plan))) {
			CLEANUP(mem_freep) char *pointer = eval_plan_secret_place(c->planned->plan, *name);
			CLEANUP(mem_freep)
			char *text =
			    mem_printf("the secret %s is wanted (host:%s) and is not there: send it in an env_file "
				       "(nelctl run --env-file FILE, curl -F env_file=@FILE) or the envelope's env, "
				       "or store it (nelctl secret set %s, PUT /v1/secrets/%s)",
				       *name, *name, *name, *name);
			add_problem(c, pointer, text);
		}
		free(*name);
	}
	free(names);
}

/* What only shows when the script is written: values that an sbatch option cannot hold, and what all of them come to.
 */
static void check_scripts(const struct planned *planned, struct problems *errors)
{
	size_t size = 0;
	for (size_t i = 0; i < planned->plan->job_count; i++) {
		struct nel_err err;
		struct str header = {0};
		const struct attempt_order order = script_first_order(planned->plan, (int)i, "check");
		if (script_render_header(planned->plan, &order, "0000000000000000", "/check", &header, &err) != 0) {
			CLEANUP(mem_freep) char *pointer = mem_printf("/evaluation/tasks/%zu", i);
			problems_add(errors, pointer, 0, 0, "%s", err.msg);
		}
		size += header.len;
		str_done(&header);
		if (size > PLANNED_SCRIPTS_MAX) {
			problems_add(errors, "/evaluation/tasks", 0, 0,
				     "the run.sub of these tasks come to more than %d bytes, with the commands and "
				     "variables of all servers in each: split the evaluation, or make these shorter",
				     PLANNED_SCRIPTS_MAX);
			return;
		}
	}
}

/* Is there a quota that a submission of the actor's with these labels counts against? */
static bool has_quota(const struct settings *settings, const struct submit_request *request)
{
	const struct settings_quotas *quotas = &settings->quotas;
	if (!quotas->any)
		return false;
	if (quotas->all_gpu_s >= 0 || settings_quota_of(settings, request->actor->name) >= 0)
		return true;
	for (size_t i = 0; i < quotas->label_count; i++) {
		for (size_t k = 0; k < request->label_count && quotas->labels[i].gpu_s >= 0; k++) {
			const struct name_value *label = &request->labels[k];
			size_t len = strlen(label->name);
			const char *name = quotas->labels[i].name;
			if (strncmp(name, label->name, len) == 0 && name[len] == ':' &&
			    strcmp(name + len + 1, label->value) == 0)
				return true;
		}
	}
	return false;
}

/* What an attempt queues itself asks no quota. */
static void keep_to_quotas(const struct checks *c)
{
	struct eval_plan *plan = c->planned->plan;
	if (c->in->offline || plan->resume_mode != RESUME_IN_JOB || !has_quota(c->in->settings, c->in->request))
		return;
	plan->resume_mode = RESUME_DAEMON;
	problems_add(
	    &c->planned->warnings, "/execution/auto_resume/mode", 0, 0,
	    "auto_resume.mode is daemon here, not in_job: a quota of GPU hours counts this submission, and attempts "
	    "that a job queues itself would not ask it");
}

static void add_refusal(const char *pointer, const char *message, void *arg)
{
	add_problem(arg, pointer, message);
}

/* The other way round than the config says: who shares an account does not get its home. */
static void leave_home_out(struct planned *planned)
{
	static const char pointer[] = "/execution/mounts/mount_home";
	if (!apart_leave_home_out(planned->plan))
		return;
	for (size_t i = 0; i < planned->warnings.count; i++) {
		struct problem *warning = &planned->warnings.items[i];
		if (strcmp(warning->pointer, pointer) != 0)
			continue;
		free(warning->message);
		warning->message = mem_printf("The home directory is not mounted on cluster %s, for people share the "
					      "account %s there; mount_home: false says the same",
					      planned->cluster->name, planned->cluster->username);
	}
}

static int check_mounts(struct checks *c, struct nel_err *err)
{
	const struct settings_cluster *cluster = c->planned->cluster;
	if (cluster == NULL || c->in->offline)
		return 0;
	if (apart_check_mounts(c->planned->plan, c->in->settings, cluster, c->in->db,
			       role_name(c->in->request->actor->role), add_refusal, c, err) != 0)
		return -1;
	if (!cluster->identity_per_user)
		leave_home_out(c->planned);
	return 0;
}

static bool role_in(char *const *roles, enum role role)
{
	return roles != NULL && str_in(role_name(role), (const char *const *)roles);
}

/* There is no plan, but what was warned of may say why. Returns -1. */
static int keep_warnings(struct planned *planned, struct planned *ret_planned)
{
	*ret_planned = (struct planned){.warnings = planned->warnings};
	planned->warnings = (struct problems){0};
	return -1;
}

/* With that place, where the config leaves it open. Then errors and ret_planned are of this place alone. */
static int make(const struct planned_input *in, const char *place, struct planned *ret_planned, struct problems *errors,
		struct nel_err *err)
{
	const struct settings *settings = in->settings;
	const struct submit_request *request = in->request;
	CLEANUP(source_map_freep) struct source_map *map = NULL;
	const struct eval_input input = {
	    .text = request->text,
	    .size = request->size,
	    .json = request->json,
	    .overrides = request->overrides,
	    .override_count = request->override_count,
	    .tasks = request->tasks,
	    .task_count = request->task_count,
	    .groups_dir = settings->groups_dir,
	    .catalogue = in->catalogue,
	    .allowed_env = (const char *const *)settings->allowed_env,
	    .username_for = username_for,
	    .username_arg = (void *)(uintptr_t)in,
	    .site_path_for = site_path_for,
	    .site_arg = (void *)(uintptr_t)in,
	    .place = place,
	    .now_s = in->now_s,
	    .allow_commands = in->offline || role_in(settings->allow_commands, request->actor->role),
	    .allow_unlisted_tasks = in->offline || role_in(settings->allow_unlisted_tasks, request->actor->role),
	    .need_hostname = !in->offline,
	    .strict = request->strict,
	    .convert = request->convert,
	    .checkpoint = request->checkpoint,
	};
	CLEANUP(planned_done) struct planned planned = {0};
	bool sound = eval_config_plan(&input, &planned.plan, &map, errors, &planned.warnings, err) == 0;
	if (planned.plan == NULL)
		return keep_warnings(&planned, ret_planned);
	if (planned.plan->open_clusters != NULL) {
		*ret_planned = planned;
		planned = (struct planned){0};
		return 0;
	}
	struct checks checks = {.in = in, .planned = &planned, .map = map, .errors = errors};
	check_cluster(&checks);
	keep_to_quotas(&checks);
	check_output_dir(&checks);
	check_username(&checks);
	if (place != NULL)
		check_access(&checks);
	if (check_mounts(&checks, err) != 0)
		return -1;
	check_secrets(&checks);
	size_t before = errors->count;
	plan_containers_check(planned.plan, add_refusal, &checks);
	if (sound && errors->count == before)
		check_scripts(&planned, errors);
	if (errors->count > 0) {
		err_set(err, NEL_INVALID, "the config has %zu problem%s: %s", errors->count,
			errors->count == 1 ? "" : "s", errors->items[0].message);
		return keep_warnings(&planned, ret_planned);
	}
	*ret_planned = planned;
	planned = (struct planned){0};
	return 0;
}

/* What makes a place impossible, once each: most of it is the same everywhere. */
static void add_errors(const struct problems *of_place, struct problems *errors)
{
	for (size_t i = 0; i < of_place->count; i++) {
		const struct problem *error = &of_place->items[i];
		bool known = false;
		for (size_t e = 0; e < errors->count && !known; e++)
			known = strcmp(errors->items[e].pointer, error->pointer) == 0 &&
				strcmp(errors->items[e].message, error->message) == 0;
		if (!known)
			problems_add(errors, error->pointer, error->line, error->column, "%s", error->message);
	}
}

static void warn_of_left_out(struct planned *planned)
{
	for (size_t i = 0; i < planned->candidate_count; i++)
		if (planned->candidates[i].plan == NULL && planned->candidates[i].why != NULL)
			problems_add(&planned->warnings, "/execution/cluster", 0, 0, "cluster %s is left out: %s",
				     planned->candidates[i].cluster, planned->candidates[i].why);
}

/* One of the places that are open. -1: what has nothing to do with the config. */
static int make_candidate(const struct planned_input *in, const char *name, struct planned *planned,
			  struct problems *errors, struct nel_err *err)
{
	struct planned_candidate *candidate = &planned->candidates[planned->candidate_count++];
	CLEANUP(planned_done) struct planned one = {0};
	CLEANUP(problems_done) struct problems of_place = {0};
	candidate->cluster = mem_strdup(name);
	if (make(in, name, &one, &of_place, err) != 0) {
		if (of_place.count == 0)
			return -1;
		candidate->why = mem_strdup(of_place.items[0].message);
		add_errors(&of_place, errors);
		return 0;
	}
	memcpy(candidate->identity, one.identity, sizeof candidate->identity);
	if (planned->plan == NULL) {
		planned->cluster = one.cluster;
		memcpy(planned->identity, one.identity, sizeof planned->identity);
		planned->warnings = one.warnings;
		one.warnings = (struct problems){0};
		planned->plan = one.plan;
	}
	candidate->plan = TAKE(one.plan);
	return 0;
}

static int make_open(const struct planned_input *in, char *const *names, struct planned *ret_planned,
		     struct problems *errors, struct nel_err *err)
{
	const struct settings *settings = in->settings;
	bool any = strcmp(names[0], "any") == 0;
	CLEANUP(planned_done) struct planned planned = {0};
	CLEANUP(problems_done) struct problems found = {0};
	size_t count = any ? settings->cluster_count : 0;
	while (!any && names[count] != NULL)
		count++;
	planned.candidates = mem_calloc(count + 1, sizeof *planned.candidates);
	for (size_t i = 0; i < count; i++) {
		if (any && settings->clusters[i].draining)
			continue;
		if (make_candidate(in, any ? settings->clusters[i].name : names[i], &planned, &found, err) != 0)
			return -1;
	}
	if (planned.plan == NULL) {
		add_errors(&found, errors);
		if (errors->count == 0)
			problems_add(errors, "/execution/cluster", 0, 0, "there is no cluster that takes new jobs");
		err_set(err, NEL_INVALID, "the config can run on none of its clusters: %s", errors->items[0].message);
		return -1;
	}
	warn_of_left_out(&planned);
	*ret_planned = planned;
	planned = (struct planned){0};
	return 0;
}

int planned_make(const struct planned_input *in, struct planned *ret_planned, struct problems *errors,
		 struct nel_err *err)
{
	CLEANUP(planned_done) struct planned planned = {0};
	if (make(in, NULL, &planned, errors, err) != 0)
		return keep_warnings(&planned, ret_planned);
	if (planned.plan->open_clusters != NULL)
		return make_open(in, planned.plan->open_clusters, ret_planned, errors, err);
	if (planned.plan->move_after_s > 0)
		problems_add(&planned.warnings, "/execution/move_after", 0, 0,
			     "move_after has no effect with one cluster: execution.cluster is a list of names, or any, "
			     "where there are several");
	*ret_planned = planned;
	planned = (struct planned){0};
	return 0;
}

/* Writes the data of run.sub: readonly variables of bash, quoted so that nothing in them is ever run. */
#include "slurm/script_data.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <ctype.h>
#include <string.h>

#define NAME_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
#define PORT_MAX 65535

/* Variables that bash does not let anyone set (bash(1), Shell Variables). */
static const char *const fixed_names[] = {"BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "SHELLOPTS", "UID", NULL};

/* sbatch takes lines of the whole script that begin with #PBS or #BSUB for options (Slurm 22.05 does, even within
 * quotes), so no line of the data may begin with '#'. */
static void append_quoted(struct str *s, const char *text)
{
	const char *end;
	while ((end = strstr(text, "\n#")) != NULL) {
		CLEANUP(mem_freep) char *part = mem_strndup(text, (size_t)(end - text) + 1);
		str_append_shell(s, part);
		text = end + 1;
	}
	str_append_shell(s, text);
}

static int append_word(struct str *s, const char *what, const char *text, struct nel_err *err)
{
	if (strlen(text) > SCRIPT_WORD_MAX)
		return err_set(err, NEL_INVALID, "%s is longer than %d bytes", what, SCRIPT_WORD_MAX);
	append_quoted(s, text);
	return 0;
}

static int append_assignment(struct str *s, const char *name, const char *text, struct nel_err *err)
{
	str_append(s, name);
	str_append_c(s, '=');
	if (append_word(s, name, text, err) != 0)
		return -1;
	str_append_c(s, '\n');
	return 0;
}

static int append_text(struct str *s, const char *name, const char *text, struct nel_err *err)
{
	str_append(s, "readonly ");
	return append_assignment(s, name, text, err);
}

static void append_number(struct str *s, const char *name, int64_t value)
{
	str_append(s, "readonly ");
	str_append(s, name);
	str_append_c(s, '=');
	str_append_int(s, value);
	str_append_c(s, '\n');
}

static void append_place(struct str *s, const char *name, size_t index)
{
	str_append(s, name);
	str_append_c(s, '[');
	str_append_int(s, (int64_t)index);
	str_append(s, "]=");
}

/* NAME[index]=... of the arrays that have one value for each server. */
static int append_element(struct str *s, const char *name, size_t index, const char *text, struct nel_err *err)
{
	append_place(s, name, index);
	if (append_word(s, name, text, err) != 0)
		return -1;
	str_append_c(s, '\n');
	return 0;
}

static void append_number_element(struct str *s, const char *name, size_t index, int value)
{
	append_place(s, name, index);
	str_append_int(s, value);
	str_append_c(s, '\n');
}

/* reference: to a port that is chosen on the node; or NULL. */
static void append_port_element(struct str *s, const char *name, size_t index, int port, const char *reference)
{
	if (reference == NULL) {
		append_number_element(s, name, index, port);
		return;
	}
	append_place(s, name, index);
	append_quoted(s, reference);
	str_append_c(s, '\n');
}

static int append_mount(struct str *s, const char *source, const char *target, const char *flags, struct nel_err *err)
{
	if (*source != '/' || *target != '/')
		return err_set(err, NEL_INVALID, "the mount '%s:%s' is not of absolute paths", source, target);
	if (strpbrk(source, ":,") != NULL || strpbrk(target, ":,") != NULL || str_has_control(source) ||
	    str_has_control(target) || (flags != NULL && (strchr(flags, ',') != NULL || str_has_control(flags))))
		return err_set(err, NEL_INVALID, "the mount of '%s' has a ':', ',' or control character", source);
	str_appendf(s, "%s%s:%s", s->len > 0 ? "," : "", source, target);
	if (flags != NULL)
		str_appendf(s, ":%s", flags);
	return 0;
}

/* The list as Pyxis takes it; results: the artifacts directory at /results comes first. free() it; NULL on error. */
static char *mount_text(const struct mount_list *mounts, const char *job_dir, bool results, struct nel_err *err)
{
	struct str text = {0};
	int rc = 0;
	if (results) {
		CLEANUP(mem_freep) char *artifacts = mem_printf("%s/artifacts", job_dir);
		rc = append_mount(&text, artifacts, "/results", NULL, err);
	}
	for (size_t i = 0; rc == 0 && i < mounts->count; i++)
		rc = append_mount(&text, mounts->items[i].source, mounts->items[i].target, mounts->items[i].flags, err);
	if (rc == 0)
		return str_take(&text);
	str_done(&text);
	return NULL;
}

/* The image as what starts containers on the cluster wants it. free() it; NULL on error. */
static char *image_text(const struct eval_plan *plan, const char *image, struct nel_err *err)
{
	return plan->containers == CONTAINERS_APPTAINER ? containers_apptainer_image(image, err) : mem_strdup(image);
}

static int append_image(struct str *s, const char *name, const struct eval_plan *plan, const char *image,
			struct nel_err *err)
{
	CLEANUP(mem_freep) char *text = image_text(plan, image, err);
	return text != NULL ? append_text(s, name, text, err) : -1;
}

void script_append_consumer(struct str *s, const struct server *server)
{
	str_appendf(s, "%s%s", server->env_prefix == NULL ? "" : "auxiliary.", server->name);
}

/* In mode in_job the same script serves the successor, which is told its number. */
static void append_attempt(const struct script_data *data, struct str *s)
{
	if (data->plan->resume_mode == RESUME_IN_JOB)
		str_appendf(s, "readonly NEL_ATTEMPT=${1:-%d}\n", data->attempt);
	else
		append_number(s, "NEL_ATTEMPT", data->attempt);
}

/* What an attempt needs to queue the next one. */
/* The length of a job name without ".<attempt>": what all attempts of a chain share. */
static size_t name_stem(const char *job_name)
{
	const char *dot = strrchr(job_name, '.');
	return dot != NULL ? (size_t)(dot - job_name) : strlen(job_name);
}

static int append_chain(const struct script_data *data, struct str *s, struct nel_err *err)
{
	const struct eval_plan *plan = data->plan;
	CLEANUP(mem_freep) char *stem = mem_strndup(data->job_name, name_stem(data->job_name));
	if (append_text(s, "NEL_NAME_STEM", stem, err) != 0)
		return -1;
	if (plan->resume_mode != RESUME_IN_JOB) {
		str_appendf(s, "readonly NEL_RESUME_MODE=%s\n", plan->resume_mode == RESUME_OFF ? "off" : "daemon");
		append_number(s, "NEL_BUDGET_LEFT_S", data->budget_left_s);
		return 0;
	}
	str_append(s, "\n# The chain: each attempt queues the next one.\nreadonly NEL_RESUME_MODE=in_job\n"
		      "readonly NEL_RESUME_ON=(");
	for (char **state = plan->resume_on; state != NULL && *state != NULL; state++) {
		if (state != plan->resume_on)
			str_append_c(s, ' ');
		if (append_word(s, "a Slurm state", *state, err) != 0)
			return -1;
	}
	str_append(s, ")\n");
	append_number(s, "NEL_WALLTIME_S", plan->walltime_s);
	append_number(s, "NEL_BUDGET_S", plan->max_walltime_s);
	append_number(s, "NEL_BUDGET_FROM", data->budget_from);
	append_number(s, "NEL_MAX_ATTEMPTS", plan->max_attempts);
	return 0;
}

static int append_task(const struct plan_job *job, struct str *s, struct nel_err *err)
{
	append_number(s, "NEL_JOB_INDEX", job->index);
	return append_text(s, "NEL_TASK", job->task, err);
}

/* Of several jobs each has its own in its shell, and the chain has one beside. */
static int append_job_dir(const struct script_data *data, const char *job_dir, struct str *s, struct nel_err *err)
{
	if (data->shared == NULL)
		return append_text(s, "NEL_JOB_DIR", job_dir, err);
	return append_assignment(s, "NEL_JOB_DIR", job_dir, err);
}

static int append_job(const struct script_data *data, struct str *s, struct nel_err *err)
{
	const struct eval_plan *plan = data->plan;
	str_append(
	    s,
	    "\n# shellcheck disable=SC1003,SC2016,SC2088 # The data is taken as it is: nothing in it is expanded.\n");
	str_append(s, "\n# The job.\n");
	if (append_text(s, "NEL_EVALUATION", data->evaluation, err) != 0)
		return -1;
	if (data->job != NULL && append_task(data->job, s, err) != 0)
		return -1;
	append_attempt(data, s);
	if (append_job_dir(data, data->job_dir, s, err) != 0)
		return -1;
	append_number(s, "NEL_TOTAL_NODES", plan->total_nodes);
	append_number(s, "NEL_READINESS_TIMEOUT_S", plan->readiness_timeout_s);
	if (plan->idle_limit_s > 0)
		append_number(s, "NEL_IDLE_LIMIT_S", plan->idle_limit_s);
	if (append_text(s, "NEL_MPI", plan->mpi == NULL ? "" : plan->mpi, err) != 0)
		return -1;
	if (plan->containers != CONTAINERS_PYXIS &&
	    append_text(s, "NEL_CONTAINERS", containers_name(plan->containers), err) != 0)
		return -1;
	return append_chain(data, s, err);
}

/* A path of a URL, which also stands in HAProxy's configuration as one word. */
static int check_path(const char *what, const char *path, struct nel_err *err)
{
	if (*path != '/')
		return err_set(err, NEL_INVALID, "%s '%s' does not begin with '/'", what, path);
	for (const char *p = path; *p != '\0'; p++)
		if (*p <= ' ' || *p >= 0x7f || strchr("\"'\\#", *p) != NULL)
			return err_set(err, NEL_INVALID, "%s '%s' has a character that a URL cannot hold", what, path);
	return 0;
}

static bool is_variable(const char *name)
{
	if (!isalpha((unsigned char)*name) && *name != '_')
		return false;
	for (const char *p = name; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && *p != '_')
			return false;
	return true;
}

static int check_server(const struct server *server, const struct eval_plan *plan, struct nel_err *err)
{
	const char *name = server->name;
	if (*name == '\0' || name[strspn(name, NAME_BYTES)] != '\0')
		return err_set(err, NEL_INVALID, "'%s' is no name for a server: use letters, digits, '_', '.' and '-'",
			       name);
	if (server->env_prefix != NULL && !is_variable(server->env_prefix))
		return err_set(err, NEL_INVALID, "the env_prefix '%s' of %s is no variable", server->env_prefix, name);
	if (*server->image == '\0')
		return err_set(err, NEL_INVALID, "%s has no image", name);
	if (*server->command == '\0')
		return err_set(err, NEL_INVALID,
			       "%s has no command; an image's entrypoint is not run by itself, so name it as the "
			       "command",
			       name);
	if (server->num_instances < 1 || server->num_nodes < server->num_instances ||
	    server->num_nodes % server->num_instances != 0 ||
	    server->first_node + server->num_nodes > plan->total_nodes)
		return err_set(err, NEL_INVALID, "%d instances of %s cannot be spread over %d nodes",
			       server->num_instances, name, server->num_nodes);
	if (server->n_tasks < server->num_instances)
		return err_set(err, NEL_INVALID, "%d tasks of %s are too few for %d instances", server->n_tasks, name,
			       server->num_instances);
	if (server->port < 1 || server->port > PORT_MAX)
		return err_set(err, NEL_INVALID, "%d is no port for %s", server->port, name);
	if (check_path("the health path", server->health_path, err) != 0)
		return -1;
	return server->num_instances > 1 ? check_path("the proxy's health path", server->proxy_health_path, err) : 0;
}

static int append_server(const struct script_data *data, const struct server *server, size_t index, struct str *s,
			 struct nel_err *err)
{
	if (check_server(server, data->plan, err) != 0)
		return -1;
	CLEANUP(mem_freep)
	char *mounts = mount_text(&server->mounts, data->job_dir, server->env_prefix == NULL, err);
	if (mounts == NULL)
		return -1;
	CLEANUP(mem_freep) char *image = image_text(data->plan, server->image, err);
	if (image == NULL)
		return -1;
	bool proxy = server->num_instances > 1;
	str_appendf(s, "\n# Server %zu.\n", index);
	if (append_element(s, "NEL_SERVER_NAME", index, server->name, err) != 0 ||
	    append_element(s, "NEL_SERVER_IMAGE", index, image, err) != 0 ||
	    append_element(s, "NEL_SERVER_COMMAND", index, server->command, err) != 0 ||
	    append_element(s, "NEL_SERVER_PRE_CMD", index, server->pre_cmd, err) != 0 ||
	    append_element(s, "NEL_SERVER_MOUNTS", index, mounts, err) != 0 ||
	    append_element(s, "NEL_SERVER_MOUNT_HOME", index, server->mount_home ? "yes" : "no", err) != 0)
		return -1;
	append_number_element(s, "NEL_SERVER_FIRST_NODE", index, server->first_node);
	append_number_element(s, "NEL_SERVER_NODES", index, server->num_nodes);
	append_number_element(s, "NEL_SERVER_INSTANCES", index, server->num_instances);
	append_number_element(s, "NEL_SERVER_TASKS", index, server->n_tasks);
	append_port_element(s, "NEL_SERVER_PORT", index, server->port, server->port_reference);
	if (append_element(s, "NEL_SERVER_HEALTH_PATH", index, server->health_path, err) != 0)
		return -1;
	append_port_element(s, "NEL_SERVER_PROXY_PORT", index, proxy ? server->proxy_port : 0,
			    proxy ? server->proxy_port_reference : NULL);
	if (append_element(s, "NEL_SERVER_PROXY_HEALTH_PATH", index, proxy ? server->proxy_health_path : "", err) != 0)
		return -1;
	append_number_element(s, "NEL_SERVER_PROXY_HEALTH_STATUS", index, proxy ? server->proxy_health_status : 0);
	if (append_element(s, "NEL_SERVER_ENV_PREFIX", index, server->env_prefix == NULL ? "" : server->env_prefix,
			   err) != 0)
		return -1;
	return append_element(s, "NEL_SERVER_MODEL_ID", index,
			      server->served_model_name == NULL ? "" : server->served_model_name, err);
}

/* The deployment is server 0 when there is one; the auxiliaries follow. NULL past the last. */
static const struct server *server_at(const struct eval_plan *plan, size_t index)
{
	if (plan->deployment != NULL) {
		if (index == 0)
			return plan->deployment;
		index--;
	}
	return index < plan->auxiliary_count ? &plan->auxiliaries[index] : NULL;
}

/* Ports of servers that nothing but their commands knows of. */
static void append_more_ports(const struct script_data *data, struct str *s)
{
	const struct server *server;
	str_append(s, "\n# Further ports that are chosen on the nodes.\nreadonly NEL_MORE_PORTS=(\n");
	for (size_t i = 0; (server = server_at(data->plan, i)) != NULL; i++) {
		for (char **at = server->ray_port_references; at != NULL && *at != NULL; at++) {
			str_append(s, "    ");
			append_quoted(s, *at);
			str_append_c(s, '\n');
		}
	}
	str_append(s, ")\n");
}

/* JUDGE_CHAT_URL of the auxiliaries: the number of the server, the variable, the path. Health is nobody's endpoint. */
static int append_endpoints(const struct script_data *data, struct str *s, struct nel_err *err)
{
	str_append(s, "\n# What the evaluation is told of the auxiliaries' endpoints: server, variable, path.\n"
		      "readonly NEL_ENDPOINTS=(\n");
	const struct server *server;
	for (size_t i = 0; (server = server_at(data->plan, i)) != NULL; i++) {
		for (size_t e = 0; server->env_prefix != NULL && e < server->endpoint_count; e++) {
			const struct endpoint *endpoint = &server->endpoints[e];
			if (strcmp(endpoint->name, "health") == 0)
				continue;
			if (check_path("the endpoint's path", endpoint->path, err) != 0)
				return -1;
			str_appendf(s, "    %zu %s_", i, server->env_prefix);
			for (const char *p = endpoint->name; *p != '\0'; p++)
				str_append_c(s, isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_');
			str_append(s, "_URL ");
			append_quoted(s, endpoint->path);
			str_append_c(s, '\n');
		}
	}
	str_append(s, ")\n");
	return 0;
}

static int append_servers(const struct script_data *data, struct str *s, struct nel_err *err)
{
	const struct server *server;
	size_t count = 0;
	bool proxy = false;
	str_append(s, "\n# The model servers, in the order of their nodes.\nNEL_SERVER_NAME=()\n");
	while ((server = server_at(data->plan, count)) != NULL) {
		if (append_server(data, server, count++, s, err) != 0)
			return -1;
		proxy = proxy || server->num_instances > 1;
	}
	str_append(s, "readonly NEL_SERVER_NAME");
	if (count > 0)
		str_append(s,
			   " NEL_SERVER_IMAGE NEL_SERVER_COMMAND NEL_SERVER_PRE_CMD NEL_SERVER_MOUNTS \\\n"
			   "    NEL_SERVER_MOUNT_HOME NEL_SERVER_FIRST_NODE NEL_SERVER_NODES NEL_SERVER_INSTANCES \\\n"
			   "    NEL_SERVER_TASKS NEL_SERVER_PORT NEL_SERVER_HEALTH_PATH NEL_SERVER_PROXY_PORT \\\n"
			   "    NEL_SERVER_PROXY_HEALTH_PATH NEL_SERVER_PROXY_HEALTH_STATUS NEL_SERVER_ENV_PREFIX \\\n"
			   "    NEL_SERVER_MODEL_ID");
	str_append_c(s, '\n');
	if (proxy && append_image(s, "NEL_PROXY_IMAGE", data->plan, data->plan->proxy_image, err) != 0)
		return -1;
	append_more_ports(data, s);
	return append_endpoints(data, s, err);
}

void script_append_name(struct str *s, const char *name)
{
	/* ld.so(8), bash(1), srun(1), enroot's configuration.md, and what these load or run: Lua of Slurm's plugins,
	 * curl with OpenSSL, tar, parallel, wrappers in Python; '*': whatever begins so. In any case. */
	static const char *const acting[] = {"LD_*",        "GLIBC_*",     "GCONV_PATH",  "LOCPATH",
					     "NLSPATH",     "MALLOC_*",    "BASH*",       "ENV",
					     "IFS",         "PS4",         "PATH",        "CDPATH",
					     "SHELL",       "HOME",        "TMPDIR",      "XDG_*",
					     "SLURM*",      "SBATCH_*",    "SALLOC_*",    "SRUN_*",
					     "SQUEUE_*",    "SACCT_*",     "SCANCEL_*",   "SPANK_*",
					     "PMI*",        "PYXIS*",      "ENROOT_*",    "CURL_*",
					     "HTTP_PROXY",  "HTTPS_PROXY", "ALL_PROXY",   "NO_PROXY",
					     "SSL_CERT_*",  "GLOBIGNORE",  "OPENSSL_*",   "KRB5*",
					     "HOSTALIASES", "RES_OPTIONS", "TAR_OPTIONS", "PERL*",
					     "PARALLEL*",   "PYTHON*",     "LUA_*",       "POSIXLY_CORRECT"};
	for (size_t i = 0; i < sizeof acting / sizeof acting[0]; i++) {
		if (toupper((unsigned char)*name) != *acting[i])
			continue;
		size_t len = strcspn(acting[i], "*");
		if (strncasecmp(name, acting[i], len) == 0 && (acting[i][len] == '*' || name[len] == '\0')) {
			str_append(s, "NEL_INSIDE_");
			break;
		}
	}
	str_append(s, name);
}

static int append_variable(const char *consumer, const struct env_var *var, struct str *s, struct nel_err *err)
{
	static const char *const sources[] = {
	    [ENV_HOST] = "secret", [ENV_LITERAL] = "literal", [ENV_RUNTIME] = "runtime"};
	if (!is_variable(var->name) || (var->source == ENV_RUNTIME && !is_variable(var->value)))
		return err_set(err, NEL_INVALID, "'%s' of %s is no variable",
			       is_variable(var->name) ? var->value : var->name, consumer);
	if (str_in(var->name, fixed_names))
		return err_set(err, NEL_INVALID, "%s of %s cannot be set: it belongs to the shell", var->name,
			       consumer);
	str_appendf(s, "    %s ", consumer);
	script_append_name(s, var->name);
	str_appendf(s, " %s ", sources[var->source]);
	if (append_word(s, var->name, var->source == ENV_HOST ? "" : var->value, err) != 0)
		return -1;
	str_append_c(s, '\n');
	return 0;
}

static int append_group(const char *consumer, const struct env_group *group, struct str *s, struct nel_err *err)
{
	for (size_t i = 0; i < group->count; i++)
		if (append_variable(consumer, &group->vars[i], s, err) != 0)
			return -1;
	return 0;
}

static void append_environment_begin(const struct script_data *data, struct str *s)
{
	str_append(s,
		   "\n# The variables of each container: whose, name, source, and the literal value or the variable to "
		   "read on the\n# node. Secrets are in .secrets.env.\n");
	str_append(s, data->shared == NULL ? "readonly NEL_ENVIRONMENT=(\n" : "NEL_ENVIRONMENT=(\n");
}

static int append_server_groups(const struct script_data *data, struct str *s, struct nel_err *err)
{
	const struct server *server;
	for (size_t i = 0; (server = server_at(data->plan, i)) != NULL; i++) {
		struct str consumer = {0};
		script_append_consumer(&consumer, server);
		int rc = append_group(str_text(&consumer), &server->env, s, err);
		str_done(&consumer);
		if (rc != 0)
			return -1;
	}
	return 0;
}

static int append_job_groups(const struct script_data *data, const struct plan_job *job, struct str *s,
			     struct nel_err *err)
{
	if (append_group(SCRIPT_EVALUATION, &job->env, s, err) != 0)
		return -1;
	return data->plan->export_ == NULL ? 0 : append_group(SCRIPT_EXPORT, &data->plan->export_->env, s, err);
}

static int append_environment(const struct script_data *data, struct str *s, struct nel_err *err)
{
	append_environment_begin(data, s);
	if (append_server_groups(data, s, err) != 0 ||
	    (data->job != NULL && append_job_groups(data, data->job, s, err) != 0))
		return -1;
	str_append(s, ")\n");
	return 0;
}

/* execution.mounts.mount_home holds for the evaluation too; true unless it says false. */
static bool mounts_home(const struct eval_plan *plan)
{
	const json_t *mounts = json_object_get(json_object_get(plan->resolved, "execution"), "mounts");
	return !json_is_false(json_object_get(mounts, "mount_home"));
}

static int append_evaluation(const struct script_data *data, const struct plan_job *job, const char *job_dir,
			     struct str *s, struct nel_err *err)
{
	if (job->container == NULL || *job->container == '\0')
		return err_set(err, NEL_INVALID, "task %s has no container", job->task);
	CLEANUP(mem_freep) char *mounts = mount_text(&job->mounts, job_dir, true, err);
	if (mounts == NULL)
		return -1;
	str_append(s, "\n# The evaluation.\n");
	if (append_image(s, "NEL_EVALUATION_IMAGE", data->plan, job->container, err) != 0 ||
	    append_text(s, "NEL_EVALUATION_MOUNTS", mounts, err) != 0 ||
	    append_text(s, "NEL_EVALUATION_MOUNT_HOME", mounts_home(data->plan) ? "yes" : "no", err) != 0 ||
	    append_text(s, "NEL_PRE_CMD", job->pre_cmd, err) != 0 ||
	    append_text(s, "NEL_POST_CMD", job->post_cmd, err) != 0)
		return -1;
	if (data->plan->conversion != NULL && append_text(s, "NEL_CONVERSION", data->plan->conversion, err) != 0)
		return -1;
	return append_text(s, "NEL_GPU_VISIBLE", job->gpu_visible == NULL ? "" : job->gpu_visible, err);
}

static int append_export(const struct script_data *data, struct str *s, struct nel_err *err)
{
	const struct plan_export *export_ = data->plan->export_;
	str_append(s, "\n# The export of the scores.\nreadonly NEL_EXPORT_DESTINATIONS=(");
	for (size_t i = 0; export_ != NULL && i < export_->destination_count; i++) {
		str_append(s, i == 0 ? "" : " ");
		if (append_word(s, "a destination", export_->destinations[i], err) != 0)
			return -1;
	}
	str_append(s, ")\n");
	if (export_ == NULL)
		return 0;
	CLEANUP(mem_freep) char *mounts = mount_text(&export_->mounts, data->job_dir, false, err);
	if (mounts == NULL)
		return -1;
	if (append_image(s, "NEL_EXPORT_IMAGE", data->plan, export_->image, err) != 0 ||
	    append_text(s, "NEL_EXPORT_MOUNTS", mounts, err) != 0 ||
	    append_text(s, "NEL_EXPORT_ACCOUNT", data->plan->account, err) != 0 ||
	    append_text(s, "NEL_OUTPUT_DIR", data->plan->output_dir, err) != 0 ||
	    append_text(s, "NEL_EXPORT_PARTITION", export_->partition, err) != 0)
		return -1;
	return append_text(s, "NEL_EXPORT_INSTALL_CMD", export_->install_cmd == NULL ? "" : export_->install_cmd, err);
}

/* The data of one of several jobs, which its shell takes by calling the function. */
static int append_shared_job(const struct script_data *data, const struct script_job *shared, struct str *s,
			     struct nel_err *err)
{
	str_appendf(s, "\n# Job %d.\ntake_data_%d() {\n", shared->job->index, shared->job->index);
	if (append_task(shared->job, s, err) != 0 || append_job_dir(data, shared->dir, s, err) != 0)
		return -1;
	append_environment_begin(data, s);
	if (append_job_groups(data, shared->job, s, err) != 0)
		return -1;
	str_append(s, ")\n");
	if (append_evaluation(data, shared->job, shared->dir, s, err) != 0)
		return -1;
	str_append(s, "}\n");
	return 0;
}

static int append_shared_jobs(const struct script_data *data, struct str *s, struct nel_err *err)
{
	str_append(s,
		   "\n# The jobs on the deployment, by the names of their directories and in their order, and how many "
		   "at once.\nreadonly NEL_JOBS=(\n");
	for (size_t i = 0; i < data->shared_count; i++) {
		str_append(s, "    ");
		if (append_word(s, "a job's name", data->shared[i].folder, err) != 0)
			return -1;
		str_append_c(s, '\n');
	}
	str_append(s, ")\n");
	append_number(s, "NEL_AT_ONCE", data->at_once);
	str_append(s, "readonly -A NEL_RESUMED_FOR=(");
	for (size_t i = 0; i < data->shared_count; i++) {
		if (data->shared[i].resumed_for == 0)
			continue;
		str_append(s, "[");
		if (append_word(s, "a job's name", data->shared[i].folder, err) != 0)
			return -1;
		str_appendf(s, "]=%d ", data->shared[i].resumed_for);
	}
	str_append(s, ")\n");
	for (size_t i = 0; i < data->shared_count; i++)
		if (append_shared_job(data, &data->shared[i], s, err) != 0)
			return -1;
	return 0;
}

int script_data_append(const struct script_data *data, struct str *s, struct nel_err *err)
{
	if (append_job(data, s, err) != 0 || append_servers(data, s, err) != 0 || append_environment(data, s, err) != 0)
		return -1;
	int rc = data->shared != NULL ? append_shared_jobs(data, s, err)
				      : append_evaluation(data, data->job, data->job_dir, s, err);
	return rc == 0 ? append_export(data, s, err) : -1;
}

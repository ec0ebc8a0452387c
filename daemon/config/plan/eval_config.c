/* The pipeline from a submitted text to a plan. Both ways to a plan, from text and from a stored resolved config, end
 * in build(), so that they cannot differ. */
#include "config/plan/eval_config.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/str_list.h"
#include "config/compose/compose.h"
#include "config/compose/free_ports.h"
#include "config/compose/interpolate.h"
#include "config/compose/site_keys.h"
#include "config/compose/task_names.h"
#include "config/plan/plan_convert.h"
#include "config/plan/plan_env.h"
#include "config/plan/plan_parts.h"
#include "config/text/yaml_json.h"

#include <string.h>

#define AUXILIARIES "auxiliary_deployments."
#define CURL_HINT "curl -d takes line breaks out, so send it with -F config=@FILE or --data-binary @FILE"

static bool is_none(const json_t *deployment)
{
	const char *type = json_string_value(json_object_get(deployment, "type"));
	return type != NULL && strcmp(type, "none") == 0;
}

/* Finds the parts of ctx->root; after it was filled in. */
static void open_root(struct plan_ctx *ctx)
{
	const struct reader *r = &ctx->reader;
	ctx->execution = reader_object(r, ctx->root, "", "execution");
	ctx->deployment = reader_object(r, ctx->root, "", "deployment");
	/* A section beside no group is none yet: that is told once, and not for each key that the group would bring. */
	if (ctx->deployment != NULL && reader_get(ctx->deployment, "type") == NULL)
		ctx->deployment = NULL;
	ctx->auxiliaries = reader_object(r, ctx->root, "", "auxiliary_deployments");
	ctx->evaluation = reader_object(r, ctx->root, "", "evaluation");
	ctx->target = reader_object(r, ctx->root, "", "target");
	ctx->mounts = reader_object(r, ctx->execution, "/execution", "mounts");
	ctx->deployment_none = is_none(ctx->deployment);
}

/* Fills ctx->plan from ctx->root. */
static void build(struct plan_ctx *ctx)
{
	ctx->plan->resolved = json_incref((json_t *)ctx->root);
	plan_execution(ctx);
	if (ctx->convert != NULL) {
		plan_convert(ctx);
		return;
	}
	plan_servers(ctx);
	plan_tasks(ctx);
	plan_export(ctx);
	plan_warnings(ctx);
}

/* *err is the first problem, and how many more there are. */
static int refuse(const struct problems *errors, struct nel_err *err)
{
	const char *first = errors->count == 0 ? "the config is wrong" : errors->items[0].message;
	if (errors->count > 1)
		return err_set(err, NEL_INVALID, "%s (and %zu more)", first, errors->count - 1);
	return err_set(err, NEL_INVALID, "%s", first);
}

/* References to auxiliary deployments are resolved by the planner; the rest must be there. */
static bool keep_reference(const char *key, void *arg)
{
	(void)arg;
	return str_starts_with(key, AUXILIARIES) && (str_ends_with(key, "_url") || str_ends_with(key, ".model_id"));
}

/* A text of the composed config that needs no interpolation; NULL otherwise. */
static const char *plain_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(reader_get(object, key));
	return text == NULL || strstr(text, "${") != NULL ? NULL : text;
}

static const char *find_username(const struct eval_input *in, const json_t *composed)
{
	const json_t *execution = json_object_get(composed, "execution");
	const char *name = NULL;
	if (in->username_for != NULL)
		name = in->username_for(plain_text(execution, "hostname"), plain_text(execution, "cluster"),
					in->username_arg);
	return name == NULL ? "" : name;
}

/* What ${site:NAME} is asked with: the pipeline's input, and which cluster it is about. */
struct site {
	const struct eval_input *in;
	const char *hostname;
	const char *cluster;
};

static const char *find_site_path(const char *name, void *arg, struct nel_err *err)
{
	const struct site *site = arg;
	return site->in->site_path_for(site->hostname, site->cluster, name, site->in->site_arg, err);
}

/* One line that begins with none of the characters that JSON, or a byte order mark before it, begins with. */
static bool is_word(const char *text, size_t size)
{
	static const char first[] = "./~_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	return size > 0 && memchr(first, text[0], strlen(first)) != NULL && memchr(text, '\n', size) == NULL;
}

static int refuse_other(struct problems *errors, bool may_be_a_name, struct nel_err *err)
{
	problems_add(errors, "", 1, 1, "A config is a mapping of sections such as execution and evaluation%s",
		     may_be_a_name
			 ? "; if this is the name of a file, curl sends what is in it with an '@' before it: -F "
			   "config=@FILE, --data-binary @FILE"
			 : "");
	return refuse(errors, err);
}

/* Nothing but space and comments; or a whole config behind one #. */
static int refuse_empty(const struct eval_input *in, struct problems *errors, struct nel_err *err)
{
	bool is_comment = in->size > 0 && in->text[0] == '#' && memchr(in->text, '\n', in->size) == NULL;
	problems_add(errors, "", 1, 1, "%s",
		     is_comment ? "The config is a single line that begins with #, and so a comment: " CURL_HINT
				: "The config is empty");
	return refuse(errors, err);
}

static void place_problem(const struct source_map *map, struct problems *errors, const char *message)
{
	static const char pointer[] = "/execution/cluster";
	int line = 0;
	int column = 0;
	source_map_find(map, pointer, &line, &column);
	problems_add(errors, pointer, line, column, "%s", message);
}

/* The names of execution.cluster where it leaves the cluster open; NULL where it names one. */
static char **find_open_clusters(const json_t *composed, const struct source_map *map, struct problems *errors)
{
	const json_t *given = json_object_get(json_object_get(composed, "execution"), "cluster");
	const char *word = json_string_value(given);
	bool any = word != NULL && strcmp(word, "any") == 0;
	if (!any && !json_is_array(given) && !json_is_object(given))
		return NULL;
	CLEANUP(str_list_freep) char **names = mem_calloc(EVAL_CLUSTERS_MAX + 1, sizeof *names);
	size_t count = 0;
	size_t i;
	json_t *item;
	if (any)
		names[count++] = mem_strdup(word);
	if (!any && (json_array_size(given) == 0 || json_array_size(given) > EVAL_CLUSTERS_MAX))
		place_problem(map, errors, "execution.cluster is a name of the settings, a list of them, or any");
	json_array_foreach((json_t *)given, i, item) {
		const char *name = json_string_value(item);
		if (name == NULL || strstr(name, "${") != NULL || strcmp(name, "any") == 0)
			place_problem(map, errors,
				      "The clusters of a list in execution.cluster are names of the settings");
		else if (count < EVAL_CLUSTERS_MAX && !str_in(name, (const char *const *)names))
			names[count++] = mem_strdup(name);
	}
	return TAKE(names);
}

/* Text to resolved config: parse, compose, interpolate. *ret_open: the clusters that are left open, where no place is
 * given; then nothing else is done. */
static int resolve(const struct eval_input *in, json_t **ret_composed, json_t **ret_resolved, char ***ret_open,
		   struct source_map **ret_map, struct problems *errors, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *submitted = NULL;
	CLEANUP(json_freep) json_t *composed = NULL;
	CLEANUP(json_freep) json_t *resolved = NULL;
	if (in->json && is_word(in->text, in->size))
		return refuse_other(errors, true, err);
	if (in->size == 0)
		return refuse_empty(in, errors, err);
	if (yaml_json_parse(in->text, in->size, in->json, &submitted, ret_map, errors, err) < 0) {
		if (!in->json && err->kind == NEL_INVALID && strstr(err->msg, "not valid YAML") != NULL &&
		    in->size > 0 && in->text[0] != '{' && memchr(in->text, '\n', in->size) == NULL)
			problems_add(errors, "", 1, 1, "The config is a single line: " CURL_HINT);
		return -1;
	}
	if (json_is_null(submitted))
		return refuse_empty(in, errors, err);
	if (!json_is_object(submitted))
		return refuse_other(
		    errors, json_is_string(submitted) && strchr(json_string_value(submitted), '\n') == NULL, err);
	const struct compose_input compose_in = {.submitted = submitted,
						 .map = *ret_map,
						 .overrides = in->overrides,
						 .override_count = in->override_count,
						 .groups_dir = in->groups_dir,
						 .mark_ports = true};
	if (compose(&compose_in, &composed, errors, err) < 0)
		return -1;
	CLEANUP(str_list_freep) char **open = find_open_clusters(composed, *ret_map, errors);
	if (open != NULL && errors->count > 0)
		return refuse(errors, err);
	if (open != NULL && in->place == NULL) {
		*ret_open = TAKE(open);
		return 0;
	}
	if (open != NULL)
		json_object_set_new(json_object_get(composed, "execution"), "cluster", json_string(in->place));
	if (in->task_count > 0 && task_names_select(composed, in->tasks, in->task_count, *ret_map, err) != 0) {
		problems_add(errors, "/evaluation/tasks", 0, 0, "%s", err->msg);
		return -1;
	}
	const json_t *execution = json_object_get(composed, "execution");
	struct site site = {
	    .in = in, .hostname = plain_text(execution, "hostname"), .cluster = plain_text(execution, "cluster")};
	const struct interpolate_env env = {.username = find_username(in, composed),
					    .allowed_env = in->allowed_env,
					    .now_s = in->now_s,
					    .site_path = in->site_path_for != NULL ? find_site_path : NULL,
					    .site_arg = &site,
					    .keep = keep_reference};
	site_keys_resolve(composed, &env, *ret_map, errors);
	(void)free_ports_settle(composed, NULL);
	if (interpolate(composed, &env, *ret_map, &resolved, errors, err) < 0)
		return -1;
	if (free_ports_settle(composed, resolved)) {
		json_decref(TAKE(resolved));
		if (interpolate(composed, &env, *ret_map, &resolved, errors, err) < 0)
			return -1;
	}
	*ret_resolved = TAKE(resolved);
	*ret_composed = TAKE(composed);
	return 0;
}

/* A hostname that nobody gave is fine where no cluster is asked. */
static void forget_hostname(json_t *composed, json_t *resolved)
{
	json_t *execution = json_object_get(composed, "execution");
	if (!reader_is_missing(json_object_get(execution, "hostname")))
		return;
	json_object_set_new(execution, "hostname", json_null());
	json_object_set_new(json_object_get(resolved, "execution"), "hostname", json_null());
}

/* Of a config that has been filled in. */
static void become_conversion(struct plan_ctx *ctx, const struct eval_input *in, json_t **resolved)
{
	json_t *config = plan_convert_config(*resolved, in->convert, in->checkpoint);
	json_decref(*resolved);
	*resolved = config;
	ctx->root = config;
	ctx->convert = json_object_get(config, "convert");
}

int eval_config_plan(const struct eval_input *in, struct eval_plan **ret_plan, struct source_map **ret_map,
		     struct problems *errors, struct problems *warnings, struct nel_err *err)
{
	CLEANUP(source_map_freep) struct source_map *map = NULL;
	CLEANUP(json_freep) json_t *composed = NULL;
	CLEANUP(json_freep) json_t *resolved = NULL;
	CLEANUP(eval_plan_freep) struct eval_plan *plan = mem_calloc(1, sizeof *plan);
	if (resolve(in, &composed, &resolved, &plan->open_clusters, &map, errors, err) < 0)
		return -1;
	if (plan->open_clusters != NULL) {
		*ret_plan = TAKE(plan);
		return 0;
	}
	struct plan_ctx ctx = {
	    .reader = {.map = map, .errors = errors, .warnings = warnings, .incomplete = errors->count > 0},
	    .root = resolved,
	    .allow_commands = in->allow_commands,
	    .need_hostname = in->need_hostname,
	    .checked_tasks = true,
	    .plan = plan};
	const struct reader silent = {0};
	if (!in->need_hostname)
		forget_hostname(composed, resolved);
	plan_fill_legacy(&silent, composed);
	plan_fill_legacy(&ctx.reader, resolved);
	plan_fill_missing(&ctx.reader, composed, resolved);
	plan_fill_tasks(&ctx.reader, resolved, in->catalogue, in->allow_unlisted_tasks);
	if (in->convert != NULL)
		become_conversion(&ctx, in, &resolved);
	open_root(&ctx);
	if (in->convert == NULL)
		plan_check_keys(&ctx, in->strict);
	build(&ctx);
	*ret_plan = TAKE(plan);
	if (ret_map != NULL)
		*ret_map = TAKE(map);
	return errors->count > 0 ? refuse(errors, err) : 0;
}

int eval_config_replan(const json_t *resolved, struct eval_plan **ret_plan, struct nel_err *err)
{
	CLEANUP(eval_plan_freep) struct eval_plan *plan = mem_calloc(1, sizeof *plan);
	struct problems errors = {0};
	struct plan_ctx ctx = {
	    .reader = {.errors = &errors}, .root = resolved, .allow_commands = true, .stored = true, .plan = plan};
	if (json_object_size(json_object_get(resolved, "convert")) > 0) /* no evaluation with one is accepted */
		ctx.convert = json_object_get(resolved, "convert");
	open_root(&ctx);
	build(&ctx);
	int result = errors.count == 0 ? 0 : refuse(&errors, err);
	problems_done(&errors);
	if (result == 0)
		*ret_plan = TAKE(plan);
	return result;
}

/* The variable of object that is host:name, as a pointer; NULL when there is none. */
static char *find_wanted(const json_t *object, const char *base, const char *name)
{
	CLEANUP(mem_freep) char *place = reader_join(base, "env_vars");
	CLEANUP(str_done) struct str advice = {0};
	const char *variable;
	json_t *given;
	json_object_foreach(json_object_get(object, "env_vars"), variable, given) {
		enum env_source source;
		const char *value;
		if (json_is_string(given) && plan_env_parse(json_string_value(given), &source, &value, &advice) &&
		    source == ENV_HOST && strcmp(value, name) == 0)
			return reader_join(place, variable);
	}
	return NULL;
}

char *eval_plan_secret_place(const struct eval_plan *plan, const char *name)
{
	static const char *const sections[] = {"", "/evaluation", "/deployment", "/export", "/convert"};
	const json_t *tasks = json_object_get(json_object_get(plan->resolved, "evaluation"), "tasks");
	const json_t *endpoint = json_object_get(json_object_get(plan->resolved, "target"), "api_endpoint");
	const char *api_key = json_string_value(json_object_get(endpoint, "api_key_name"));
	char *found = NULL;
	const char *key;
	json_t *member;
	size_t i;
	for (i = 0; i < sizeof sections / sizeof sections[0] && found == NULL; i++) {
		const char *section = sections[i];
		found = find_wanted(*section == '\0' ? plan->resolved : json_object_get(plan->resolved, section + 1),
				    section, name);
	}
	json_array_foreach((json_t *)tasks, i, member) {
		CLEANUP(mem_freep) char *base = reader_join_index("/evaluation/tasks", i);
		found = found == NULL ? find_wanted(member, base, name) : found;
	}
	json_object_foreach(json_object_get(plan->resolved, "auxiliary_deployments"), key, member) {
		CLEANUP(mem_freep) char *base = reader_join("/auxiliary_deployments", key);
		found = found == NULL ? find_wanted(member, base, name) : found;
	}
	if (found == NULL)
		found = mem_strdup(api_key != NULL && strcmp(api_key, name) == 0 ? "/target/api_endpoint/api_key_name"
										 : "");
	return found;
}

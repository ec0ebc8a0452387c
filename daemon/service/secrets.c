#include "service/secrets.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "config/plan/eval_config.h"
#include "config/plan/plan_env.h"
#include "db/audit.h"

#include <string.h>

static int owner_for(const struct actor *actor, bool team, const char **ret_owner, struct nel_err *err)
{
	if (team && actor->role != ROLE_ADMIN)
		return err_set(err, NEL_DENIED, "only an admin may change the team's secrets");
	*ret_owner = team ? SECRETS_TEAM : actor->name;
	return 0;
}

static int check_secret(const char *name, const char *value, size_t size, struct nel_err *err)
{
	if (!plan_env_is_name(name) || strlen(name) > SECRET_NAME_MAX)
		return err_set(err, NEL_INVALID,
			       "a secret's name is that of a variable: letters, digits and '_', at most %d",
			       SECRET_NAME_MAX);
	if (size > SUBMIT_ENV_SIZE_MAX)
		return err_set(err, NEL_INVALID, "a secret has at most %d bytes", SUBMIT_ENV_SIZE_MAX);
	if (memchr(value, '\0', size) != NULL)
		return err_set(err, NEL_INVALID, "a secret cannot have a NUL byte");
	return 0;
}

int service_put_secret(struct service *service, struct db *db, const struct actor *actor, bool team, const char *name,
		       const char *value, size_t size, const struct secret_limits *limits, struct secret_row *ret_row,
		       bool *ret_new, struct nel_err *err)
{
	const char *owner = NULL;
	if (owner_for(actor, team, &owner, err) != 0 || check_secret(name, value, size, err) != 0)
		return -1;
	CLEANUP(mem_freep) char *label = secrets_label(owner, name);
	CLEANUP(mem_freep) unsigned char *sealed = NULL;
	CLEANUP(mem_freep) unsigned char *before = NULL;
	size_t sealed_size = 0;
	size_t before_size = 0;
	if (secret_seal(service->master_key, label, value, size, &sealed, &sealed_size, err) != 0)
		return -1;
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0)
		return -1;
	audit_say(db, name, team ? "of the team" : NULL);
	bool known = secrets_get(db, owner, name, &before, &before_size, err) == 0;
	if (!known && err->kind != NEL_NOTFOUND)
		return -1;
	if (secrets_put(db, owner, name, sealed, sealed_size, limits->users, limits->hosts, clock_now_s(), ret_row,
			err) != 0 ||
	    db_commit(db, err) != 0)
		return -1;
	*ret_new = !known;
	return 0;
}

int service_delete_secret(struct db *db, const struct actor *actor, bool team, const char *name, struct nel_err *err)
{
	const char *owner = NULL;
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (owner_for(actor, team, &owner, err) != 0 || db_begin(db, err) != 0 ||
	    secrets_delete(db, owner, name, err) != 0)
		return -1;
	audit_say(db, name, team ? "of the team" : NULL);
	return db_commit(db, err);
}

static bool is_listed(const char *list, const char *item)
{
	if (list[0] == '\0')
		return true;
	CLEANUP(mem_freep) char *wanted = mem_printf(",%s,", item);
	return item[0] != '\0' && strstr(list, wanted) != NULL;
}

/* Where the evaluator sends its requests: what it makes of the URL has to be beyond doubt. "" when it is not. */
static void host_of(const char *url, char ret_host[256])
{
	const char *at = url != NULL ? strstr(url, "://") : NULL;
	size_t len = at != NULL ? strcspn(at + 3, "/?#") : 0;
	ret_host[0] = '\0';
	if (len == 0 || len >= 256)
		return;
	for (size_t i = 0; i < len; i++) {
		char c = at[3 + i];
		if (c == ':' && strspn(at + 3 + i + 1, "0123456789") == len - i - 1) {
			ret_host[i] = '\0';
			return;
		}
		c = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-') {
			ret_host[0] = '\0';
			return;
		}
		ret_host[i] = c;
		ret_host[i + 1] = '\0';
	}
}

static bool suits_targets(const struct secret_row *row, const struct eval_plan *plan)
{
	if (row->use.hosts[0] == '\0')
		return true;
	for (size_t i = 0; i < plan->job_count; i++) {
		char host[256];
		const json_t *target = json_object_get(plan->jobs[i].evaluator_config, "target");
		host_of(json_string_value(json_object_get(json_object_get(target, "api_endpoint"), "url")), host);
		if (!is_listed(row->use.hosts, host))
			return false;
	}
	return true;
}

int secret_names_load(struct db *db, const char *user, struct secret_names *ret_names, struct nel_err *err)
{
	CLEANUP(mem_freep) struct secret_row *own = NULL;
	CLEANUP(mem_freep) struct secret_row *teams = NULL;
	size_t own_count = 0;
	size_t team_count = 0;
	if (secrets_list(db, user, &own, &own_count, err) != 0 ||
	    secrets_list(db, SECRETS_TEAM, &teams, &team_count, err) != 0)
		return -1;
	own = mem_realloc(own, own_count + team_count + 1, sizeof *own);
	for (size_t i = 0; i < team_count; i++)
		if (is_listed(teams[i].use.users, user))
			own[own_count++] = teams[i];
	*ret_names = (struct secret_names){.rows = TAKE(own), .count = own_count};
	return 0;
}

static bool has(const struct secret_names *names, const char *owner, const char *name, const struct eval_plan *plan)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->rows[i].name, name) == 0 && strcmp(names->rows[i].owner, owner) == 0)
			return suits_targets(&names->rows[i], plan);
	return false;
}

bool secret_names_have(const struct secret_names *names, const char *name, const struct eval_plan *plan)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->rows[i].name, name) == 0 && suits_targets(&names->rows[i], plan))
			return true;
	return false;
}

void secret_names_done(struct secret_names *names)
{
	free(names->rows);
	*names = (struct secret_names){0};
}

/* The one that came with the request; the last of a name counts. */
static bool take_sent(const struct submit_request *request, const char *name, json_t *env, bool *invalid)
{
	for (size_t i = request->env_count; i > 0; i--) {
		if (strcmp(request->env[i - 1].name, name) != 0)
			continue;
		if (json_object_set_new(env, name, json_string(request->env[i - 1].value)) != 0)
			*invalid = true;
		return true;
	}
	return false;
}

static int open_stored(struct service *service, struct db *db, const char *owner, const char *name, char **ret_value,
		       size_t *ret_size, struct nel_err *err)
{
	CLEANUP(mem_freep) unsigned char *sealed = NULL;
	CLEANUP(mem_freep) char *label = secrets_label(owner, name);
	size_t size = 0;
	if (secrets_get(db, owner, name, &sealed, &size, err) != 0)
		return -1;
	if (secret_open(service->master_key, label, sealed, size, ret_value, ret_size, err) == 0)
		return 0;
	/* That the key does not fit is no fault of the person's. */
	err->kind = NEL_INTERNAL;
	return -1;
}

static int take_stored(struct service *service, struct db *db, const char *user, const struct secret_names *stored,
		       const struct eval_plan *plan, const char *name, json_t *env, bool *invalid, struct nel_err *err)
{
	char *value = NULL;
	size_t size = 0;
	int rc = open_stored(service, db, user, name, &value, &size, err);
	if (rc != 0 && err->kind == NEL_NOTFOUND && has(stored, SECRETS_TEAM, name, plan))
		rc = open_stored(service, db, SECRETS_TEAM, name, &value, &size, err);
	if (rc != 0)
		return err->kind == NEL_NOTFOUND
			   ? err_set(err, NEL_INVALID, "the secret %s was deleted a moment ago", name)
			   : -1;
	if (json_object_set_new(env, name, json_stringn(value, size)) != 0)
		*invalid = true;
	secret_free(value, size);
	return 0;
}

static int seal(struct service *service, json_t *env, const char *label, unsigned char **ret_sealed, size_t *ret_size,
		struct nel_err *err)
{
	size_t bytes = 0;
	const char *name = NULL;
	json_t *value = NULL;
	json_object_foreach(env, name, value)
		bytes += json_string_length(value);
	if (bytes > SECRETS_OF_EVALUATION_MAX)
		return err_set(err, NEL_INVALID, "the secrets of an evaluation have at most %d bytes together, not %zu",
			       SECRETS_OF_EVALUATION_MAX, bytes);
	char *text = json_dumps(env, JSON_COMPACT);
	int rc = secret_seal(service->master_key, label, text, strlen(text), ret_sealed, ret_size, err);
	secret_wipe(text);
	free(text);
	return rc;
}

static int seal_row(struct service *service, json_t *env, struct evaluation_row *row, struct nel_err *err)
{
	CLEANUP(mem_freep) char *label = mem_printf("env:%s", row->id);
	return seal(service, env, label, &row->sealed_env, &row->sealed_env_size, err);
}

int secrets_seal_sent(struct service *service, const struct submit_request *request, const char *label,
		      unsigned char **ret_sealed, size_t *ret_size, struct nel_err *err)
{
	CLEANUP(secret_json_freep) json_t *env = json_object();
	for (size_t i = 0; i < request->env_count; i++)
		if (json_object_set_new(env, request->env[i].name, json_string(request->env[i].value)) != 0)
			return err_set(err, NEL_INVALID, "the value of %s is not UTF-8 text", request->env[i].name);
	return json_object_size(env) == 0 ? 0 : seal(service, env, label, ret_sealed, ret_size, err);
}

int secrets_seal_env(struct service *service, struct db *db, const struct submit_request *request,
		     const struct eval_plan *plan, struct evaluation_row *row, struct nel_err *err)
{
	CLEANUP(secret_names_done) struct secret_names stored = {0};
	if (secret_names_load(db, row->user, &stored, err) != 0)
		return -1;
	char **names = eval_plan_secret_names(plan);
	json_t *env = json_object();
	bool invalid = false;
	int rc = 0;
	for (char **name = names; *name != NULL; name++) {
		if (rc == 0 && !take_sent(request, *name, env, &invalid))
			rc = take_stored(service, db, row->user, &stored, plan, *name, env, &invalid, err);
		free(*name);
	}
	free(names);
	if (rc == 0 && invalid)
		rc = err_set(err, NEL_INVALID, "a secret's value is not UTF-8 text");
	if (rc == 0 && json_object_size(env) > 0)
		rc = seal_row(service, env, row, err);
	secret_free_json(env);
	return rc;
}

int secrets_fingerprints(struct service *service, const struct evaluation_row *row, json_t **ret_fingerprints,
			 struct nel_err *err)
{
	CLEANUP(mem_freep) char *label = mem_printf("env:%s", row->id);
	json_t *env = NULL;
	const char *name = NULL;
	json_t *value = NULL;
	if (row->sealed_env != NULL &&
	    secret_open_json(service->master_key, label, row->sealed_env, row->sealed_env_size, &env, err) != 0)
		return -1;
	*ret_fingerprints = json_object();
	json_object_foreach(env, name, value) {
		char text[SECRET_FINGERPRINT_SIZE];
		secret_fingerprint(service->master_key, json_string_value(value), json_string_length(value), text);
		json_object_set_new(*ret_fingerprints, name, json_string(text));
	}
	secret_free_json(env);
	return 0;
}

static int open_env(struct service *service, const struct evaluation_row *row, json_t **ret_env, struct nel_err *err)
{
	CLEANUP(mem_freep) char *label = mem_printf("env:%s", row->id);
	*ret_env = NULL;
	if (row->sealed_env != NULL)
		return secret_open_json(service->master_key, label, row->sealed_env, row->sealed_env_size, ret_env,
					err);
	*ret_env = json_object();
	return 0;
}

/* The value of one name: as given, else as kept, else as stored. Adds a name that has none to `missing`. */
static int renew_one(struct service *service, struct db *db, const char *user, const struct secret_names *stored,
		     const struct eval_plan *plan, const json_t *given, const char *name, json_t *env,
		     struct str *missing, struct nel_err *err)
{
	const json_t *value = json_object_get(given, name);
	bool invalid = false;
	if (value != NULL) /* a copy of its own: it is wiped with env */
		return json_object_set_new(env, name, json_string(json_string_value(value))) == 0
			   ? 0
			   : err_set(err, NEL_INTERNAL, "no memory");
	if (json_object_get(env, name) != NULL)
		return 0;
	if (secret_names_have(stored, name, plan))
		return take_stored(service, db, user, stored, plan, name, env, &invalid, err) != 0 ? -1
		       : invalid ? err_set(err, NEL_INVALID, "a secret's value is not UTF-8 text")
				 : 0;
	str_appendf(missing, "%s%s", missing->len > 0 ? ", " : "", name);
	return 0;
}

int secrets_renew_env(struct service *service, struct db *db, const char *evaluation, const json_t *given,
		      struct nel_err *err)
{
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	CLEANUP(secret_names_done) struct secret_names stored = {0};
	CLEANUP(eval_plan_freep) struct eval_plan *plan = NULL;
	CLEANUP(str_done) struct str missing = {0};
	json_t *env = NULL;
	if (evaluations_get(db, evaluation, true, &row, err) != 0)
		return -1;
	CLEANUP(json_freep) json_t *resolved = json_loads(row.resolved, 0, NULL);
	if (resolved == NULL || eval_config_replan(resolved, &plan, err) != 0)
		return err_set(err, NEL_DB, "the stored config of evaluation %s cannot be used", evaluation);
	if (secret_names_load(db, row.user, &stored, err) != 0 || open_env(service, &row, &env, err) != 0)
		return -1;
	char **names = eval_plan_secret_names(plan);
	int rc = 0;
	for (char **name = names; *name != NULL; name++) {
		if (rc == 0)
			rc = renew_one(service, db, row.user, &stored, plan, given, *name, env, &missing, err);
		free(*name);
	}
	free(names);
	if (rc == 0 && missing.len > 0)
		rc = err_set(err, NEL_INVALID,
			     "the evaluation's secrets are no longer kept (secrets.keep_days); send these in env, or "
			     "store them: "
			     "%.400s",
			     str_text(&missing));
	if (rc == 0 && json_object_size(env) > 0) {
		free(row.sealed_env);
		row.sealed_env = NULL;
		rc = seal_row(service, env, &row, err);
		if (rc == 0)
			rc = evaluations_set_env(db, row.seq, row.sealed_env, row.sealed_env_size, err);
	}
	secret_free_json(env);
	return rc;
}

int secrets_mask(struct service *service, struct db *db, const struct job_row *job, struct mask **ret_mask,
		 struct nel_err *err)
{
	CLEANUP(mem_freep) unsigned char *sealed = NULL;
	CLEANUP(mem_freep) char *label = mem_printf("env:%s", job->evaluation);
	size_t size = 0;
	json_t *env = NULL;
	if (evaluations_get_env(db, job->evaluation_seq, &sealed, &size, err) != 0 ||
	    (sealed != NULL && secret_open_json(service->master_key, label, sealed, size, &env, err) != 0))
		return -1;
	*ret_mask = mask_new(env);
	secret_free_json(env);
	return 0;
}

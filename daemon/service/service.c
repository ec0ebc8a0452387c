#include "service/service.h"

#include "base/account.h"
#include "base/clock.h"
#include "base/json_or_null.h"
#include "base/mem.h"
#include "base/str.h"
#include "db/jobs.h"
#include "db/tokens.h"
#include "remote/workers.h"
#include "sched/scheduler.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/statvfs.h>

#define SCHEDULER_SILENCE_MAX_MS 10000
#define DISK_LEFT_MIN (4ULL * 1024 * 1024) /* bytes */

const char *sign_in_name(enum sign_in sign_in)
{
	switch (sign_in) {
	case SIGN_IN_NONE: break;
	case SIGN_IN_TOKEN: return "token";
	case SIGN_IN_OIDC: return "oidc";
	case SIGN_IN_PROXY: return "proxy";
	case SIGN_IN_ACCOUNT: return "account";
	}
	return NULL;
}

int service_authenticate_token(struct service *service, struct db *db, const char *token, struct actor *ret_actor,
			       struct nel_err *err)
{
	(void)service;
	char hash[SECRET_HASH_SIZE];
	struct token_row row;
	struct actor actor = {0};
	secret_token_hash(token, hash);
	if (tokens_authenticate(db, hash, clock_now_s(), &row, &actor.token_stale, err) != 0)
		return err->kind == NEL_NOTFOUND ? err_set(err, NEL_DENIED, "the bearer token is not valid") : -1;
	memcpy(actor.name, row.user, sizeof actor.name);
	actor.role = row.role;
	actor.token = row.id;
	actor.sign_in = SIGN_IN_TOKEN;
	actor.expires_at = row.expires_at;
	*ret_actor = actor;
	return 0;
}

/* Is there still such a user, and not suspended? DENIED when not. */
static int check_name(struct db *db, const char *name, struct nel_err *err)
{
	struct actor ignored;
	return service_authenticate_name(db, name, &ignored, err);
}

int service_check_actor(struct db *db, const struct actor *actor, struct nel_err *err)
{
	switch (actor->sign_in) {
	case SIGN_IN_TOKEN:
		if (tokens_check(db, actor->token, clock_now_s(), err) == 0)
			return 0;
		return err->kind == NEL_NOTFOUND ? err_set(err, NEL_DENIED, "the bearer token is not valid any more")
						 : -1;
	case SIGN_IN_OIDC:
		if (clock_now_s() >= actor->expires_at)
			return err_set(err, NEL_DENIED, "the bearer token is not valid any more");
		return check_name(db, actor->name, err);
	case SIGN_IN_PROXY: return check_name(db, actor->name, err);
	case SIGN_IN_ACCOUNT:
	case SIGN_IN_NONE: break;
	}
	return 0;
}

int service_note_use(struct db *db, const struct actor *actor, struct nel_err *err)
{
	return tokens_touch(db, actor->token, clock_now_s(), err);
}

int service_check_owner(const struct actor *actor, const char *owner, struct nel_err *err)
{
	if (actor->role == ROLE_ADMIN || (actor->role == ROLE_USER && strcmp(actor->name, owner) == 0))
		return 0;
	return err_set(err, NEL_DENIED, "only %s or an admin may do this", owner);
}

int service_authenticate_name(struct db *db, const char *name, struct actor *ret_actor, struct nel_err *err)
{
	struct user_row user;
	struct actor actor = {0};
	bool ok = user_name_ok(name);
	if (ok && users_get(db, name, &user, err) != 0) {
		if (err->kind != NEL_NOTFOUND)
			return -1;
		ok = false;
	}
	if (!ok)
		return err_set(err, NEL_DENIED, "%.64s is not a user of this service", name);
	if (user.suspended_at != 0)
		return err_set(err, NEL_DENIED, "the user %s is suspended", user.name);
	memcpy(actor.name, user.name, sizeof actor.name);
	actor.role = user.role;
	actor.sign_in = SIGN_IN_PROXY;
	*ret_actor = actor;
	return 0;
}

int service_authenticate_peer(struct service *service, struct db *db, unsigned uid, struct actor *ret_actor,
			      struct nel_err *err)
{
	(void)service;
	char name[ACCOUNT_NAME_MAX + 1] = "root";
	bool admin = uid == 0 || uid == getuid();
	if (account_by_uid(uid, name, err) != 0 && !admin)
		return err->kind == NEL_NOTFOUND
			   ? err_set(err, NEL_DENIED, "the account with uid %u is unknown here", uid)
			   : -1;
	struct actor actor = {.role = ROLE_ADMIN, .sign_in = SIGN_IN_ACCOUNT};
	if (strlen(name) >= sizeof actor.name)
		return err_set(err, NEL_DENIED, "%.64s is not a user of this service", name);
	memcpy(actor.name, name, strlen(name) + 1);
	if (!admin) {
		struct user_row user;
		if (users_get(db, actor.name, &user, err) != 0)
			return err->kind == NEL_NOTFOUND
				   ? err_set(err, NEL_DENIED, "%s is not a user of this service", actor.name)
				   : -1;
		if (user.suspended_at != 0)
			return err_set(err, NEL_DENIED, "the user %s is suspended", user.name);
		actor.role = user.role;
	}
	*ret_actor = actor;
	return 0;
}

/* "ok" when the last thing that was tried went well, "unknown" before the first, "failing" else: also when another
 * account found the host failing. */
static const char *health(const struct ssh_pool_stats *ssh, const struct observation_stats *observed)
{
	if (ssh->last_kind != NEL_OK || observed->failures > 0 || observed->accounting_error[0] != '\0' ||
	    ssh->breaker != BREAKER_CLOSED)
		return "failing";
	return ssh->last_ok_s == 0 ? "unknown" : "ok";
}

/* Of the shared account; null where each person has his own. */
static json_t *describe_credentials(struct service *service, const struct settings_cluster *cluster)
{
	struct ssh_credentials_state state = {0};
	const char *source = cluster->credential_command != NULL ? "credential_command"
			     : cluster->agent_socket != NULL     ? "agent"
								 : "key_file";
	if (cluster->identity_per_user)
		return json_null();
	if (!lanes_credentials(service->lanes, cluster, &state))
		state.warnings = json_array();
	return json_pack(
	    "{s:s, s:o, s:o, s:I, s:s?, s:o}", "source", source, "expires_at", json_or_null_time(state.expires_at),
	    "renewed_at", json_or_null_time(cluster->credential_command != NULL ? state.renewed_at : 0), "runs",
	    (json_int_t)state.runs, "error", state.error[0] != '\0' ? state.error : NULL, "warnings", state.warnings);
}

/* What observation counted last; null before the first. */
static json_t *describe_capacity(const struct observation_stats *observed)
{
	const struct node_counts *counts = &observed->counts;
	if (observed->counted_at == 0)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:I, s:o}", "nodes", (json_int_t)counts->nodes, "free_nodes",
			 (json_int_t)counts->free_nodes, "gpus", (json_int_t)counts->gpus, "free_gpus",
			 (json_int_t)counts->free_gpus, "counted_at", json_or_null_time(observed->counted_at));
}

static json_t *describe_cluster(struct service *service, const struct settings_cluster *cluster)
{
	struct lane_stats stats = {0};
	struct nel_err err;
	lanes_stats(service->lanes, cluster->name, cluster->username, &stats, &err);
	const struct ssh_pool_stats *ssh = &stats.ssh;
	struct observation_stats observed;
	scheduler_observation(service->scheduler, cluster->name, cluster->username, &observed);
	json_t *observation =
	    json_pack("{s:o, s:i, s:s?, s:s?}", "last_ok_at", json_or_null_time(observed.observed_at), "failures",
		      observed.failures, "error", observed.error[0] != '\0' ? observed.error : NULL, "accounting_error",
		      observed.accounting_error[0] != '\0' ? observed.accounting_error : NULL);
	json_t *breaker = json_pack("{s:s, s:I}", "state", breaker_state_name(ssh->breaker), "retry_in_s",
				    (json_int_t)((ssh->retry_in_ms + 999) / 1000));
	json_t *sessions =
	    json_pack("{s:i, s:i, s:i}", "open", ssh->sessions, "busy", ssh->busy, "max", cluster->max_sessions);
	return json_pack(
	    "{s:s, s:s, s:i, s:s, s:s, s:s?, s:o, s:i, s:s, s:o, s:o, s:o, s:o, s:s?, s:o, s:o, s:I, s:I, s:I, s:I}",
	    "name", cluster->name, "hostname", cluster->hostname, "port", cluster->port, "state",
	    cluster->draining ? "draining" : "active", "containers", containers_name(cluster->containers), "identity",
	    cluster->username, "credentials", describe_credentials(service, cluster), "active_identities", stats.lanes,
	    "health", health(ssh, &observed), "sessions", sessions, "breaker", breaker, "last_ok_at",
	    json_or_null_time(ssh->last_ok_s), "last_error_at", json_or_null_time(ssh->last_error_s), "last_error",
	    ssh->last_error[0] != '\0' ? ssh->last_error : NULL, "observation", observation, "capacity",
	    describe_capacity(&observed), "queued", (json_int_t)stats.queued, "handshakes", (json_int_t)ssh->handshakes,
	    "execs", (json_int_t)ssh->execs, "poll_interval_s", (json_int_t)cluster->poll_interval_s);
}

/* A cluster that the settings no longer have is there while jobs of it live. */
static bool is_shown(struct db *db, const struct settings *settings, const struct settings_cluster *cluster)
{
	struct nel_err err;
	int64_t live = 0;
	if (!cluster->borrowed)
		return true;
	return settings_cluster_by_name(settings, cluster->name) == cluster &&
	       (jobs_count_active(db, cluster->name, NULL, &live, &err) != 0 || live > 0);
}

json_t *service_clusters(struct service *service, struct db *db)
{
	const struct settings *settings = service->settings;
	json_t *items = json_array();
	for (size_t i = 0; i < settings->cluster_count; i++)
		if (is_shown(db, settings, &settings->clusters[i]))
			json_array_append_new(items, describe_cluster(service, &settings->clusters[i]));
	return json_pack("{s:o, s:n}", "items", items, "next");
}

int service_cluster(struct service *service, struct db *db, const char *name, json_t **ret_cluster, struct nel_err *err)
{
	const struct settings *settings = service->settings;
	const struct settings_cluster *cluster = settings_cluster_by_name(settings, name);
	if (cluster == NULL || !is_shown(db, settings, cluster))
		return err_set(err, NEL_NOTFOUND, "there is no cluster %s", name);
	*ret_cluster = describe_cluster(service, cluster);
	return 0;
}

static bool matches(const struct catalogue_task *task, const char *search, const char *harness)
{
	if (harness != NULL && strcmp(harness, task->harness) != 0)
		return false;
	return search == NULL || strcasestr(task->task, search) != NULL || strcasestr(task->harness, search) != NULL;
}

static json_t *describe_task(const struct catalogue_task *task)
{
	json_t *types = json_array();
	for (char **type = task->endpoint_types; *type != NULL; type++)
		json_array_append_new(types, json_string(*type));
	return json_pack("{s:s, s:s, s:s, s:o}", "task", task->task, "harness", task->harness, "container",
			 task->container, "endpoint_types", types);
}

json_t *service_tasks(struct service *service, const char *search, const char *harness, size_t offset, size_t limit,
		      bool *ret_more)
{
	json_t *items = json_array();
	size_t position = 0;
	*ret_more = false;
	for (size_t i = 0; i < catalogue_count(service->catalogue); i++) {
		const struct catalogue_task *task = catalogue_at(service->catalogue, i);
		if (!matches(task, search, harness))
			continue;
		if (json_array_size(items) == limit) {
			*ret_more = true;
			break;
		}
		if (position++ >= offset)
			json_array_append_new(items, describe_task(task));
	}
	return items;
}

/* SQLite needs some room for every change, beside what the change adds. */
static int check_disk(const char *database, struct nel_err *err)
{
	struct statvfs fs;
	if (statvfs(database, &fs) != 0)
		return err_sys(err, NEL_DB, errno, "%s", database);
	unsigned long long left = (unsigned long long)fs.f_bavail * fs.f_frsize;
	if (left >= DISK_LEFT_MIN)
		return 0;
	return err_set(err, NEL_DB, "the disk is full: %llu KiB are left where the database is", left / 1024);
}

bool service_ready(struct service *service, struct db *db, const char *fault, json_t **ret_report)
{
	struct nel_err err = {0};
	if (fault != NULL)
		err_set(&err, NEL_DB, "%s", fault);
	bool database = fault == NULL && db_ping(db, &err) == 0 && check_disk(service->settings->database, &err) == 0;
	bool scheduler = scheduler_silence_ms(service->scheduler) < SCHEDULER_SILENCE_MAX_MS;
	*ret_report = json_pack("{s:b, s:{s:s, s:s}}", "ready", database && scheduler, "checks", "database",
				database ? "ok" : err.msg, "scheduler", scheduler ? "ok" : "not running");
	return database && scheduler;
}

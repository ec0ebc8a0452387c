#include "service/identities.h"

#include "base/clock.h"
#include "base/json_or_null.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/ssh_key.h"
#include "db/jobs.h"
#include "remote/credentials.h"
#include "remote/workers.h"
#include "sched/scheduler.h"
#include "service/identity_lookup.h"

#include <string.h>

/* The cluster, when each person has a key of his own there. */
static int find_cluster(struct service *service, const char *name, const struct settings_cluster **ret_cluster,
			struct nel_err *err)
{
	const struct settings_cluster *cluster = settings_cluster_by_name(service->settings, name);
	if (cluster == NULL)
		return err_set(err, NEL_NOTFOUND, "there is no cluster %s", name);
	if (!cluster->identity_per_user)
		return err_set(err, NEL_CONFLICT,
			       "cluster %s has one account for everybody, %s: there is nothing to set up", name,
			       cluster->username);
	*ret_cluster = cluster;
	return 0;
}

/* The user whose identity is meant: the actor, unless an admin names another. */
static int find_user(const struct actor *actor, const char *user, const char **ret_user, struct nel_err *err)
{
	if (user != NULL && strcmp(user, actor->name) != 0 && actor->role != ROLE_ADMIN)
		return err_set(err, NEL_DENIED, "only %s or an admin may do this", user);
	*ret_user = user != NULL ? user : actor->name;
	return 0;
}

/* ---- how one is shown ---- */

/* What a running lane has found since the last check counts. */
static void take_news(struct service *service, struct identity_row *row)
{
	char name[IDENTITY_NAME_SIZE];
	struct lane_stats stats = {0};
	identity_name(row->user, row->username, name);
	if (lanes_stats(service->lanes, row->cluster, name, &stats, NULL) != 0)
		return;
	bool refused = err_is_login(stats.ssh.last_reason) && stats.ssh.last_error_s >= row->checked_at;
	bool let_in =
	    stats.ssh.last_kind == NEL_OK && stats.ssh.last_ok_s != 0 && stats.ssh.last_ok_s >= row->checked_at;
	if (!refused && !let_in)
		return;
	row->state = refused ? IDENTITY_REFUSED : IDENTITY_OK;
	row->checked_at = refused ? stats.ssh.last_error_s : stats.ssh.last_ok_s;
	free(row->error);
	row->error = refused ? mem_strdup(stats.ssh.last_error) : NULL;
}

/* sshd(8), "AUTHORIZED_KEYS FILE FORMAT": commands and nothing else; no terminal, no forwarding. */
static char *authorized_keys_line(const struct identity_row *row)
{
	return mem_printf("restrict %s nel-slurmd:%s@%s", row->public_key, row->user, row->cluster);
}

/* json_null() without a certificate. Of one that is stored and that this libssh2 can do nothing with any more, the end
 * alone is told (identity's expires_at). */
static json_t *describe_certificate(const struct identity_row *row)
{
	CLEANUP(certificate_done) struct certificate c = {0};
	if (row->certificate == NULL || certificate_parse(row->certificate, "the certificate", &c, NULL) != 0)
		return json_null();
	json_t *warnings = json_deep_copy(c.warnings);
	if (json_array_size(c.principals) > 0 && !certificate_names(&c, row->username)) {
		CLEANUP(mem_freep)
		char *text = mem_printf("it does not name the account %s among its principals: the login node has to "
					"know them otherwise (AuthorizedPrincipalsFile)",
					row->username);
		json_array_append_new(warnings, json_string(text));
	}
	return json_pack("{s:s, s:s, s:I, s:O, s:o, s:o, s:o}", "type", c.type, "key_id", c.key_id, "serial",
			 (json_int_t)(c.serial <= INT64_MAX ? c.serial : INT64_MAX), "principals", c.principals,
			 "valid_after", json_or_null_time(c.valid_after), "expires_at", json_or_null_time(c.expires_at),
			 "warnings", warnings);
}

static char *instructions(const struct settings_cluster *cluster, const struct identity_row *row)
{
	char at[CLOCK_RFC3339_SIZE];
	const char *host = cluster != NULL ? cluster->hostname : row->cluster;
	int64_t expires_at = row->certificate_expires_at;
	if (expires_at != 0 && expires_at <= clock_now_s())
		return mem_printf("The certificate expired at %s: have public_key signed again, and "
				  "PUT /v1/identities/%s/certificate.",
				  clock_rfc3339(expires_at, at), row->cluster);
	if (row->state == IDENTITY_OK)
		return mem_printf("%s on %s lets the key in: there is nothing to do.", row->username, host);
	if (row->certificate != NULL)
		return mem_printf("POST /v1/identities/%s/check logs in with the certificate: %s has to trust the "
				  "authority that signed it, and the certificate to name %s among its principals.",
				  row->cluster, host, row->username);
	return mem_printf(
	    "Log in to %s as %s and append the line in authorized_keys to ~/.ssh/authorized_keys there; then "
	    "POST /v1/identities/%s/check. Only who can log in as %s can do so: naming an account lets "
	    "nobody in.",
	    host, row->username, row->cluster, row->username);
}

static json_t *describe(struct service *service, struct identity_row *row)
{
	take_news(service, row);
	CLEANUP(mem_freep) char *line = authorized_keys_line(row);
	CLEANUP(mem_freep)
	char *text = instructions(settings_cluster_by_name(service->settings, row->cluster), row);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:s?, s:s, s:o, s:o}", "user", row->user, "cluster",
			 row->cluster, "username", row->username, "public_key", row->public_key, "authorized_keys",
			 line, "certificate", describe_certificate(row), "expires_at",
			 json_or_null_time(row->certificate_expires_at), "state", identity_state_name(row->state),
			 "error", row->error, "instructions", text, "created_at", json_or_null_time(row->created_at),
			 "checked_at", json_or_null_time(row->checked_at));
}

int service_identities(struct service *service, struct db *db, const struct actor *actor, json_t **ret_list,
		       struct nel_err *err)
{
	CLEANUP(identity_list_done) struct identity_list list = {0};
	if (identities_list(db, actor->role == ROLE_ADMIN ? NULL : actor->name, &list, err) != 0)
		return -1;
	json_t *items = json_array();
	for (size_t i = 0; i < list.count; i++)
		json_array_append_new(items, describe(service, &list.items[i]));
	*ret_list = json_pack("{s:o, s:n}", "items", items, "next");
	return 0;
}

int service_identity(struct service *service, struct db *db, const struct actor *actor, const char *user,
		     const char *cluster, json_t **ret_identity, struct nel_err *err)
{
	const struct settings_cluster *found = NULL;
	CLEANUP(identity_row_done) struct identity_row row = {0};
	if (find_user(actor, user, &user, err) != 0 || find_cluster(service, cluster, &found, err) != 0 ||
	    identity_get(db, user, cluster, &row, err) != 0)
		return -1;
	*ret_identity = describe(service, &row);
	return 0;
}

/* ---- changes ---- */

/* Stores a key: as a new identity, or in the place of the one that there is. */
static int store_key(struct service *service, struct db *db, const char *user, const char *cluster,
		     const char *username, const char *public_key, const char *private_key, bool new,
		     struct nel_err *err)
{
	CLEANUP(mem_freep) char *label = identity_label(user, cluster);
	CLEANUP(mem_freep) unsigned char *sealed = NULL;
	struct identity_row row = {.user = (char *)(uintptr_t)user,
				   .cluster = (char *)(uintptr_t)cluster,
				   .username = (char *)(uintptr_t)username,
				   .public_key = (char *)(uintptr_t)public_key,
				   .created_at = clock_now_s()};
	if (secret_seal(service->master_key, label, private_key, strlen(private_key), &sealed, &row.sealed_key_size,
			err) != 0)
		return -1;
	row.sealed_key = sealed;
	return new ? identities_insert(db, &row, err) : identities_set_key(db, &row, err);
}

static int make_key(struct service *service, struct db *db, const char *user, const char *cluster, const char *username,
		    struct nel_err *err)
{
	CLEANUP(mem_freep) char *comment = mem_printf("nel-slurmd:%s@%s", user, cluster);
	CLEANUP(mem_freep) char *public_key = NULL;
	char *private_key = NULL;
	size_t size = 0;
	if (!identity_username_ok(username))
		return err_set(
		    err, NEL_INVALID,
		    "\"%.80s\" is not the name of an account: letters, digits, '_', '.' and '-', at most %d; "
		    "PUT /v1/identities/%s names one",
		    username, IDENTITY_USERNAME_MAX, cluster);
	ssh_key_new(comment, &public_key, &private_key, &size);
	int rc = store_key(service, db, user, cluster, username, public_key, private_key, true, err);
	secret_free(private_key, size);
	if (rc != 0)
		return -1;
	log_info("identity made", LOG_S("user", user), LOG_S("cluster", cluster), LOG_S("account", username));
	return 0;
}

/* *ret_changed: what logs in is another one now. */
static int put(struct service *service, struct db *db, const struct actor *actor, const char *cluster,
	       const char *username, bool *ret_made, bool *ret_changed, struct nel_err *err)
{
	CLEANUP(identity_row_done) struct identity_row row = {0};
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0)
		return -1;
	*ret_made = identities_get(db, actor->name, cluster, &row, err) != 0;
	if (*ret_made && err->kind != NEL_NOTFOUND)
		return -1;
	*ret_changed = *ret_made || (username != NULL && strcmp(username, row.username) != 0);
	int rc = 0;
	if (*ret_made)
		rc = make_key(service, db, actor->name, cluster, username != NULL ? username : actor->name, err);
	else if (*ret_changed)
		rc = identities_set_username(db, actor->name, cluster, username, err);
	return rc != 0 ? -1 : db_commit(db, err);
}

/* What logs in from now on is another one: new sessions, and what waits for them is tried at once. */
static int renew_login(struct service *service, struct db *db, const char *user, const char *cluster,
		       struct nel_err *err)
{
	CLEANUP(identity_row_done) struct identity_row row = {0};
	char name[IDENTITY_NAME_SIZE];
	if (identity_get(db, user, cluster, &row, err) != 0)
		return -1;
	identity_name(row.user, row.username, name);
	lanes_renew(service->lanes, cluster, name);
	scheduler_nudge(service->scheduler, cluster, name);
	return 0;
}

int service_put_identity(struct service *service, struct db *db, const struct actor *actor, const char *cluster,
			 const char *username, bool *ret_made, json_t **ret_identity, struct nel_err *err)
{
	const struct settings_cluster *found = NULL;
	bool changed = false;
	if (find_cluster(service, cluster, &found, err) != 0)
		return -1;
	if (username != NULL && !identity_username_ok(username))
		return err_set(err, NEL_INVALID,
			       "username is not the name of an account: letters, digits, '_', '.' and '-', at most %d",
			       IDENTITY_USERNAME_MAX);
	/* The account's lane, when it was one before, still has the key of then. */
	if (put(service, db, actor, cluster, username, ret_made, &changed, err) != 0 ||
	    (changed && renew_login(service, db, actor->name, cluster, err) != 0))
		return -1;
	return service_identity(service, db, actor, NULL, cluster, ret_identity, err);
}

/* Reads the key that there is, for secret_free(). */
static int open_key(struct service *service, const struct identity_row *row, char **ret_key, size_t *ret_size,
		    struct nel_err *err)
{
	CLEANUP(mem_freep) char *label = identity_label(row->user, row->cluster);
	return secret_open(service->master_key, label, row->sealed_key, row->sealed_key_size, ret_key, ret_size, err);
}

/* Within a transaction: the certificate, of the key that there is or of the one that is given. */
static int put_certificate(struct service *service, struct db *db, const struct actor *actor, const char *cluster,
			   const char *certificate, const char *private_key, struct nel_err *err)
{
	CLEANUP(identity_row_done) struct identity_row row = {0};
	CLEANUP(certificate_done) struct certificate parsed = {0};
	CLEANUP(mem_freep) char *public_key = NULL;
	char *own = NULL;
	size_t own_size = 0;
	int rc = identity_get(db, actor->name, cluster, &row, err);
	bool is_new = rc != 0 && err->kind == NEL_NOTFOUND && private_key != NULL;
	if (rc != 0 && !is_new)
		return -1;
	if (private_key == NULL && open_key(service, &row, &own, &own_size, err) != 0)
		return -1;
	const char *key = private_key != NULL ? private_key : own;
	if ((private_key != NULL && credentials_check_key(private_key, &public_key, err) != 0) ||
	    credentials_check_person(certificate, key, &parsed, err) != 0)
		rc = err_as(err, NEL_INVALID);
	else if (private_key != NULL)
		rc = store_key(service, db, actor->name, cluster, actor->name, public_key, private_key, is_new, err);
	secret_free(own, own_size);
	if (rc != 0)
		return -1;
	return identities_set_certificate(db, actor->name, cluster, parsed.line, parsed.expires_at,
					  certificate_tell_at(&parsed), err);
}

int service_put_certificate(struct service *service, struct db *db, const struct actor *actor, const char *cluster,
			    const char *certificate, const char *private_key, json_t **ret_identity,
			    struct nel_err *err)
{
	const struct settings_cluster *found = NULL;
	if (find_cluster(service, cluster, &found, err) != 0)
		return -1;
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0 ||
	    put_certificate(service, db, actor, cluster, certificate, private_key, err) != 0 ||
	    db_commit(db, err) != 0 || renew_login(service, db, actor->name, cluster, err) != 0)
		return -1;
	log_info("certificate stored", LOG_S("user", actor->name), LOG_S("cluster", cluster));
	return service_identity(service, db, actor, NULL, cluster, ret_identity, err);
}

int service_delete_certificate(struct service *service, struct db *db, const struct actor *actor, const char *user,
			       const char *cluster, struct nel_err *err)
{
	CLEANUP(identity_row_done) struct identity_row row = {0};
	if (find_user(actor, user, &user, err) != 0 || identity_get(db, user, cluster, &row, err) != 0)
		return -1;
	if (row.certificate == NULL)
		return err_set(err, NEL_NOTFOUND, "%s has no certificate for %s", user, cluster);
	if (identities_set_certificate(db, user, cluster, NULL, 0, 0, err) != 0)
		return -1;
	log_info("certificate deleted", LOG_S("user", user), LOG_S("cluster", cluster), LOG_S("by", actor->name));
	return renew_login(service, db, user, cluster, err);
}

int service_delete_identity(struct service *service, struct db *db, const struct actor *actor, const char *user,
			    const char *cluster, struct nel_err *err)
{
	CLEANUP(identity_row_done) struct identity_row row = {0};
	int64_t live = 0;
	char name[IDENTITY_NAME_SIZE];
	if (find_user(actor, user, &user, err) != 0)
		return -1;
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0 || identity_get(db, user, cluster, &row, err) != 0 ||
	    jobs_count_active(db, cluster, user, &live, err) != 0)
		return -1;
	if (live > 0)
		return err_set(
		    err, NEL_CONFLICT,
		    "%lld job%s of %s on %s %s alive, and could not be followed or cancelled without the key: "
		    "cancel or await them first",
		    (long long)live, live == 1 ? "" : "s", user, cluster, live == 1 ? "is" : "are");
	if (identities_delete(db, user, cluster, err) != 0 || db_commit(db, err) != 0)
		return -1;
	identity_name(user, row.username, name);
	lanes_renew(service->lanes, cluster, name);
	log_info("identity deleted", LOG_S("user", user), LOG_S("cluster", cluster), LOG_S("by", actor->name));
	return 0;
}

int service_ensure_identity(struct service *service, struct db *db, const char *user,
			    const struct settings_cluster *cluster, struct nel_err *err)
{
	CLEANUP(identity_row_done) struct identity_row row = {0};
	if (!cluster->identity_per_user || identities_get(db, user, cluster->name, &row, err) == 0)
		return 0;
	return err->kind == NEL_NOTFOUND ? make_key(service, db, user, cluster->name, user, err) : -1;
}

/* ---- trying ---- */

int service_try_identity(struct service *service, struct db *db, const struct actor *actor, const char *user,
			 const char *cluster, struct identity_row *ret_row, struct cluster_check **ret_check,
			 struct nel_err *err)
{
	const struct settings_cluster *found = NULL;
	struct lane_stats stats = {0};
	char name[IDENTITY_NAME_SIZE];
	if (find_user(actor, user, &user, err) != 0 || find_cluster(service, cluster, &found, err) != 0 ||
	    identity_get(db, user, cluster, ret_row, err) != 0)
		return -1;
	identity_name(ret_row->user, ret_row->username, name);
	if (lanes_stats(service->lanes, cluster, name, &stats, NULL) == 0 && stats.ssh.last_kind == NEL_DENIED)
		lanes_renew(service->lanes, cluster, name);
	*ret_check = cluster_check_login(found, name);
	return 0;
}

/* {"checks": [{"ok", "message", "refused"}]} of one login. */
static enum identity_state judge(const json_t *check)
{
	if (json_is_true(json_object_get(check, "ok")))
		return IDENTITY_OK;
	return json_is_true(json_object_get(check, "refused")) ? IDENTITY_REFUSED : IDENTITY_UNREACHABLE;
}

int service_tried_identity(struct service *service, struct db *db, const struct identity_row *row, const char *answer,
			   size_t size, json_t **ret_identity, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *document = json_loadb(answer, size, 0, NULL);
	const json_t *check = json_array_get(json_object_get(document, "checks"), 0);
	const char *message = json_string_value(json_object_get(check, "message"));
	enum identity_state state = judge(check);
	char name[IDENTITY_NAME_SIZE];
	CLEANUP(identity_row_done) struct identity_row now = {0};
	if (message == NULL)
		return err_set(err, NEL_INTERNAL, "the answer to a login cannot be read");
	if (identities_set_state(db, row->user, row->cluster, row->username, state,
				 state == IDENTITY_OK ? NULL : message, clock_now_s(), err) != 0 ||
	    identity_get(db, row->user, row->cluster, &now, err) != 0)
		return -1;
	identity_name(row->user, row->username, name);
	if (state == IDENTITY_OK)
		scheduler_nudge(service->scheduler, row->cluster, name);
	*ret_identity = describe(service, &now);
	return 0;
}

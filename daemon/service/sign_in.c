/* Owns what a person of an issuer is here: the user of the same name.
 *
 * The name belongs to the first subject (claim sub) that comes with it, so that nobody takes it over who comes to have
 * it at the issuer later. The role is that of the newest token: an older one may give less than the role in the store,
 * never more. */
#include "service/sign_in.h"

#include "base/clock.h"
#include "base/log.h"
#include "db/audit.h"
#include "db/tokens.h"
#include "service/oidc/oidc_issuer.h"

#include <stdio.h>
#include <string.h>

#define DAY_S (24 * 3600)

bool sign_in_is_foreign(const char *token)
{
	return strncmp(token, "nel_", 4) != 0;
}

static int check(struct service *service, const struct settings_oidc *oidc, const char *token, json_t **ret_claims,
		 bool *ret_wait, struct nel_err *err)
{
	CLEANUP(oidc_keys_freep) struct oidc_keys *keys = NULL;
	if (oidc_issuer_keys(service->oidc, &keys, err) != 0) {
		*ret_wait = oidc_issuer_want(service->oidc, NULL);
		return -1;
	}
	/* A reload may have put other settings in force in between. */
	if (strcmp(oidc_keys_issuer(keys), oidc->issuer) != 0)
		return err_set(err, NEL_BUSY, "the settings are changing; try again");
	if (oidc_token_check(oidc, keys, token, clock_now_s(), ret_claims, err) == 0)
		return 0;
	if (err->kind == NEL_NOTFOUND) {
		*ret_wait = oidc_issuer_want(service->oidc, keys);
		err->kind = NEL_INVALID;
	}
	return -1;
}

int sign_in_verify(struct service *service, const struct settings *settings, const char *token,
		   struct oidc_person *ret_person, bool *ret_wait, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *claims = NULL;
	*ret_wait = false;
	if (settings->oidc == NULL)
		return err_set(err, NEL_INVALID, "the token is not a valid one");
	if (check(service, settings->oidc, token, &claims, ret_wait, err) != 0)
		return -1;
	return oidc_token_person(settings->oidc, claims, ret_person, err);
}

static bool is_bound(const struct user_row *user, const struct oidc_person *person)
{
	return strcmp(user->oidc_issuer, person->issuer) == 0;
}

/* The token's role is newer than what the store has, and another one. */
static bool brings_role(const struct user_row *user, const struct oidc_person *person)
{
	return person->has_role && person->role != user->role && person->issued_at > user->role_at;
}

static int check_user(const struct user_row *user, const struct oidc_person *person, struct nel_err *err)
{
	if (user->suspended_at != 0)
		return err_set(err, NEL_DENIED, "the user %s is suspended", user->name);
	if (is_bound(user, person) && strcmp(user->oidc_subject, person->subject) != 0)
		return err_set(
		    err, NEL_DENIED,
		    "the user %s is somebody else at the issuer: if it is the same person with a new account, an "
		    "admin sets oidc_subject of the user to null",
		    user->name);
	return 0;
}

/* Nobody here has the name. */
static int check_stranger(struct db *db, const struct settings *settings, const struct oidc_person *person,
			  struct nel_err *err)
{
	bool removed = false;
	if (!settings->oidc->create_users)
		return err_set(err, NEL_DENIED, "%s is not a user of this service: an admin may add one of that name",
			       person->name);
	if (users_is_removed(db, person->name, &removed, err) != 0)
		return -1;
	return removed ? err_set(err, NEL_DENIED, "the user %s was removed: an admin may add one of that name again",
				 person->name)
		       : 0;
}

/* The user of the person's name; *ret_found: there is one. DENIED when the person is not let in. */
static int find_user(struct db *db, const struct settings *settings, const struct oidc_person *person,
		     struct user_row *ret_user, bool *ret_found, struct nel_err *err)
{
	*ret_found = users_get(db, person->name, ret_user, err) == 0;
	if (*ret_found)
		return check_user(ret_user, person, err);
	return err->kind == NEL_NOTFOUND ? check_stranger(db, settings, person, err) : -1;
}

int sign_in_actor(struct db *db, const struct settings *settings, const struct oidc_person *person,
		  struct actor *ret_actor, bool *ret_store, struct nel_err *err)
{
	struct user_row user = {0};
	bool found = false;
	if (find_user(db, settings, person, &user, &found, err) != 0)
		return -1;
	*ret_store = !found || !is_bound(&user, person) || brings_role(&user, person);
	struct actor actor = {.role = user.role,
			      .sign_in = SIGN_IN_OIDC,
			      .expires_at = person->expires_at + settings->oidc->leeway_s,
			      .tokens_end_at = clock_now_s() + settings->oidc->token_days * DAY_S};
	if (person->has_role && person->role < user.role)
		actor.role = person->role;
	memcpy(actor.name, person->name, sizeof actor.name);
	*ret_actor = actor;
	return 0;
}

/* Within the transaction; appends to `said` what has been done. */
static int change(struct db *db, const struct settings *settings, const struct oidc_person *person, char *said,
		  size_t size, struct nel_err *err)
{
	struct user_row user = {0};
	bool found = false;
	if (find_user(db, settings, person, &user, &found, err) != 0)
		return -1;
	if (!found) {
		if (users_insert(db, person->name, person->role, clock_now_s(), err) != 0 ||
		    users_set_role(db, person->name, person->role, person->issued_at, err) != 0)
			return -1;
		snprintf(said, size, "user made, role %s", role_name(person->role));
	} else if (brings_role(&user, person)) {
		if (users_set_role(db, person->name, person->role, person->issued_at, err) != 0 ||
		    tokens_narrow_made(db, person->name, person->role, err) != 0)
			return -1;
		snprintf(said, size, "role %s, was %s", role_name(person->role), role_name(user.role));
	}
	if (found && is_bound(&user, person))
		return 0;
	size_t used = strlen(said);
	snprintf(said + used, size - used, "%ssubject of the issuer noted", used > 0 ? "; " : "");
	return users_set_subject(db, person->name, person->issuer, person->subject, err);
}

int sign_in_store(struct db *db, const struct settings *settings, const struct oidc_person *person, const char *source,
		  const char *request, struct nel_err *err)
{
	char said[AUDIT_DETAIL_MAX] = "";
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0 || change(db, settings, person, said, sizeof said, err) != 0)
		return -1;
	if (said[0] == '\0') /* another request of the person was first */
		return 0;
	const struct audit_entry entry = {.actor = person->name,
					  .source = source,
					  .sign_in = sign_in_name(SIGN_IN_OIDC),
					  .request = request,
					  .action = "signIn",
					  .target = person->name,
					  .detail = said,
					  .keep_s = settings->audit_keep_days * DAY_S};
	if (audit_insert(db, &entry, clock_now_s(), err) != 0 || db_commit(db, err) != 0)
		return -1;
	log_info("signed in", LOG_S("request", request), LOG_S("user", person->name), LOG_S("detail", said));
	return 0;
}

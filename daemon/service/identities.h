/* Who people are on the clusters: keys of their own where the settings say so, the one account elsewhere. HTTP threads.
 *
 * A person may name any account; what lets him in is his own key, which only the account's owner can put into its
 * authorized_keys. So nobody gets at another one's account by naming it. */
#ifndef NEL_SERVICE_IDENTITIES_H
#define NEL_SERVICE_IDENTITIES_H

#include "db/identities.h"
#include "service/cluster_check.h"
#include "service/service.h"

/* {"items": [...], "next": null}: the actor's own; an admin's: everybody's. */
int service_identities(struct service *service, struct db *db, const struct actor *actor, json_t **ret_list,
		       struct nel_err *err);

/* One; user NULL: the actor's own. NOTFOUND (no such cluster, or nothing made yet), CONFLICT (the cluster has one
 * account for all), DENIED (another one's, and the actor is no admin). */
int service_identity(struct service *service, struct db *db, const struct actor *actor, const char *user,
		     const char *cluster, json_t **ret_identity, struct nel_err *err);

/* Makes the actor's key, or changes the account. username NULL: the account it is, or for a new one the actor's name.
 * *ret_made: it is a new one. INVALID: not an account's name. Other errors as above. */
int service_put_identity(struct service *service, struct db *db, const struct actor *actor, const char *cluster,
			 const char *username, bool *ret_made, json_t **ret_identity, struct nel_err *err);

/* A certificate of the actor's key: a line as ssh-keygen -s writes it. private_key (NULL: the key that there is) takes
 * the key's place before, as where a site hands out both; then an identity is made when there is none. INVALID when
 * they cannot be used, with the reason. Other errors as above. */
int service_put_certificate(struct service *service, struct db *db, const struct actor *actor, const char *cluster,
			    const char *certificate, const char *private_key, json_t **ret_identity,
			    struct nel_err *err);

/* Forgets it; the key stays. */
int service_delete_certificate(struct service *service, struct db *db, const struct actor *actor, const char *user,
			       const char *cluster, struct nel_err *err);

/* Forgets the key. CONFLICT while jobs of it are alive: without the key they could not be followed or cancelled. */
int service_delete_identity(struct service *service, struct db *db, const struct actor *actor, const char *user,
			    const char *cluster, struct nel_err *err);

/* Within the transaction of a submission: makes the key when there is none yet. */
int service_ensure_identity(struct service *service, struct db *db, const char *user,
			    const struct settings_cluster *cluster, struct nel_err *err);

/* A login that is to be tried, for service_check_cluster(); *ret_row is who tries, owned. A refusal that is remembered
 * is forgotten first. */
int service_try_identity(struct service *service, struct db *db, const struct actor *actor, const char *user,
			 const char *cluster, struct identity_row *ret_row, struct cluster_check **ret_check,
			 struct nel_err *err);

/* The answer's text to that: kept with the identity, which is returned; when it went well, what waits goes on at once.
 */
int service_tried_identity(struct service *service, struct db *db, const struct identity_row *row, const char *answer,
			   size_t size, json_t **ret_identity, struct nel_err *err);

#endif

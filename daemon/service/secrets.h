/* Stored secrets: whose they are, who may set them, and which one a submission gets. Their values only ever leave the
 * store sealed into an evaluation. HTTP threads. */
#ifndef NEL_SERVICE_SECRETS_H
#define NEL_SERVICE_SECRETS_H

#include "base/mask.h"
#include "config/plan/eval_plan.h"
#include "db/evaluations.h"
#include "db/jobs.h"
#include "db/secrets.h"
#include "service/submit_request.h"

/* Bytes of all values together. What masks them (base/mask.h) has up to 300 times as many. */
#define SECRETS_OF_EVALUATION_MAX (128 * 1024)

/* Who may use a team's secret, and for which hosts of a target (struct secret_use); NULL: as it was. */
struct secret_limits {
	const char *users;
	const char *hosts;
};

/* Stores the value for the actor, or for the team (admins only: DENIED). INVALID: the name is no variable's, or the
 * value is longer than SUBMIT_ENV_SIZE_MAX or has a NUL. CONFLICT: too many. */
int service_put_secret(struct service *service, struct db *db, const struct actor *actor, bool team, const char *name,
		       const char *value, size_t size, const struct secret_limits *limits, struct secret_row *ret_row,
		       bool *ret_new, struct nel_err *err);

int service_delete_secret(struct db *db, const struct actor *actor, bool team, const char *name,
			  struct nel_err *err); /* NOTFOUND, DENIED */

/* The names that a submission of that user can count on: the person's, and those of the team's that the user may use.
 */
struct secret_names {
	struct secret_row *rows;
	size_t count;
};

int secret_names_load(struct db *db, const char *user, struct secret_names *ret_names, struct nel_err *err);
/* Is there one, which may be used for the target of every job of the plan? */
bool secret_names_have(const struct secret_names *names, const char *name, const struct eval_plan *plan);
void secret_names_done(struct secret_names *names);

/* Seals what the plan wants into row->sealed_env, as one JSON object; nothing when it wants none. Each value is the
 * request's own, else the person's, else the team's. INVALID when one is gone, or is no UTF-8, or all
 * are longer than SECRETS_OF_EVALUATION_MAX. */
int secrets_seal_env(struct service *service, struct db *db, const struct submit_request *request,
		     const struct eval_plan *plan, struct evaluation_row *row, struct nel_err *err);

/* Seals all that came with the request, as one JSON object; nothing when nothing did. INVALID as above. */
int secrets_seal_sent(struct service *service, const struct submit_request *request, const char *label,
		      unsigned char **ret_sealed, size_t *ret_size, struct nel_err *err);

/* What stands for the values of the row's sealed secrets where they are compared: an object of fingerprints by name. */
int secrets_fingerprints(struct service *service, const struct evaluation_row *row, json_t **ret_fingerprints,
			 struct nel_err *err);

/* For a resumption: puts the given values (a JSON object of texts; NULL: none) among those that the evaluation keeps,
 * and where it keeps none any more takes them from there and from what is stored. INVALID when some are missing (naming
 * all) or too large. Within a transaction. */
int secrets_renew_env(struct service *service, struct db *db, const char *evaluation, const json_t *given,
		      struct nel_err *err);

/* What takes the secrets of the job's evaluation out of a text. */
int secrets_mask(struct service *service, struct db *db, const struct job_row *job, struct mask **ret_mask,
		 struct nel_err *err);

#endif

/* A person's requests about what is already submitted. HTTP threads. */
#ifndef NEL_SERVICE_LIFECYCLE_H
#define NEL_SERVICE_LIFECYCLE_H

#include "service/service.h"

/* Asks for the end of every live job of the evaluation, or of one job. Remembered in the store, carried out by the
 * scheduler; asking again, or for what has ended, changes nothing. NOTFOUND; DENIED when it is another person's and
 * the actor is no admin. */
int service_cancel_evaluation(struct service *service, struct db *db, const struct actor *actor, const char *id,
			      struct nel_err *err);
int service_cancel_job(struct service *service, struct db *db, const struct actor *actor, const char *job_id,
		       struct nel_err *err);

/* Asks that ended, unsuccessful jobs go on: those of the evaluation, or one job. reset_budget starts a new walltime
 * budget for each; env: new values of secrets (service/secrets.h, secrets_renew_env(): INVALID), or NULL. CONFLICT when
 * nothing of it can go on: a job lives or has succeeded, or its budget is spent and is not reset (the message says so).
 * NOTFOUND, DENIED as above. */
int service_resume_evaluation(struct service *service, struct db *db, const struct actor *actor, const char *id,
			      bool reset_budget, const json_t *env, struct nel_err *err);
int service_resume_job(struct service *service, struct db *db, const struct actor *actor, const char *job_id,
		       bool reset_budget, const json_t *env, struct nel_err *err);

#endif

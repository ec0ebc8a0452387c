/* A person's wishes about what is already submitted. HTTP threads. */
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

#endif

/* Reading a job's scores again, at any time. HTTP threads. */
#ifndef NEL_SERVICE_REFRESH_H
#define NEL_SERVICE_REFRESH_H

#include "db/jobs.h"
#include "db/results.h"
#include "service/service.h"

#define REFRESH_PATH "results.yml" /* below the job's artifacts */

/* A job's scores before and after, both in the order of results_of_job(). */
struct refresh {
	struct result_list before;
	struct result_list after;
	struct job_basis basis;
};

void refresh_done(struct refresh *refresh);

/* May the actor have the job's scores read again? DENIED when it is another person's and the actor is no admin. */
int service_may_refresh(const struct actor *actor, const struct job_row *job, struct nel_err *err);

/* What a look again needs to know besides the text. */
struct refresh_order {
	const char *by;      /* who asks */
	bool accept_changed; /* also of a file that has changed since the job's end; the job then says so */
};

/* Stores what the text of results.yml says in place of the job's scores. `job` is the row as it was before the file was
 * read: CONFLICT when its state or attempt has changed since, so that a look at a running job never replaces the scores
 * of its end. INVALID, with the scores kept: the text cannot be read. CONFLICT, too, when the job has ended and the
 * file is not the one that its end left. */
int service_refresh_results(struct service *service, struct db *db, const struct job_row *job, const char *text,
			    size_t size, const struct refresh_order *order, struct refresh *ret_refresh,
			    struct nel_err *err);

#endif

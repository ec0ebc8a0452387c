/* Submitting an evaluation: text to plan to one transaction; and the same without storing (dry run). HTTP threads. */
#ifndef NEL_SERVICE_SUBMIT_H
#define NEL_SERVICE_SUBMIT_H

#include "base/ids.h"
#include "base/secret.h"
#include "service/submit_request.h"

struct cluster_check; /* service/cluster_check.h */

struct submit_reply_to_client {
	char id[IDS_EVALUATION_SIZE];
	bool repeated;               /* the Idempotency-Key was known: id is the first one's */
	bool clash;                  /* set on CONFLICT: the Idempotency-Key belongs to another request */
	json_t *errors;              /* set on INVALID: an array of {"pointer","message","line","column"} */
	json_t *warnings;            /* with errors: the same of what is not wrong */
	json_t *dry_run;             /* set by service_plan() */
	json_t *forecast;            /* of what was stored now (service/forecast.h); NULL: it was not */
	struct cluster_check *check; /* set by service_plan() when wanted, for service_check_cluster() */
};

void submit_reply_to_client_done(struct submit_reply_to_client *reply);

/* Stores the evaluation, its jobs and events, then wakes the scheduler. INVALID: the config is wrong, reply->errors
 * says where (also for missing secrets, unknown cluster). CONFLICT: the Idempotency-Key belongs to another request.
 * DENIED: the actor may not submit. BUSY: a limit of the settings is reached. */
int service_submit(struct service *service, struct db *db, const struct submit_request *request,
		   struct submit_reply_to_client *ret_reply, struct nel_err *err);

/* Is it a repeat (idempotency.h)? 1: yes, the reply has the id that the first request made. 0: no. -1: an error; the
 * reply says whether it is a clash. */
int submit_find_repeat(struct db *db, const struct submit_request *request, int64_t now_s,
		       struct submit_reply_to_client *reply, struct nel_err *err);

/* What service_submit() would do: {"config": resolved, "cluster", "rundir", "warnings": [...], "jobs":
 * [{"task","index", "script","files":[{"path","mode","size","content"}],"secrets": text with <redacted>}],
 * "forecast", "sharing"}. Stores nothing. */
int service_plan(struct service *service, struct db *db, const struct submit_request *request,
		 struct submit_reply_to_client *ret_reply, struct nel_err *err);

/* The hash of what would run (planned_run_hash()), and ret_reply->warnings. Stores nothing. */
int service_plan_run(struct service *service, struct db *db, const struct submit_request *request,
		     char ret_hash[SECRET_HASH_SIZE], struct submit_reply_to_client *ret_reply, struct nel_err *err);

#endif

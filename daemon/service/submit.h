/* Submitting an evaluation: text to plan to one transaction; and the same without storing (dry run). HTTP threads. */
#ifndef NEL_SERVICE_SUBMIT_H
#define NEL_SERVICE_SUBMIT_H

#include "base/ids.h"
#include "service/idempotency.h"
#include "service/service.h"

#define SUBMIT_OVERRIDES_MAX 200
#define SUBMIT_TASKS_MAX 200
#define SUBMIT_ENV_MAX 200
#define SUBMIT_LABELS_MAX 32
#define SUBMIT_LABEL_SIZE_MAX 128
#define SUBMIT_ENV_SIZE_MAX 65536 /* bytes of one value */

struct name_value {
	const char *name;
	const char *value;
};

/* All borrowed. */
struct submit_request {
	const struct actor *actor;
	const char *text;
	size_t size;
	bool json; /* the text is JSON, not YAML */
	const char *const *overrides;
	size_t override_count;
	const char *const *tasks; /* only these of the config's; none given: all */
	size_t task_count;
	const struct name_value *env; /* secrets of this submission */
	size_t env_count;
	const struct name_value *labels;
	size_t label_count;
	bool strict;
	bool check_cluster; /* of service_plan(): prepare a question to the cluster */
	struct idempotency idempotency;
};

struct cluster_check; /* service/cluster_check.h */

struct submit_reply_to_client {
	char id[IDS_EVALUATION_SIZE];
	bool repeated;               /* the Idempotency-Key was known: id is the first one's */
	bool clash;                  /* set on CONFLICT: the Idempotency-Key belongs to another request */
	json_t *errors;              /* set on INVALID: an array of {"pointer","message","line","column"} */
	json_t *warnings;            /* with errors: the same of what is not wrong */
	json_t *dry_run;             /* set by service_plan() */
	struct cluster_check *check; /* set by service_plan() when wanted, for service_check_cluster() */
};

void submit_reply_to_client_done(struct submit_reply_to_client *reply);

/* Stores the evaluation, its jobs and events, then wakes the scheduler. INVALID: the config is wrong, reply->errors
 * says where (also for missing secrets, unknown cluster). CONFLICT: the Idempotency-Key belongs to another request.
 * DENIED: the actor may not submit. BUSY: a limit of the settings is reached. */
int service_submit(struct service *service, struct db *db, const struct submit_request *request,
		   struct submit_reply_to_client *ret_reply, struct nel_err *err);

/* What service_submit() would do: {"config": resolved, "cluster", "rundir", "warnings": [...], "jobs":
 * [{"task","index", "script","files":[{"path","mode","size","content"}],"secrets": text with <redacted>}]}. Stores
 * nothing. */
int service_plan(struct service *service, struct db *db, const struct submit_request *request,
		 struct submit_reply_to_client *ret_reply, struct nel_err *err);

#endif

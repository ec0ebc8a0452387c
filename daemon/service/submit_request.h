/* A submission as it came in, and its limits. */
#ifndef NEL_SERVICE_SUBMIT_REQUEST_H
#define NEL_SERVICE_SUBMIT_REQUEST_H

#include "service/idempotency.h"
#include "service/service.h"

#include <string.h>

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
	bool reuse; /* jobs may be answered with the scores of equal ones */
	/* Of a checkpoint that is converted for this evaluation: plan that (config/plan/plan_convert.h); NULL: no. */
	const json_t *convert;
	const char *checkpoint;
	bool check_cluster; /* of service_plan(): prepare a question to the cluster */
	struct idempotency idempotency;
	/* NULL, or called within the transaction that stores the evaluation, once that is stored; -1 undoes it all. */
	int (*within)(struct db *db, const char *evaluation, void *arg, struct nel_err *err);
	void *within_arg;
};

/* The value of a secret that came with it; borrowed; NULL: it has none of that name. */
static inline const char *submit_request_env(const struct submit_request *request, const char *name)
{
	for (size_t i = 0; i < request->env_count; i++)
		if (strcmp(request->env[i].name, name) == 0)
			return request->env[i].value;
	return NULL;
}

#endif

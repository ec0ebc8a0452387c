/* What a submission is expected to use: from what runs like it that succeeded have used. HTTP threads. */
#ifndef NEL_SERVICE_FORECAST_H
#define NEL_SERVICE_FORECAST_H

#include "config/plan/likeness.h"
#include "db/db.h"

#include <jansson.h>

#define FORECAST_RUNS_MAX 30   /* the newest of a task and a model that are looked at */
#define FORECAST_ROWS_MAX 1500 /* of all tasks together; but FORECAST_RUNS_MIN of each */
#define FORECAST_RUNS_MIN 3

/* {"jobs_known", "gpu_hours": {"p50","p90"}, "duration_s": {"p50","p90"}, "jobs": [{"index","task","basis":
 * "equal"|"similar"|"task","runs","gpu_hours","duration_s"}]}, with the jobs that there is something to go by for; a
 * JSON null when there is none. The sums are theirs; the duration is that of the longest, or, where jobs share a
 * server, of all after each other. Time in queues does not count. */
int forecast_make(struct db *db, const struct eval_plan *plan, const struct likeness *likeness, json_t **ret_forecast,
		  struct nel_err *err);

#endif

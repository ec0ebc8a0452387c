/* What a submission is expected to use: from what runs like it that succeeded have used. HTTP threads. */
#ifndef NEL_SERVICE_FORECAST_H
#define NEL_SERVICE_FORECAST_H

#include "config/plan/likeness.h"
#include "db/db.h"

#include <jansson.h>

#define FORECAST_RUNS_MAX 30   /* the newest of a task and a model that are looked at */
#define FORECAST_ROWS_MAX 1500 /* of all tasks together; but FORECAST_RUNS_MIN of each */
#define FORECAST_RUNS_MIN 3

#define FORECAST_SHARE "execution.share_deployment=true" /* the override that shares one deployment */

/* {"jobs_known", "gpu_hours": {"p50","p90"}, "duration_s": {"p50","p90"}, "jobs": [{"index","task","basis":
 * "equal"|"similar"|"task","runs","gpu_hours","duration_s"}]}, with the jobs that there is something to go by for; a
 * JSON null when there is none. The sums are theirs; the duration is that of the longest, or, where jobs share a
 * server, of all after each other. Time in queues does not count.
 *
 * *ret_sharing, unless it is NULL: what one deployment for all tasks would save, by the median of the same runs:
 * {"tasks", "set": FORECAST_SHARE, "runs": those whose servers' start is known, "start_up_s", "would_save_gpu_hours",
 * "text"}, the figures null when nothing is known; a JSON null when they share one already, or there is nothing to
 * share. */
int forecast_make(struct db *db, const struct eval_plan *plan, const struct likeness *likeness, json_t **ret_forecast,
		  json_t **ret_sharing, struct nel_err *err);

#endif

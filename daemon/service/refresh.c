#include "service/refresh.h"

#include "base/clock.h"
#include "base/mem.h"
#include "db/events.h"
#include "service/secrets.h"
#include "slurm/scores.h"

#include <math.h>

#define EVENT_SCORES_MAX 50

void refresh_done(struct refresh *refresh)
{
	result_list_done(&refresh->before);
	result_list_done(&refresh->after);
}

int service_may_refresh(const struct actor *actor, const struct job_row *job, struct nel_err *err)
{
	return service_check_owner(actor, job->user, err);
}

static int check_unchanged(struct db *db, const struct job_row *job, struct nel_err *err)
{
	CLEANUP(job_row_done) struct job_row now = {0};
	if (jobs_get_seq(db, job->seq, &now, err) != 0)
		return -1;
	if (now.state == job->state && now.attempt == job->attempt)
		return 0;
	return err_set(err, NEL_CONFLICT, "job %s became %s while its scores were read; ask again", job->id,
		       chain_state_name(now.state));
}

static int replace(struct db *db, int64_t job_seq, const struct scores *scores, struct nel_err *err)
{
	CLEANUP(mem_freep) struct result_row *rows = mem_calloc(scores->count, sizeof *rows);
	for (size_t i = 0; i < scores->count; i++) {
		const struct score *score = &scores->items[i];
		rows[i] = (struct result_row){.task = score->task,
					      .group = score->group,
					      .metric = score->metric,
					      .score = score->score,
					      .value = score->value,
					      .stderr_ = score->stderr_,
					      .count = score->count};
	}
	return results_replace(db, job_seq, rows, scores->count, clock_now_s(), err);
}

static json_t *number_or_null(double number)
{
	return isfinite(number) ? json_real(number) : json_null();
}

/* results.recorded, as the scheduler writes it at a job's end (openapi.yaml, schema Event). */
static int record(struct db *db, const struct job_row *job, const struct result_list *list, struct nel_err *err)
{
	json_t *scores = json_array();
	for (size_t i = 0; i < list->count && i < EVENT_SCORES_MAX; i++) {
		const struct result_row *row = &list->items[i];
		json_array_append_new(scores,
				      json_pack("{s:s, s:b, s:s, s:s, s:o, s:o}", "task", row->task, "group",
						(int)row->group, "metric", row->metric, "score", row->score, "value",
						number_or_null(row->value), "stderr", number_or_null(row->stderr_)));
	}
	CLEANUP(json_freep)
	json_t *data = json_pack("{s:s, s:s, s:s, s:i, s:I, s:o}", "cluster", job->cluster, "model", job->model, "task",
				 job->task, "index", job->index, "count", (json_int_t)list->count, "scores", scores);
	CLEANUP(mem_freep) char *text = data != NULL ? json_dumps(data, JSON_COMPACT) : NULL;
	if (text == NULL)
		return err_set(err, NEL_INTERNAL, "an event is no JSON");
	return events_insert(db, clock_now_s(), "results.recorded", job->user, job->evaluation, job->id, text, err);
}

int service_refresh_results(struct service *service, struct db *db, const struct job_row *job, const char *text,
			    size_t size, struct refresh *ret_refresh, struct nel_err *err)
{
	CLEANUP(scores_done) struct scores scores = {0};
	CLEANUP(refresh_done) struct refresh refresh = {0};
	CLEANUP(mask_freep) struct mask *mask = NULL;
	if (secrets_mask(service, db, job, &mask, err) != 0)
		return -1;
	if (scores_parse(text, size, &scores, err) != 0) {
		mask_text(mask, err->msg);
		return -1;
	}
	scores_mask(&scores, mask);
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0 || check_unchanged(db, job, err) != 0 ||
	    results_of_job(db, job->seq, &refresh.before, err) != 0 || replace(db, job->seq, &scores, err) != 0 ||
	    results_of_job(db, job->seq, &refresh.after, err) != 0 || record(db, job, &refresh.after, err) != 0 ||
	    db_commit(db, err) != 0)
		return -1;
	*ret_refresh = refresh;
	refresh = (struct refresh){0};
	return 0;
}

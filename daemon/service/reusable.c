#include "service/reusable.h"

#include "config/plan/checkpoints.h"
#include "db/fingerprints.h"
#include "db/jobs.h"

#include <string.h>

void reusable_warn(const struct eval_plan *plan, struct problems *warnings)
{
	const char *pointer = NULL;
	const char *why = NULL;
	CLEANUP(json_freep) json_t *checkpoints = plan_checkpoints(plan, &pointer, &why);
	if (checkpoints == NULL)
		problems_add(warnings, pointer, 0, 0, "Nothing is reused, and all jobs are run: %s", why);
	else if (eval_plan_is_shared(plan) && plan->job_count > 1)
		problems_add(warnings, "/execution/share_deployment", 0, 0,
			     "The jobs share a deployment, and are reused all together or not at all");
	if (checkpoints != NULL && plan->export_ != NULL)
		problems_add(warnings, "/execution/auto_export", 0, 0,
			     "A job that is reused is not exported: what it was reused from may have been");
}

/* "": there is none. */
static int find_candidate(struct db *db, const struct planned *planned, const struct plan_job *job,
			  const struct likeness_job *likeness, char ret_id[IDS_JOB_SIZE], struct nel_err *err)
{
	struct fingerprint_candidates candidates;
	CLEANUP(job_row_done) struct job_row row = {0};
	const struct fingerprint_question question = {.task = job->task,
						      .model = planned->plan->model,
						      .cluster = planned->cluster->name,
						      .identity = planned->identity,
						      .subject_hash = likeness->subject.hash,
						      .protocol_hash = likeness->protocol.hash};
	ret_id[0] = '\0';
	if (fingerprints_candidates(db, &question, &candidates, err) != 0)
		return -1;
	if (candidates.count == 0)
		return 0;
	if (jobs_get_seq(db, candidates.items[0].job_seq, &row, err) != 0)
		return -1;
	memcpy(ret_id, row.id, IDS_JOB_SIZE);
	return 0;
}

int reusable_describe(struct db *db, const struct planned *planned, const struct likeness *likeness, json_t *jobs,
		      struct nel_err *err)
{
	const struct eval_plan *plan = planned->plan;
	const char *pointer = NULL;
	const char *why = NULL;
	CLEANUP(json_freep) json_t *checkpoints = plan_checkpoints(plan, &pointer, &why);
	bool all = true;
	for (size_t i = 0; i < plan->job_count; i++) {
		char id[IDS_JOB_SIZE] = "";
		if (checkpoints != NULL &&
		    find_candidate(db, planned, &plan->jobs[i], &likeness->jobs[i], id, err) != 0)
			return -1;
		all = all && id[0] != '\0';
		json_object_set_new(json_array_get(jobs, i), "reuse_candidate",
				    id[0] != '\0' ? json_string(id) : json_null());
	}
	for (size_t i = 0; !all && eval_plan_is_shared(plan) && i < plan->job_count; i++)
		json_object_set_new(json_array_get(jobs, i), "reuse_candidate", json_null());
	return 0;
}

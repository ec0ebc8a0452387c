#include "sched/walltime_choice.h"

#include "db/attempts.h"
#include "db/likenesses.h"
#include "db/usage.h"

static int equal_run(struct db *db, const struct job_row *job, int64_t *ret_s, struct nel_err *err)
{
	CLEANUP(job_basis_done) struct job_basis basis = {0};
	*ret_s = 0;
	if (likenesses_basis(db, job->seq, &basis, err) != 0)
		return -1;
	if (basis.subject_hash == NULL || basis.protocol_hash == NULL)
		return 0;
	return usage_equal_p90(db, job->task, job->model, basis.subject_hash, basis.protocol_hash, ret_s, err);
}

/* What the jobs take together, one after the other or so many at once; 0: of one of them it is not known. */
static int equal_runs(struct db *db, const struct chain_common *common, bool (*is_so)(const struct active_chain *),
		      int64_t *ret_s, struct nel_err *err)
{
	int at_once = common->row.at_once > 0 ? common->row.at_once : 1;
	int64_t sum_s = 0;
	int64_t longest_s = 0;
	bool known = true;
	for (size_t i = 0; i < common->member_count && known; i++) {
		int64_t its_s = 0;
		if (!is_so(common->members[i]))
			continue;
		if (equal_run(db, &common->members[i]->job, &its_s, err) != 0)
			return -1;
		known = its_s > 0;
		sum_s += its_s;
		longest_s = its_s > longest_s ? its_s : longest_s;
	}
	sum_s = (sum_s + at_once - 1) / at_once;
	*ret_s = !known ? 0 : sum_s > longest_s ? sum_s : longest_s;
	return 0;
}

int walltime_choice_find(struct db *db, const struct chain_common *common, bool (*is_so)(const struct active_chain *),
			 int64_t budget_s, int attempt, struct walltime_range *ret_range, struct nel_err *err)
{
	struct walltime_facts facts = {.budget_s = budget_s};
	int max_attempts = common->row.max_attempts;
	int number = attempt - common->row.withdrawn;
	if (max_attempts > 0)
		facts.attempts_left = number < max_attempts ? max_attempts - number + 1 : 1;
	if (equal_runs(db, common, is_so, &facts.equal_s, err) != 0 ||
	    usage_start_up(db, common->seq, common->members[0]->job.model, &facts.start_up_s, err) != 0)
		return -1;
	/* What others of a shared chain ran is no part of what is left of these. */
	if (common->row.at_once == 0 && attempts_worked(db, common->seq, &facts.ran_s, err) != 0)
		return -1;
	*ret_range = walltime_range_of(&facts);
	return 0;
}

/* For the tests of slurm/observe.h: an order, and what is told of a job of a shared chain. */
#ifndef NEL_TESTS_OBSERVE_FIXTURE_H
#define NEL_TESTS_OBSERVE_FIXTURE_H

#include "chain/progress.h"
#include "cmocka_all.h"
#include "slurm/observe.h"

static const struct observe_order one = {"12", "ours-e.1", "/nowhere/t.0", 1000, 1};

static void assert_job(const struct job_sighting *job, struct job_sighting want)
{
	assert_int_equal(job->job_index, want.job_index);
	assert_int_equal(job->started_at, want.started_at);
	assert_int_equal(job->progress, want.progress);
	assert_int_equal(job->progress_total, want.progress_total);
	assert_int_equal(job->has_end, want.has_end);
	if (!want.has_end)
		return;
	assert_int_equal(job->exit_code, want.exit_code);
	assert_int_equal(job->end_started_at, want.end_started_at);
	assert_int_equal(job->ended_at, want.ended_at);
	assert_int_equal(job->end_attempt, want.end_attempt);
	assert_int_equal(job->cancelled, want.cancelled);
}

#endif

/* For the tests of sched/reconcile.h: a job, its attempt, and what is seen of it. */
#ifndef NEL_TESTS_RECONCILE_FIXTURE_H
#define NEL_TESTS_RECONCILE_FIXTURE_H

#include "base/mem.h"
#include "cmocka_all.h"
#include "sched/reconcile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW 1000000

static const struct reconcile_rules with_accounting = {.accounting = true, .absence_deadline_s = 300, .now_s = NOW};
static const struct reconcile_rules without_accounting = {.absence_deadline_s = 300, .now_s = NOW};

static struct job_row make_job(void)
{
	return (struct job_row){.state = CHAIN_RUNNING,
				.chain.walltime_s = 3600,
				.chain.budget_limit_s = 86400,
				.chain.resume_mode = mem_strdup("daemon"),
				.chain.resume_on = mem_strdup("TIMEOUT,PREEMPTED,NODE_FAIL,BOOT_FAIL"),
				.chain.attempt = 1,
				.chain.budget_from_attempt = 1,
				.progress = -1};
}

static struct attempt_row make_attempt(void)
{
	return (struct attempt_row){.number = 1,
				    .job_name = mem_strdup("a-b.c.0-x.1"),
				    .slurm_job_id = mem_strdup("77"),
				    .time_limit_s = 3600,
				    .submitted_at = NOW - 1000,
				    .elapsed_s = -1,
				    .exit_code = -1};
}

static struct observation nothing_seen(void)
{
	return (struct observation){.squeue = SIGHT_ABSENT,
				    .sacct = SIGHT_ABSENT,
				    .exit_code = -1,
				    .elapsed_s = -1,
				    .progress = -1,
				    .stamp_exit = -1,
				    .stamp_elapsed_s = -1};
}

static struct observation seen(const char *state)
{
	struct observation o = nothing_seen();
	o.squeue = SIGHT_SEEN;
	o.started_at = NOW - 900;
	snprintf(o.state, sizeof o.state, "%s", state);
	return o;
}

static struct judgement run(struct job_row *job, struct attempt_row *attempt, const struct observation *o,
			    const struct reconcile_rules *rules)
{
	struct judgement j;
	reconcile(&job->chain, job, attempt, 0, o, rules, &j);
	return j;
}

#endif

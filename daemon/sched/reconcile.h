/* From an observation to what it means for a chain. PURE but for memory: evidence rules, budget, continuation. */
#ifndef NEL_SCHED_RECONCILE_H
#define NEL_SCHED_RECONCILE_H

#include "db/attempts.h"
#include "db/jobs.h"
#include "slurm/observe.h"

/* What the judge may assume. */
struct reconcile_rules {
	bool accounting;              /* the cluster has sacct: its silence counts */
	const char *accounting_error; /* why sacct does not answer; "" or NULL when it does */
	int64_t absence_deadline_s;
	int64_t now_s;
	int64_t asked_ms; /* monotonic: the cluster was asked then or later; 0: not known */
};

struct judgement {
	bool has_event;
	enum chain_event event;
	bool changed;     /* chain, job or attempt have new facts to store */
	char reason[512]; /* for the event */
};

/* Writes the observation's facts into chain, job and attempt (the chain's newest) and judges; job->chain is not looked
 * at. used_before_s: elapsed time of the earlier attempts. An error, an empty answer or lagging accounting is never an
 * end. */
void reconcile(struct chain_row *chain, struct job_row *job, struct attempt_row *attempt, int64_t used_before_s,
	       const struct observation *observation, const struct reconcile_rules *rules,
	       struct judgement *ret_judgement);

#endif

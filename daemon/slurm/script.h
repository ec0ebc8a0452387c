/* run.sub: what one attempt of one job is to Slurm. A generated header (#SBATCH options, then shell-quoted readonly
 * data) followed by the fixed body, the files of daemon/slurm/script/run_body/ in their order with an empty line
 * between them. Pure: no I/O. */
#ifndef NEL_SLURM_SCRIPT_H
#define NEL_SLURM_SCRIPT_H

#include "base/err.h"
#include "base/str.h"
#include "config/plan/eval_plan.h"

/* What one attempt adds to the plan; strings borrowed. */
struct attempt_order {
	int job_index;
	int number;            /* from 1 */
	const char *job_name;  /* unique: script_job_name() */
	int64_t time_limit_s;  /* at most the walltime; clipped to what the budget leaves */
	const char *after_job; /* Slurm id of the attempt before: --dependency=afterany:<id>; NULL: none */
	bool adopt_only; /* the chain is being cancelled: the attempt is looked up, and never given to sbatch anew */
	const char *exclude_node; /* --exclude=<node>, after NODE_FAIL; NULL: none */
	int budget_from;          /* the first attempt that the budget counts */
	int64_t budget_left_s;    /* for this attempt; -1: there is no budget */
};

/* "<account>-<subproject>.<task>.<index>-<evaluation>.<attempt>"; free() it. */
char *script_job_name(const struct eval_plan *plan, const struct plan_job *job, const char *evaluation, int attempt);

/* "<output_dir>/<YYYYmmdd_HHMMSS>-<evaluation>" (UTC of created_s); free() it. */
char *script_rundir(const struct eval_plan *plan, const char *evaluation, int64_t created_s);

/* "<rundir>/<task>.<index>"; free() it. */
char *script_job_dir(const char *rundir, const struct plan_job *job);

/* Appends the header of run.sub: everything before the body. job_dir is absolute on the cluster. */
int script_render_header(const struct eval_plan *plan, const struct attempt_order *order, const char *evaluation,
			 const char *job_dir, struct str *ret_header, struct nel_err *err);

/* The body; its end is the end of run.sub. */
const char *script_body(void);

#endif

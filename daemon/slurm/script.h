/* run.sub: what one attempt of one job is to Slurm. A generated header (#SBATCH options, then shell-quoted readonly
 * data) followed by the fixed body, the files of daemon/slurm/script/run_body/ in their order with an empty line
 * between them. Of several jobs on one deployment the last of these files gives way to those of run_shared/. Pure: no
 * I/O. */
#ifndef NEL_SLURM_SCRIPT_H
#define NEL_SLURM_SCRIPT_H

#include "base/err.h"
#include "base/str.h"
#include "chain/walltime_range.h"
#include "config/plan/eval_plan.h"

/* Several jobs that ride in one chain and are evaluated on one deployment; borrowed. */
struct share_order {
	int number;       /* of the chain in its evaluation, from 1: its directory is shared.<number> */
	const int *jobs;  /* their indices, in the order in which they are evaluated; one that has ended meanwhile may
			     be among them: the script knows of it */
	size_t job_count; /* at least 1 */
	const int *resumed_for; /* beside jobs: the attempt that a person resumed it for, before which no end counts;
				   0: nobody did; NULL: of none */
	int at_once;            /* how many are evaluated at once, from 1 */
};

/* What one attempt adds to the plan; strings borrowed. */
struct attempt_order {
	int job_index;                  /* not with share */
	int number;                     /* from 1 */
	const char *job_name;           /* unique: script_job_name(), script_shared_name() */
	int64_t time_limit_s;           /* at most the walltime; clipped to what the budget leaves */
	struct walltime_range walltime; /* with walltime_auto, for slurm_submit(): from which the limit is chosen */
	const char *after_job;          /* Slurm id of the attempt before: --dependency=afterany:<id>; NULL: none */
	bool adopt_only;   /* the chain is being cancelled: the attempt is looked up, and never given to sbatch anew */
	const char *reuse; /* as struct submit_task */
	const char *exclude_node;        /* --exclude=<node>, after NODE_FAIL; NULL: none */
	int budget_from;                 /* the first attempt that the budget counts */
	int64_t budget_left_s;           /* for this attempt; -1: there is no budget */
	const struct share_order *share; /* NULL: the chain carries the one job job_index */
};

/* Of the first attempt of a job, which borrows its name. */
struct attempt_order script_first_order(const struct eval_plan *plan, int job_index, const char *job_name);

/* "<account>-<subproject>.<task>.<index>-<evaluation>.<attempt>"; free() it. */
char *script_job_name(const struct eval_plan *plan, const struct plan_job *job, const char *evaluation, int attempt);

/* "<output_dir>/<YYYYmmdd_HHMMSS>-<evaluation>" (UTC of created_s); free() it. */
char *script_rundir(const struct eval_plan *plan, const char *evaluation, int64_t created_s);

/* The run directory of a job's directory, or of a shared chain's; free() it. */
char *script_rundir_of(const char *job_dir);

/* "<rundir>/<task>.<index>"; free() it. */
char *script_job_dir(const char *rundir, const struct plan_job *job);

/* Of a conversion's run directory: what it has converted, once that is whole; free() it. The only thing in any run
 * directory that others' containers may mount. */
char *script_converted(const char *rundir, const char *output);

/* Likewise of a shared chain: "<account>-<subproject>.shared.<k>-<evaluation>.<attempt>"; free() it. */
char *script_shared_name(const struct eval_plan *plan, int number, const char *evaluation, int attempt);

/* k of the plan's shared chain: the first whose directory is no job's, which a task of the name "shared" could have. */
int script_shared_number(const struct eval_plan *plan);

/* "<rundir>/shared.<k>"; free() it. */
char *script_shared_dir(const char *rundir, int number);

/* The same, of the chain that carries the job whose directory is given. */
char *script_shared_dir_of(const char *job_dir, int number);

/* The directory of an attempt's chain: script_shared_dir(), or script_job_dir(); free() it. INVALID when the plan has
 * not the order's job: NULL. */
char *script_chain_dir(const struct eval_plan *plan, const char *rundir, const struct attempt_order *order,
		       struct nel_err *err);

/* Appends the header of run.sub: everything before the body. job_dir is that of the chain (script_chain_dir()); it is
 * absolute on the cluster. */
int script_render_header(const struct eval_plan *plan, const struct attempt_order *order, const char *evaluation,
			 const char *job_dir, struct str *ret_header, struct nel_err *err);

/* The body; its end is the end of run.sub. */
const char *script_body(void);
const char *script_shared_body(void); /* of a chain with a share_order */

#endif

/* Inside daemon/slurm: the data of run.sub, which run_body/ works from. */
#ifndef NEL_SLURM_SCRIPT_DATA_H
#define NEL_SLURM_SCRIPT_DATA_H

#include "base/err.h"
#include "base/str.h"
#include "config/plan/eval_plan.h"

/* The longest command, literal value or other single word: Linux takes no argument of a program and no variable longer
 * than 128 KiB (execve(2), MAX_ARG_STRLEN). */
#define SCRIPT_WORD_MAX (120 * 1024)

#define SCRIPT_EVALUATION "evaluation"
#define SCRIPT_EXPORT "export"

/* One of several jobs on one deployment. */
struct script_job {
	const struct plan_job *job;
	char *dir;          /* its directory */
	const char *folder; /* the last part of dir */
	int resumed_for;    /* struct share_order */
};

struct script_data {
	const struct eval_plan *plan;
	const struct plan_job *job;      /* NULL where several share the deployment */
	const struct script_job *shared; /* those, in their order; NULL with job */
	size_t shared_count;
	int at_once; /* of them */
	const char *evaluation;
	int attempt;
	int budget_from;       /* the first attempt that the budget counts */
	int64_t budget_left_s; /* for this attempt; -1: there is no budget */
	const char *job_name;  /* of this attempt */
	const char *job_dir;   /* of the chain */
};

/* Appends the readonly variables of run.sub. INVALID when something has no safe form: a path in a mount, a name in a
 * variable, a word that is too long. */
int script_data_append(const struct script_data *data, struct str *s, struct nel_err *err);

/* Appends the name under which a container's variable passes srun: its own, or, where that would act on srun, Pyxis,
 * enroot or a shell before them, one that take_variables() of run_body/ gives back inside the container. */
void script_append_name(struct str *s, const char *name);

/* Appends whose variables a server's are: its name, with "auxiliary." before that of an auxiliary. */
void script_append_consumer(struct str *s, const struct server *server);

#endif

/* Evaluations that are on a cluster and that the store lacks, or lacks attempts of: as they are found by their Slurm
 * jobs and run directories, and then read back. Memory only; PURE. */
#ifndef NEL_SCHED_LOST_H
#define NEL_SCHED_LOST_H

#include "db/orphans.h"
#include "slurm/look.h"
#include "slurm/observe.h"

#include <jansson.h>

/* One attempt that is there. */
struct lost_attempt {
	int index; /* of the chain: its number, which is that of its one job */
	int number;
	char id[24]; /* of the Slurm job; "" not known: it may be on its way */
	int64_t submitted;
	bool begun;
	int64_t time_limit_s;    /* that was chosen for it (execution.walltime: auto); 0: none was */
	struct observation seen; /* state "": nobody knows it */
};

struct lost_evaluation {
	char id[IDS_EVALUATION_SIZE];
	char *rundir;
	int64_t since; /* when it was submitted */
	bool live;     /* Slurm has a job of it that has not ended */
	bool known;    /* the store has the evaluation */
	struct look_job *jobs;
	size_t job_count;
	int64_t busy_since_ms; /* monotonic: a submission was at work there; 0: none was */

	/* What was read back. */
	struct origin origin;
	json_t *document;            /* of its .origin; NULL: outcome and why */
	enum orphan_outcome outcome; /* why it cannot be adopted, when `why` is set */
	char *why;
	struct lost_attempt *attempts; /* by index and number */
	size_t attempt_count;
};

/* A zeroed struct is empty. */
struct lost_evaluations {
	struct lost_evaluation *items;
	size_t count;
};

void lost_evaluations_done(struct lost_evaluations *list);

/* Every evaluation of which the reply tells, the first submitted first. */
void lost_evaluations_group(const struct look_reply *reply, struct lost_evaluations *ret_list);
/* Leaves out that one. */
void lost_evaluations_drop(struct lost_evaluations *list, size_t index);
/* Behind all others. */
void lost_evaluations_put_last(struct lost_evaluations *list, size_t index);
/* Copies of what was found of the first ones, at most `count`. */
void lost_evaluations_copy(const struct lost_evaluations *list, size_t count, struct lost_evaluations *ret_list);

/* Puts together the attempts that Slurm and the run directory tell of. */
void lost_evaluation_merge(struct lost_evaluation *lost);
/* The name of a job's attempts but for the number and the '.' before it; free() it; NULL: not known. */
char *lost_evaluation_stem(const struct lost_evaluation *lost, int index);
/* The directory of a job; free(). */
char *lost_evaluation_folder(const struct lost_evaluation *lost, int index);
/* The folder's job: "mmlu.0" is of the job 0; -1: it is of none. */
int lost_folder_index(const char *folder);

#endif

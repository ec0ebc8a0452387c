/* Puts a run directory on a cluster and submits its jobs: one remote command for all, safe to repeat. Lane threads. */
#ifndef NEL_SLURM_SUBMIT_H
#define NEL_SLURM_SUBMIT_H

#include "slurm/rundir.h"
#include "ssh/pool.h"

enum submit_outcome {
	SUBMIT_ACCEPTED, /* slurm_job_id is set; also when a repeat found the job of an earlier try */
	SUBMIT_REFUSED,  /* sbatch or a check said no: message says why; nothing runs */
	SUBMIT_RETRY,    /* Slurm could not be asked (slurmctld down): nothing runs; try again */
	SUBMIT_LIMIT,  /* Slurm has as many jobs (of the account, the QOS, in all) as it takes: nothing runs; try again
			*/
	SUBMIT_UNTOLD, /* Slurm refuses it for a limit without saying whether of the number of jobs, which passes, or of
			  their size or time, which does not */
	SUBMIT_PASSING,  /* refused, or sbatch could not be run, for something that may pass: nothing runs */
	SUBMIT_IN_DOUBT, /* an earlier try may have reached sbatch and cannot be looked up yet: ask again later, same
			    name */
	SUBMIT_REUSED    /* fingerprint is one of those that were offered: nothing of it goes to Slurm */
};

#define SUBMIT_FINGERPRINT_SIZE 65 /* hexadecimal digits of a SHA-256 */

struct submit_result {
	int job_index; /* -1: of several jobs; the place in the reply is the order's */
	enum submit_outcome outcome;
	char slurm_job_id[24];
	int64_t submitted_at; /* UTC on the cluster */
	int64_t time_limit_s; /* that was chosen for it, or that Slurm has it under; 0: it is as its script says */
	char fingerprint[SUBMIT_FINGERPRINT_SIZE]; /* of the checkpoints before it was submitted; "": not known */
	char message[512]; /* one line, from sbatch or the check; of one that is accepted, how that was chosen */
};

struct submit_reply {
	struct submit_result *items; /* one per order, in its order */
	size_t count;
};

void submit_reply_done(struct submit_reply *reply);

/* Sends and submits. -1: *err has the reason for all orders: DENIED, BUSY, REMOTE as ssh_pool_exec() (the whole may be
 * repeated: the names make it safe; BUSY also when the disk is full or an earlier try is still at work), INVALID when
 * the run directory itself cannot be made (the message names directory, host and user). *ret_sent, also after -1: false
 * when nothing can have reached the cluster. */
int slurm_submit(struct ssh_pool *pool, const struct rundir_input *in, int64_t timeout_ms,
		 struct submit_reply *ret_reply, bool *ret_sent, struct nel_err *err);

#define SUBMIT_TASKS_MAX EVAL_JOBS_MAX

/* What slurm_submit() makes of the plan, and sends. All borrowed. */
struct submit_task {
	const char *folder;             /* below the run directory: "mmlu.0", "shared.1" */
	const char *job_name;           /* unique */
	int number;                     /* of the attempt */
	bool adopt_only;                /* looked up, and never given to sbatch anew */
	struct walltime_range walltime; /* from which its time limit is chosen there; most_s 0: its script has one */
	/* What must exist on the cluster: mount sources, image files; NULL-terminated. */
	const char *const *sources;
	const char *
	    reuse; /* fingerprints of its checkpoints with which it is not submitted, with spaces between; NULL: none */
};

struct submit_package {
	const char *rundir;
	const char *partition;
	const char *const *sources;     /* of every task; NULL-terminated */
	const char *const *checkpoints; /* whose fingerprint is taken; NULL-terminated, or NULL */
	const struct submit_task *tasks;
	size_t task_count;
	bool shared;     /* people share the account: what would show them each other's runs is not mounted */
	bool share;      /* the task is a shared chain */
	bool in_job;     /* an attempt may have been queued by the one before it */
	const void *tar; /* the files */
	size_t tar_size;
};

/* Sends a package. As slurm_submit(); job_index counts the package's tasks. */
int submit_send(struct ssh_pool *pool, const struct submit_package *package, int64_t timeout_ms,
		struct submit_reply *ret_reply, bool *ret_sent, struct nel_err *err);

/* Reads the answer of remote_submit.sh about `count` tasks. Pure. Errors as the script's, REMOTE when it is cut off or
 * lacks a task. */
int submit_parse(const char *text, size_t size, size_t count, struct submit_reply *ret_reply, struct nel_err *err);

#endif

/* What Slurm says of the live attempts of one identity: one remote command that asks squeue, asks sacct about those
 * that squeue lacks, and prints stamps and progress files. Lane threads. */
#ifndef NEL_SLURM_OBSERVE_H
#define NEL_SLURM_OBSERVE_H

#include "base/err.h"
#include "chain/gpu_use.h"
#include "slurm/records.h"
#include "slurm/watch.h"
#include "ssh/pool.h"

#include <stdbool.h>
#include <stdint.h>

enum sighting { SIGHT_SEEN, SIGHT_ABSENT, SIGHT_UNOBSERVABLE };

struct observe_order {
	const char *slurm_job_id;
	const char *job_name;
	const char *job_dir;  /* absolute, on the cluster */
	int64_t submitted_at; /* helps where accounting has no name yet; else the unique name decides */
	int attempt;
};

/* One of the jobs of a shared chain: what its script has written of it. */
struct job_sighting {
	int job_index;
	int64_t started_at;     /* of its first evaluation in this attempt; 0: it has not begun in it */
	int64_t progress;       /* finished requests; -1 unknown */
	int64_t progress_total; /* of so many; 0 unknown */
	bool has_end;           /* it has ended for good, in this attempt or an earlier one; then: */
	int exit_code;
	int64_t end_started_at; /* of the evaluation that ended so */
	int64_t ended_at;
	int end_attempt;
	bool cancelled; /* by slurm_cancel_jobs(); it may never have begun */
};

struct observation {
	enum sighting squeue;
	enum sighting sacct; /* UNOBSERVABLE too when it was not asked */
	/* Of the newest source that saw it: sacct for an ended job, else squeue. */
	char state[24];        /* a bare word: "RUNNING"; "" when nobody saw it */
	int exit_code;         /* -1 unknown */
	int signal;            /* 0 none */
	char *nodes;           /* NULL none */
	char cancelled_by[33]; /* of "CANCELLED by 0": the user id, or at some sites the name; "" not said */
	bool preempted;        /* slurmctld has a time at which it was preempted */
	char *reason;          /* squeue's, of a pending job: "Resources"; NULL none */
	int64_t started_at;    /* 0 unknown */
	int64_t ended_at;
	int64_t elapsed_s; /* all restarts together; -1 unknown */
	int restarts;
	int64_t start_estimate; /* of a pending job; 0 none */
	/* Sacct's, all restarts together, when it saw the job. */
	bool acct_ended;
	int64_t acct_elapsed_s; /* -1: it did not see it */
	int64_t gpu_s;          /* GPU seconds of the runs whose GPUs it names */
	int64_t gpus_untold_s;  /* run time of the others */
	/* From the job's directory, when readable. */
	int64_t progress;       /* finished requests; -1 unknown */
	int64_t progress_total; /* of so many, as the evaluator says; 0 unknown */
	int64_t stamp_started;  /* the script's own stamps of this attempt, UTC; 0 none */
	int64_t stamp_ended;
	int stamp_exit;          /* -1 none */
	int64_t stamp_elapsed_s; /* sum over all starts of this attempt; -1 unknown */
	int64_t start_up_s;      /* likewise, until the servers were ready; -1: nothing is known of servers */
	struct gpu_use use;      /* likewise, since they were ready; zeroed: nothing was sampled */
	char fate[24];           /* how the attempt ended, as a script found out from Slurm: "TIMEOUT"; "WITHDRAWN": it
				    was cancelled because the one before it left it nothing to do; "IDLE": it did nothing
				    for execution.idle_limit; "" unknown */
	/* Of a shared chain: the jobs that have begun in this attempt, or ended in any, by their index. A job that is
	 * missing waits for its turn (or what there is could not be read). */
	struct job_sighting *jobs;
	size_t job_count;
};

/* What is in service, and free: neither down, drained nor reserved. */
struct node_counts {
	int64_t nodes; /* 0: not counted, or not to be seen by the account */
	int64_t free_nodes;
	int64_t gpus;
	int64_t free_gpus;
};

struct observe_reply {
	struct observation *items; /* one per order, in its order */
	size_t count;
	int64_t cluster_now; /* the login node's clock */
	bool slurm_failed;   /* squeue itself failed: items are UNOBSERVABLE but for the files; message says why */
	bool sacct_asked;
	bool sacct_failed;
	char message[512]; /* of the one that failed, squeue's before sacct's */
	struct node_counts counts;
	size_t bytes; /* that the answer had */
};

void observe_reply_done(struct observe_reply *reply);

/* Takes over what squeue has said, while sacct is still asked: what is alive; the others are UNOBSERVABLE. */
struct observe_early {
	void (*take)(struct observe_reply *reply, void *arg);
	void *arg;
};

/* What is asked beside squeue and the files. */
struct observe_wants {
	bool sacct;
	bool nodes;              /* counts: sinfo */
	struct watch_look *look; /* watched directories, last; NULL: none */
};

/* Of a shared chain job_dir is shared.<k> (script_chain_dir()), and there is one order for all its jobs. An order
 * without a job id stays UNOBSERVABLE. early: NULL when not wanted. -1: as ssh_pool_exec(). */
int slurm_observe(struct ssh_pool *pool, const struct observe_order *orders, size_t count, struct observe_wants wants,
		  int64_t timeout_ms, const struct observe_early *early, struct observe_reply *ret_reply,
		  struct nel_err *err);

/* Reads the answer of remote_observe.sh, record by record as it comes. Pure. The orders are borrowed. */
struct observe_parser;
struct observe_parser *observe_parser_new(const struct observe_order *orders, size_t count);
void observe_parser_free(struct observe_parser *parser); /* accepts NULL */

/* True, once, when squeue's part is complete with this record, and observe_parser_early() may be asked. */
bool observe_parser_take(struct observe_parser *parser, struct record *record);

/* What is good already before the end: what is alive. Of what has ended or is missing, sacct may know more. */
void observe_parser_early(const struct observe_parser *parser, struct observe_reply *ret_reply);

/* No more comes. REMOTE when the answer was cut off; else what the cluster gave as error, if it did. */
int observe_parser_end(struct observe_parser *parser, struct observe_reply *ret_reply, struct nel_err *err);

/* Slurm's way to write an elapsed time, [D-][HH:]MM:SS, in seconds; -1 when it is something else. */
int64_t observe_parse_elapsed(const char *text);

/* The GPUs in Slurm's list of trackable resources ("cpu=8,gres/gpu=2,gres/gpu:a100=2"); -1: it names none. */
int64_t observe_parse_gpus(const char *tres);

/* Is the text a job id: 1 to 20 digits? */
bool observe_is_job_id(const char *text);

/* Does the cluster keep accounting: is AccountingStorageType another than none, and is there a sacct? One that fails
 * just now counts as there. */
int slurm_has_accounting(struct ssh_pool *pool, int64_t timeout_ms, bool *ret_has, struct nel_err *err);

#endif

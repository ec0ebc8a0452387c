/* Remote work that the scheduler hands to lanes and gets back with its answer: submit, observe, cancel, collect. The
 * lane thread touches nothing but the action; the scheduler owns it before and after. */
#ifndef NEL_SCHED_ACTION_H
#define NEL_SCHED_ACTION_H

#include "base/ids.h"
#include "base/queue.h"
#include "base/secret.h"
#include "config/plan/eval_config.h"
#include "remote/workers.h"
#include "slurm/collect.h"
#include "slurm/observe.h"
#include "slurm/scores.h"
#include "slurm/submit.h"

enum action_kind { DO_SUBMIT, DO_OBSERVE, DO_CANCEL, DO_COLLECT };

/* One job in an action; strings owned by the action. */
struct action_item {
	int64_t seq; /* of the job */
	int job_index;
	int attempt;
	char *job_name;
	char *slurm_job_id; /* or NULL */
	char *job_dir;
	int64_t time_limit_s;
	char *after_job;
	char *exclude_node;
	int64_t submitted_at;
	bool adopt_only;       /* it is to be cancelled: found, but not submitted */
	bool first_send;       /* nothing of this attempt can be on the cluster yet */
	int budget_from;       /* the first attempt that the budget counts */
	int64_t budget_left_s; /* for this attempt; -1: there is no budget */
	bool in_job;           /* the attempt may have queued the next one itself */

	/* DO_COLLECT */
	enum collect_export_wish export_wish;
	bool export_only;
	int64_t keep_bytes; /* of logs; of DO_COLLECT, as those before */
};

struct action {
	struct lane_work work; /* first */
	enum action_kind kind;
	struct queue *inbox; /* where the answer goes */
	int64_t timeout_ms;
	char *cluster;
	char *identity;
	struct action_item *items;
	size_t count;

	/* DO_SUBMIT */
	char evaluation[IDS_EVALUATION_SIZE];
	char *rundir;
	struct eval_plan *plan;
	const struct secret_key *master_key; /* these three, and evaluation, of DO_COLLECT, too */
	unsigned char *sealed_env;
	size_t sealed_env_size;
	struct submit_reply submitted;
	bool sent; /* something may have reached the cluster */

	/* DO_OBSERVE */
	bool ask_accounting; /* find out first whether there is any */
	bool use_sacct;      /* and what was found */
	bool skip_sacct;     /* it has not answered lately */
	bool early;          /* squeue's part of an answer that is still coming */
	bool told_early;     /* that part has gone before: the rest is what sacct says */
	struct observe_reply observed;

	/* DO_COLLECT: one item */
	struct collect_reply collected;
	struct scores scores;
	bool scores_failed; /* results.yml is there and cannot be read: why is in scores_err */
	struct nel_err scores_err;

	int64_t took_ms; /* from the lane's first step to its last */
	bool failed;     /* err says why; the answers above are empty */
	struct nel_err err;
};

struct action *action_new(enum action_kind kind, struct queue *inbox, const char *cluster, const char *identity,
			  int64_t timeout_ms, size_t capacity);
void action_free(struct action *action); /* accepts NULL */
DEFINE_FREEP(struct action, action, action_free)

#endif

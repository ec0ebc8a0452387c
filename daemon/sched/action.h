/* Remote work: the scheduler prepares an action, a remote worker runs it, and the scheduler takes its answer. Each kind
 * is a row of a table (scheduler.c) and has a file of its own, action_<name>.c. */
#ifndef NEL_SCHED_ACTION_H
#define NEL_SCHED_ACTION_H

#include "base/ids.h"
#include "base/mask.h"
#include "base/queue.h"
#include "base/secret.h"
#include "config/plan/eval_plan.h"
#include "db/samples.h"
#include "db/usage.h"
#include "remote/look_board.h"
#include "remote/workers.h"
#include "sched/active_chain.h"
#include "sched/lost.h"
#include "slurm/cancel.h"
#include "slurm/check.h"
#include "slurm/collect.h"
#include "slurm/look.h"
#include "slurm/observe.h"
#include "slurm/scores.h"
#include "slurm/submit.h"

struct action;
struct scheduler;

/* A row of the table of actions. */
struct action_type {
	const char *name; /* in the audit "remote.<name>" */
	/* Scheduler thread: is a chain due for it, which is in no other action and waits for nothing? NULL: it is not
	 * about single chains. */
	bool (*is_due)(const struct active_chain *chain, int64_t now_s);
	/* Scheduler thread: hands out what is due. What changes a chain is committed before it is sent. NULL: it is not
	 * in the scheduler's table, and placement.c hands it out. */
	void (*prepare)(struct scheduler *s, const struct chain_list *due);
	/* A remote worker's thread, which touches nothing but the action: does it. -1: the answer is that it failed. */
	int (*run)(struct action *action, struct ssh_pool *pool, struct nel_err *err);
	/* Scheduler thread: an answer has come, and whatever becomes of it, what was busy is free again. */
	void (*release)(struct scheduler *s, const struct action *action);
	/* Scheduler thread: works an answer into the chains, within its transaction. They are marked as touched. */
	int (*take)(struct scheduler *s, const struct action *action, struct nel_err *err);
	/* Scheduler thread: the answer could not be stored. NULL: what the chains, read again, are due for says when
	 * it is asked for again. */
	void (*ask_again)(struct scheduler *s, const struct action *action);
	/* Where a test may have the daemon die: an answer has been worked in and not committed; it is committed. */
	const char *taken_point;
	const char *stored_point;
};

extern const struct action_type action_submit;
extern const struct action_type action_observe;
extern const struct action_type action_cancel;
extern const struct action_type action_withdraw;
extern const struct action_type action_place;
extern const struct action_type action_leave;
extern const struct action_type action_collect;
extern const struct action_type action_look;

/* One job in an action; strings owned by the action. */
struct action_item {
	int64_t seq;     /* of the chain */
	int64_t job_seq; /* of the job; of one that is about the chain, its leader */
	int job_index;
	int attempt;
	char *job_name;
	char *slurm_job_id; /* or NULL */
	char *job_dir;
	char *chain_dir; /* where the chain's attempts are: job_dir, or the shared chain's directory */
	/* Of a shared chain: the jobs that are evaluated in the attempt, as struct share_order has them. */
	int *jobs;
	int *resumed_for;
	size_t job_count;
	int at_once; /* 0: the chain carries one job */
	int chain_number;
	int64_t time_limit_s;
	struct walltime_range walltime; /* action_submit, with walltime: auto: from which it is chosen */
	char *after_job;
	char *exclude_node;
	int64_t submitted_at;
	bool adopt_only;       /* it is to be cancelled: found, but not submitted */
	bool first_send;       /* nothing of this attempt can be on the cluster yet */
	int budget_from;       /* the first attempt that the budget counts */
	int64_t budget_left_s; /* for this attempt; -1: there is no budget */
	char *reuse;           /* action_submit: as struct submit_task */
	bool in_job;           /* the attempt may have queued the next one itself */
	bool job_only;         /* action_cancel: others go on in the attempt */
	bool waiting_only;     /* action_withdraw */

	/* action_collect */
	enum collect_export_request export_request;
	bool export_only;
	char *checkpoints;        /* a JSON array: what they are made of is still to be known; NULL: it is not */
	int64_t keep_rows;        /* of samples */
	bool is_last;             /* nothing of the chain lives: what its attempts left goes, too */
	int sealed_attempt;       /* in which the job ended */
	bool by_attempt;          /* it was the attempt that ended */
	int64_t keep_bytes;       /* of logs; of action_collect, as those before */
	int64_t chain_keep_bytes; /* of those of the shared chain */
};

struct action {
	struct lane_work work; /* first */
	const struct action_type *type;
	struct queue *inbox; /* where the answer goes */
	int64_t timeout_ms;
	char *cluster;
	char *identity;
	struct action_item *items;
	size_t count;

	/* action_submit */
	char evaluation[IDS_EVALUATION_SIZE];
	char *rundir;
	char **used_output_dirs; /* of the cluster; NULL: people do not share the account */
	struct eval_plan *plan;
	const struct secret_key *master_key; /* these three, and evaluation, of action_collect, too */
	unsigned char *sealed_env;
	size_t sealed_env_size;
	unsigned char *origin; /* sealed: what the run directory says of itself */
	size_t origin_size;
	struct submit_reply submitted;
	char *checkpoints; /* of the plan, a JSON array; NULL: they are not known by their files */
	bool sent;         /* something may have reached the cluster */

	/* action_observe */
	bool ask_accounting; /* find out first whether there is any */
	bool use_sacct;      /* and what was found */
	bool skip_sacct;     /* it has not answered lately */
	bool count_nodes;
	bool early;                      /* squeue's part of an answer that is still coming */
	int64_t asked_ms;                /* monotonic: when it was sent */
	bool told_early;                 /* that part has gone before: the rest is what sacct says */
	struct unsettled_list unsettled; /* asked about together with the items, and behind them in the answer */
	struct observe_reply observed;
	struct look_board *look_board; /* a look at watched directories may go along; NULL: none does */

	/* action_collect: one item */
	struct collect_reply collected;
	struct scores scores;
	bool scores_failed; /* results.yml is there and cannot be read: why is in scores_err */
	struct nel_err scores_err;
	struct samples_row samples; /* data NULL: there are none */
	bool samples_failed;        /* why is in samples_err */
	struct nel_err samples_err;

	/* action_look; used_output_dirs, too */
	int64_t since_s;
	struct look_reply looked;     /* what is there, when `lost` has nothing */
	struct lost_evaluations lost; /* what was read back of these */

	/* action_place and action_leave: of the placement, so that an answer that comes too late is none */
	int64_t placement_seq;
	int64_t placement_turn;
	struct check_question *question; /* action_place */
	struct check_reply checked;

	int64_t took_ms; /* from the worker's first step to its last */
	bool failed;     /* err says why; the answers above are empty */
	struct nel_err err;
};

struct action *action_new(const struct action_type *type, struct queue *inbox, const char *cluster,
			  const char *identity, int64_t timeout_ms, size_t capacity);
void action_free(struct action *action); /* accepts NULL */
DEFINE_FREEP(struct action, action, action_free)

/* One more item, about the chain; there must be room for it. */
void action_add(struct action *action, const struct active_chain *chain);
/* Gives it to a remote worker; false when none would have it (it stays the caller's; the chains try again later). */
bool action_push(struct action *action, struct lanes *lanes);

/* The environment of the evaluation, to be freed with secret_free_json(); and what knows the secrets in it, which the
 * job may have printed. */
int action_open_env(const struct action *action, json_t **ret_env, struct nel_err *err);
int action_open_mask(const struct action *action, struct mask **ret_mask, struct nel_err *err);
/* How what an item is about is cancelled; borrows the item's strings. */
struct cancel_order action_cancel_order(const struct action_item *item);

/* An answer has come: its chains are in flight no more; and one that is no failure shows that the login was let in. */
void action_release_chains(struct scheduler *s, const struct action *action);

/* Of an answer: did the cluster refuse the login? An unknown host key is another thing. */
bool action_was_refused(const struct action *action);
#define ACTION_WAIT_SIZE (NEL_ERR_MSG_MAX + 80)
/* What a chain waits on while its cluster cannot be worked with. */
void action_describe_wait(const struct action *action, char ret_text[ACTION_WAIT_SIZE]);

#endif

/* Evaluations whose config leaves the cluster open: which one each goes to, and whether it goes on to another. All of
 * them that are open are asked when they would start its first job, each by one remote command; the one that starts
 * first has it, and what it chose is committed before anything is sent there. An evaluation of which no job has started
 * for execution.move_after is withdrawn, seen gone, and then goes to another that was open and has not had it. It moves
 * as a whole: once a job of it has started it stays. Scheduler thread. */
#ifndef NEL_SCHED_PLACEMENT_H
#define NEL_SCHED_PLACEMENT_H

#include "db/placements.h"
#include "sched/placement_document.h"
#include "sched/scheduler_state.h"

#include <jansson.h>

struct placement {
	int64_t seq;      /* of the evaluation: the hash key */
	json_t *document; /* of evaluation_row: what is told, and all that a start goes on from */
	enum placement_state state;
	int64_t since_s;      /* it has been placed */
	int64_t move_after_s; /* 0: never */
	int64_t turn;         /* of the questions that are out, or of the removal; answers to others are too late */
	size_t awaited;       /* answers, and one more; 0: nobody was asked */
	int64_t deadline_ms;  /* monotonic: until then */
	bool leaving;         /* the removal is under way */
	bool left;            /* it is done */
	int tries;            /* failed in a row */
	int64_t due_ms;       /* monotonic: nothing is done before */
	/* Of its jobs, in this tick. */
	struct active_chain *first; /* that has not ended */
	size_t members;
	size_t live;
	size_t waiting; /* for their turn */
	size_t pending; /* in Slurm's queue */
	size_t busy;    /* with a lane */
	bool begun;     /* one has started, or has come to an end that is not somebody's cancellation */
	bool sent;      /* something of it may be on its cluster */
	int64_t started_at;
	UT_hash_handle hh;
};

/* The scheduler has the job from now on. -1: the store failed. */
int placement_attach(struct scheduler *s, struct active_chain *chain, struct nel_err *err);

/* Goes on with all of them: to be called in every round. */
void placement_step(struct scheduler *s);

/* By the evaluation; NULL: none, or settled. */
struct placement *placement_find(const struct scheduler *s, int64_t evaluation_seq);

/* What cluster said, where that is asked now. message: one line. expected_start: 0 where it is not known. */
void placement_take_answer(struct placement *p, const char *cluster, enum placement_answer answer,
			   int64_t expected_start, const char *message);

/* The removal on the cluster that it leaves has ended; why NULL: well. */
int placement_left(struct scheduler *s, struct placement *p, const char *why, struct nel_err *err);

void placements_done(struct scheduler *s);

/* action_place.c, action_leave.c. Asks the cluster of the plan; false with *err when it cannot be asked. */
bool placement_ask(struct scheduler *s, const struct placement *p, const struct placement_plan *plan,
		   struct nel_err *err);
bool placement_leave(struct scheduler *s, const struct placement *p, const struct active_chain *job);

#endif

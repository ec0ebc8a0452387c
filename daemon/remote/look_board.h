/* Looks at watched directories that wait for the next observation of their identity on a cluster, to go along with it:
 * where jobs live, a watch costs no command of its own. Where none do there is no observation, and no look is taken in.
 * Any thread. */
#ifndef NEL_REMOTE_LOOK_BOARD_H
#define NEL_REMOTE_LOOK_BOARD_H

#include "slurm/watch.h"

/* Embed it in what a look needs. */
struct waiting_look {
	struct watch_look *look;
	/* On a remote worker's thread: it has been made, or err says why not. Frees it. */
	void (*answer)(struct waiting_look *waiting, const struct nel_err *err);
	int64_t taken_s;   /* UTC, set by look_board_take(): when it went */
	int64_t recent_ms; /* the board's own, as the next: look_board_leave() */
	struct waiting_look *next;
};

struct look_board;

struct look_board *look_board_new(void);
void look_board_free(struct look_board *board); /* nothing waits any more; accepts NULL */

/* Leaves it for the next observation. False, and it stays the caller's, when there was none within recent_ms. */
bool look_board_leave(struct look_board *board, const char *cluster, const char *identity, struct waiting_look *waiting,
		      int64_t recent_ms);

/* One that is the caller's again, for there was no observation within its recent_ms after all; NULL: none is.
 * INT64_MAX: of all that wait. */
struct waiting_look *look_board_overdue(struct look_board *board, int64_t now_ms);

/* One that still waits there, and is the caller's again; NULL: none does. */
struct waiting_look *look_board_withdraw(struct look_board *board, const char *cluster, const char *identity);

/* When the next one is overdue, if no observation comes; INT64_MAX: nothing waits. Monotonic, as all times here. */
int64_t look_board_due_ms(struct look_board *board);

/* An observation begins: one that goes along, to be answered; NULL: none does. */
struct waiting_look *look_board_take(struct look_board *board, const char *cluster, const char *identity);

#endif

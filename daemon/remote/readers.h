/* A lane's reader: one thread and one SSH session, beside those of the lane, that run the commands which last: the log
 * follower and transfers of files, several at once. It is there so that no reader keeps a submission or an observation
 * waiting; the session is opened when there is something to read and closed a while after. */
#ifndef NEL_REMOTE_READERS_H
#define NEL_REMOTE_READERS_H

#include "base/err.h"
#include "base/str.h"
#include "ssh/pool.h"

#include <stdatomic.h>

#define READER_PERSON_SIZE 65    /* a longer name is told by its beginning */
#define READER_COMMAND_SIZE 1024 /* as REMOTE_COMMAND_SIZE */
#define READER_TRANSFERS_MAX 8   /* at once, besides the follower: below OpenSSH's MaxSessions of 10 */

struct lane_reader;
struct ssh_command;
struct reading;

/* What a reading does; all are called on the reader's thread. */
struct reading_type {
	/* How many bytes output() takes now; 0: none before lane_reader_wake(). */
	size_t (*room)(struct reading *reading);
	void (*output)(struct reading *reading, const char *data, size_t size);
	/* No more output is there at the moment; NULL: not of interest. */
	void (*pause)(struct reading *reading);
	/* Appends what is to be written to the command's standard input; NULL: nothing ever. Called after each
	 * lane_reader_wake(). */
	void (*input)(struct reading *reading, struct str *ret_input);
	/* First: makes the command and its beginning of standard input, as remote_render() does; environment is the
	 * pool's. Freed (input: wiped) by the reader. */
	int (*prepare)(struct reading *reading, const char *const *environment, char ret_command[READER_COMMAND_SIZE],
		       char **ret_input, size_t *ret_size, struct nel_err *err);
	/* The last call, exactly one for each accepted reading: err is NULL when the command's output has ended. */
	void (*end)(struct reading *reading, const struct nel_err *err);
	int64_t silence_max_ms; /* without output that could be taken: it ends, and with it, when no other
				 * reading had any since, the session */
	bool lasts;             /* it is no transfer, and not counted as one */
};

/* One command; embed it in what it needs. */
struct reading {
	const struct reading_type *type;
	struct lane_reader *reader;      /* there until end() has returned */
	atomic_bool cancelled;           /* by lane_reader_cancel() */
	char person[READER_PERSON_SIZE]; /* who it is for: transfers are shared out */

	/* The reader's. */
	struct reading *next;
	struct ssh_command *running;
	int64_t heard_ms;
};

/* get_pool(arg): the pool, unchanging; called on the reader's thread. No thread is started before there is a reading.
 */
struct lane_reader *lane_reader_new(struct ssh_pool *(*get_pool)(void *arg), void *arg);
/* Ends all readings with BUSY; no more are taken. Any thread. */
void lane_reader_interrupt(struct lane_reader *reader);
void lane_reader_free(struct lane_reader *reader); /* joins the thread; accepts NULL */

/* Has it readings? Any thread. */
bool lane_reader_is_used(struct lane_reader *reader);

/* Hands it over. -1: it stays the caller's: BUSY (too many transfers, or the daemon stops). A person's transfers may be
 * at most as many as there is room for others' then, so that somebody slow never has them all. Any thread. */
int lane_reader_start(struct lane_reader *reader, struct reading *reading, struct nel_err *err);

/* The reading is not wanted any more: its command is ended, and end() called with BUSY. Any thread, before end() has
 * returned. */
void lane_reader_cancel(struct reading *reading);

/* There is room again, or input. As lane_reader_cancel(). */
void lane_reader_wake(struct reading *reading);

struct lane_reader_stats {
	int transfers;
	int followers;
};
void lane_reader_stats(struct lane_reader *reader, struct lane_reader_stats *ret_stats);

#endif

/* Log files that somebody follows: whatever the number of followers, one remote reader for each account on a cluster
 * reads each file once, into a ring. Followers take from the ring; who falls behind it reads from the file. */
#ifndef NEL_SERVICE_LOG_FOLLOWERS_H
#define NEL_SERVICE_LOG_FOLLOWERS_H

#include "db/jobs.h"
#include "service/service.h"

#define FOLLOWERS_FILES_MAX 64            /* for one account on a cluster */
#define FOLLOWERS_RING_BYTES (256 * 1024) /* of each file's end in memory */

struct log_followers;
struct log_follower; /* one follower of one file */

struct log_followers *log_followers_new(struct lanes *lanes);
void log_followers_free(
    struct log_followers *followers); /* when no follower is left and the lanes have stopped; accepts NULL */

/* Follows the job's log that is shown so (log_place.h), which need not be there yet. wake(arg) is called when there is
 * something new; any thread. BUSY (too many files, or as lanes_read()), NOTFOUND (no such cluster in the settings any
 * more). */
int log_followers_follow(struct log_followers *followers, const struct job_row *job, const char *name,
			 void (*wake)(void *arg), void *arg, struct log_follower **ret_follower, struct nel_err *err);
void log_follower_leave(struct log_follower *follower); /* after this wake() is not called any more; accepts NULL */

enum follower_look {
	FOLLOWER_DATA,
	FOLLOWER_END,    /* nothing behind `at` yet, or no such file yet */
	FOLLOWER_BEHIND, /* the ring begins later: read from the file */
	FOLLOWER_ANEW    /* the file was cut or replaced since the last look: it begins anew at 0 */
};

/* Copies what stands at byte `at` of the file. Also starts the remote reader again when that has failed. */
enum follower_look log_follower_read(struct log_follower *follower, int64_t at, char *buffer, size_t max,
				     size_t *ret_size);

/* How many times the remote reader has looked at the file and found nothing more than the ring has. */
int64_t follower_polls(struct log_follower *follower);

/* Is the file followed by somebody, and there? */
bool log_followers_has(struct log_followers *followers, const struct job_row *job, const char *name);

#endif

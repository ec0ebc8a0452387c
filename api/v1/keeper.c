/* Owns the keeper's thread and its database connection. */
#include "api/v1/keeper.h"

#include "api/v1/kept_replies.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/events.h"
#include "db/search.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PAUSE_MS 20 /* at least, so that others write between two transactions */
#define LOOK_MS (60 * 1000)
#define WRITER_WAIT_MS 10000
#define INDEX_EVERY_MS 1000 /* submissions in quick succession share a transaction of the index */

struct keeper {
	struct db *db;
	int notifier; /* readable after commits with events */
	int kick;     /* readable when it is to stop */
	int64_t index_at_ms;
	atomic_bool stopping;
	pthread_t thread;
};

/* How long nothing has to be done, as far as is known. */
static int keep_replies(struct keeper *k)
{
	bool more = false;
	struct nel_err err = {0};
	if (replies_keep_some(k->db, &more, &err) != 0) {
		log_warning("replies cannot be kept; they are made when somebody asks", LOG_S("error", err.msg));
		return LOOK_MS;
	}
	return more ? PAUSE_MS : LOOK_MS;
}

/* How long the index can wait, as far as is known. */
static int keep_index(struct keeper *k)
{
	bool more = false;
	struct nel_err err = {0};
	int64_t now_ms = clock_mono_ms();
	if (now_ms < k->index_at_ms)
		return (int)(k->index_at_ms - now_ms);
	if (search_catch_up(k->db, WRITER_WAIT_MS, &more, &err) != 0) {
		log_warning("the index of searches cannot be written; who searches tries it, too",
			    LOG_S("error", err.msg));
		k->index_at_ms = now_ms + LOOK_MS;
		return LOOK_MS;
	}
	k->index_at_ms = now_ms + (more ? PAUSE_MS : INDEX_EVERY_MS);
	return more ? PAUSE_MS : LOOK_MS;
}

/* Events that come within a pause are looked at together. */
static void *keeper_main(void *arg)
{
	struct keeper *k = arg;
	while (!atomic_load(&k->stopping)) {
		notifier_drain(k->notifier);
		int replies_ms = keep_replies(k);
		int index_ms = keep_index(k);
		int wait_ms = replies_ms < index_ms ? replies_ms : index_ms;
		struct pollfd fds[] = {{.fd = k->kick, .events = POLLIN}, {.fd = k->notifier, .events = POLLIN}};
		if (poll(fds, 1, PAUSE_MS) == 0 && wait_ms > PAUSE_MS)
			poll(fds, 2, wait_ms - PAUSE_MS);
	}
	return NULL;
}

static void keeper_free(struct keeper *k)
{
	notifier_leave(events_notifier(), k->notifier);
	if (k->kick >= 0)
		close(k->kick);
	db_close(k->db);
	free(k);
}

int keeper_start(const char *database, struct keeper **ret_keeper, struct nel_err *err)
{
	struct keeper *k = mem_calloc(1, sizeof *k);
	k->notifier = -1;
	k->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int sys = k->kick < 0 ? errno : 0;
	if (sys != 0 || db_open(database, &k->db, err) != 0 ||
	    notifier_listen(events_notifier(), &k->notifier, err) != 0 ||
	    (sys = pthread_create(&k->thread, NULL, keeper_main, k)) != 0) {
		keeper_free(k);
		return sys != 0 ? err_sys(err, NEL_INTERNAL, sys, "the keeper") : -1;
	}
	pthread_setname_np(k->thread, "keeper");
	*ret_keeper = k;
	return 0;
}

void keeper_stop(struct keeper *k)
{
	if (k == NULL)
		return;
	atomic_store(&k->stopping, true);
	eventfd_write(k->kick, 1);
	pthread_join(k->thread, NULL);
	keeper_free(k);
}

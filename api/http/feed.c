/* Owns the list of those who wait for events, and the thread that wakes them. */
#include "api/http/feed.h"

#include "base/clock.h"
#include "base/mem.h"
#include "db/events.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Those who are due soon are woken together, and a burst of commits wakes everybody once. */
#define ROUND_MS 1000
#define NEWS_PAUSE_MS 20

/* The lock guards the list, closed and every listener's place. It is taken before libmicrohttpd's own locks (by
 * MHD_suspend_connection and MHD_resume_connection). */
struct feed {
	pthread_mutex_t lock;
	struct feed_listener *first;
	bool closed;
	_Atomic uint64_t news;
	_Atomic int listeners[FEED_KIND_COUNT];
	unsigned listeners_max;
	int notifier; /* readable after commits */
	int kick;     /* readable when the thread is to look at the list again */
	pthread_t thread;
};

/* With the lock held. */
static void wake(struct feed *feed, struct feed_listener *listener)
{
	if (listener->previous != NULL)
		listener->previous->next = listener->next;
	else
		feed->first = listener->next;
	if (listener->next != NULL)
		listener->next->previous = listener->previous;
	listener->next = NULL;
	listener->previous = NULL;
	listener->waiting = false;
	MHD_resume_connection(listener->connection);
}

/* With the lock held. Wakes everybody, or those who are due; says how long until the next one is (-1: nobody waits). */
static int wake_due(struct feed *feed, bool everybody)
{
	int64_t now_ms = clock_mono_ms();
	int64_t next_ms = INT64_MAX;
	struct feed_listener *next = NULL;
	for (struct feed_listener *listener = feed->first; listener != NULL; listener = next) {
		next = listener->next;
		if (everybody || listener->due_ms <= now_ms)
			wake(feed, listener);
		else if (listener->due_ms < next_ms)
			next_ms = listener->due_ms;
	}
	if (feed->first == NULL)
		return -1;
	int64_t left_ms = next_ms - now_ms;
	return left_ms > ROUND_MS ? ROUND_MS : (int)left_ms;
}

static void *feed_main(void *arg)
{
	struct feed *feed = arg;
	int timeout_ms = -1;
	for (;;) {
		struct pollfd fds[] = {{.fd = feed->notifier, .events = POLLIN}, {.fd = feed->kick, .events = POLLIN}};
		if (poll(fds, 2, timeout_ms) < 0 && errno != EINTR)
			return NULL;
		notifier_drain(feed->kick);
		bool news = (fds[0].revents & POLLIN) != 0;
		if (news) {
			notifier_drain(feed->notifier);
			atomic_fetch_add(&feed->news, 1);
		}
		pthread_mutex_lock(&feed->lock);
		bool closed = feed->closed;
		timeout_ms = wake_due(feed, news || closed);
		pthread_mutex_unlock(&feed->lock);
		if (closed)
			return NULL;
		if (news)
			poll(&(struct pollfd){.fd = feed->kick, .events = POLLIN}, 1, NEWS_PAUSE_MS);
	}
}

static void kick(struct feed *feed)
{
	const uint64_t one = 1;
	/* A counter that is full is readable already. */
	if (write(feed->kick, &one, sizeof one) < 0)
		return;
}

static void release(struct feed *feed)
{
	notifier_leave(events_notifier(), feed->notifier);
	if (feed->kick >= 0)
		close(feed->kick);
	pthread_mutex_destroy(&feed->lock);
	free(feed);
}

int feed_start(unsigned listeners_max, struct feed **ret_feed, struct nel_err *err)
{
	struct feed *feed = mem_calloc(1, sizeof *feed);
	pthread_mutex_init(&feed->lock, NULL);
	feed->listeners_max = listeners_max;
	feed->notifier = -1;
	feed->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int sys = feed->kick < 0 ? errno : 0;
	if (sys != 0 || notifier_listen(events_notifier(), &feed->notifier, err) != 0 ||
	    (sys = pthread_create(&feed->thread, NULL, feed_main, feed)) != 0) {
		release(feed);
		return sys != 0 ? err_sys(err, NEL_INTERNAL, sys, "the feed of events") : -1;
	}
	pthread_setname_np(feed->thread, "feed");
	*ret_feed = feed;
	return 0;
}

void feed_close(struct feed *feed)
{
	pthread_mutex_lock(&feed->lock);
	feed->closed = true;
	pthread_mutex_unlock(&feed->lock);
	kick(feed);
}

void feed_free(struct feed *feed)
{
	if (feed == NULL)
		return;
	feed_close(feed);
	pthread_join(feed->thread, NULL);
	release(feed);
}

int feed_join(struct feed *feed, enum feed_kind kind, struct nel_err *err)
{
	int others = 0;
	for (int i = 0; i < FEED_KIND_COUNT; i++)
		others += atomic_load(&feed->listeners[i]);
	if (others >= (int)feed->listeners_max)
		return err_set(err, NEL_BUSY, "%u connections wait for events already; try again later",
			       feed->listeners_max);
	atomic_fetch_add(&feed->listeners[kind], 1);
	return 0;
}

void feed_part(struct feed *feed, enum feed_kind kind)
{
	atomic_fetch_sub(&feed->listeners[kind], 1);
}

int feed_listeners(struct feed *feed, enum feed_kind kind)
{
	return atomic_load(&feed->listeners[kind]);
}

int feed_listeners_max(const struct feed *feed)
{
	return (int)feed->listeners_max;
}

uint64_t feed_news(struct feed *feed)
{
	return atomic_load(&feed->news);
}

bool feed_is_closed(struct feed *feed)
{
	pthread_mutex_lock(&feed->lock);
	bool closed = feed->closed;
	pthread_mutex_unlock(&feed->lock);
	return closed;
}

bool feed_wait(struct feed *feed, struct feed_listener *listener, struct MHD_Connection *connection, uint64_t seen,
	       int64_t due_ms)
{
	pthread_mutex_lock(&feed->lock);
	/* A commit that the store's reader missed is counted by the thread before it looks for whom to wake, which
	 * takes this lock: it either shows here, or finds the listener in the list. */
	bool waits = !feed->closed && atomic_load(&feed->news) == seen;
	bool first = waits && feed->first == NULL;
	if (waits) {
		*listener = (struct feed_listener){
		    .connection = connection, .next = feed->first, .due_ms = due_ms, .waiting = true};
		if (feed->first != NULL)
			feed->first->previous = listener;
		feed->first = listener;
		MHD_suspend_connection(connection);
	}
	pthread_mutex_unlock(&feed->lock);
	if (first)
		kick(feed);
	return waits;
}

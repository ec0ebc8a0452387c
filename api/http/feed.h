/* Connections that wait for events: suspended in libmicrohttpd, and resumed by one thread when events are committed or
 * their time has come. Nothing is kept for a listener but its place here: what it has not seen yet stands in the store,
 * and its own HTTP thread reads that, as fast as its client takes it. */
#ifndef NEL_API_HTTP_FEED_H
#define NEL_API_HTTP_FEED_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct MHD_Connection;
struct feed;

/* One listener, part of what its request owns. Zeroed before its first use. */
struct feed_listener {
	struct MHD_Connection *connection;
	struct feed_listener *next;
	struct feed_listener *previous;
	int64_t due_ms; /* monotonic: it is woken then at the latest */
	bool waiting;
};

enum feed_kind { FEED_STREAM, FEED_POLL };
#define FEED_KIND_COUNT (FEED_POLL + 1)

/* Starts the thread. At most listeners_max listeners at once. */
int feed_start(unsigned listeners_max, struct feed **ret_feed, struct nel_err *err);

/* Resumes everybody; from then on nobody waits. */
void feed_close(struct feed *feed);
/* After feed_close() and the HTTP threads' end. Accepts NULL. */
void feed_free(struct feed *feed);

/* A listener comes, and goes. BUSY: there are too many. Any thread. */
int feed_join(struct feed *feed, enum feed_kind kind, struct nel_err *err);
void feed_part(struct feed *feed, enum feed_kind kind);
int feed_listeners(struct feed *feed, enum feed_kind kind);
int feed_listeners_max(const struct feed *feed);

/* How often news have come. Asked before the store is read; feed_wait() then knows whether that was the latest. */
uint64_t feed_news(struct feed *feed);
bool feed_is_closed(struct feed *feed);

/* Suspends the connection until there are news, or until due_ms. False, and not suspended, when there have been news
 * since feed_news() gave `seen`, or when the feed is closed. The HTTP thread of the connection, within a callback of
 * libmicrohttpd. */
bool feed_wait(struct feed *feed, struct feed_listener *listener, struct MHD_Connection *connection, uint64_t seen,
	       int64_t due_ms);

#endif

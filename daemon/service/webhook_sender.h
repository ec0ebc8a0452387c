/* The thread that sends webhooks. What is to be sent is a place in the log of events and a row for each delivery, so
 * nothing is lost when the daemon ends: what was under way is sent again, under the same id.
 *
 * To one webhook events go one after the other, in their order; the next one is sent when the one before it was taken
 * or given up. A slow or dead receiver therefore delays nobody else's, and what waits for it is only its place. */
#ifndef NEL_SERVICE_WEBHOOK_SENDER_H
#define NEL_SERVICE_WEBHOOK_SENDER_H

#include "base/secret.h"
#include "config/settings/settings.h"

struct webhook_sender;

/* Since the start. */
struct webhook_stats {
	int64_t delivered;
	int64_t retried; /* tries that failed and are repeated */
	int64_t failed;  /* given up */
	int sending;     /* now */
};

/* Opens its own database connection and starts the thread. Settings and key must outlive it. */
int webhook_sender_start(const struct settings *settings, const struct secret_key *key,
			 struct webhook_sender **ret_sender, struct nel_err *err);

/* There is another webhook, or a test to send. Any thread; never blocks. NULL: nothing is done. */
void webhook_sender_wake(struct webhook_sender *sender);

void webhook_sender_stats(struct webhook_sender *sender, struct webhook_stats *ret_stats);

/* Breaks off what is under way; at once. Accepts NULL. */
void webhook_sender_stop(struct webhook_sender *sender);

#endif

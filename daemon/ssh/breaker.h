/* A circuit breaker: after some failures in a row nothing is tried for a while, then by one probe. Only arithmetic on
 * base/clock's monotonic time; not thread-safe by itself. */
#ifndef NEL_SSH_BREAKER_H
#define NEL_SSH_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_THRESHOLD 3       /* failures in a row that open it */
#define BREAKER_OPEN_MIN_MS 1000  /* the shortest time that it stays open */
#define BREAKER_OPEN_MAX_MS 60000 /* the longest */

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker {
	enum breaker_state state;
	int failures;        /* in a row, while closed */
	int openings;        /* in a row, without a success between */
	int64_t retry_at_ms; /* monotonic; while open */
	uint64_t random;     /* state of the jitter */
};

void breaker_init(struct breaker *breaker, uint64_t seed);

/* May something be tried now? Closed: always. Open: only when its time is over, which makes it half-open. Half-open:
 * no, the probe is under way. Whoever got true while half-open must report with one of the functions below. */
bool breaker_enter(struct breaker *breaker);

void breaker_success(struct breaker *breaker); /* closes it */
void breaker_failure(struct breaker *breaker); /* counts, and opens it at the threshold or after a probe */

/* What was tried said nothing about the other side: a probe may be repeated at once. */
void breaker_cancel(struct breaker *breaker);

/* Milliseconds until the next probe may go; 0 when closed, half-open or due. */
int64_t breaker_retry_in_ms(const struct breaker *breaker);

const char *breaker_state_name(enum breaker_state state); /* "closed" "open" "half-open" */

#endif

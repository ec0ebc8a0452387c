/* Time, from one place, so that tests can set it. */
#ifndef NEL_BASE_CLOCK_H
#define NEL_BASE_CLOCK_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

int64_t clock_now_s(void);   /* UTC, seconds since the epoch */
int64_t clock_now_ms(void);  /* UTC, milliseconds since the epoch */
int64_t clock_mono_us(void); /* monotonic microseconds, to measure short work with */
int64_t clock_mono_ms(void); /* monotonic milliseconds, for intervals and deadlines */

/* A condition whose deadlines are on the monotonic clock, so that a clock that is set holds up no wait. */
void clock_cond_init(pthread_cond_t *cond);
/* timeout_ms from now as pthread_cond_timedwait() takes it for such a condition, on the real clock even in tests. */
struct timespec clock_cond_deadline(int64_t timeout_ms);
/* pthread_cond_timedwait() for at most timeout_ms from now, on the real clock even in tests; 0 or ETIMEDOUT. */
int clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t timeout_ms);

/* Tests: both clocks stand still at this instant until it is set again; a negative value gives the real ones back. */
void clock_fake_set_ms(int64_t ms);

#define CLOCK_RFC3339_SIZE 32
/* "2026-01-31T12:00:00Z" (RFC 3339, UTC) into buf; returns buf. */
const char *clock_rfc3339(int64_t at_s, char buf[CLOCK_RFC3339_SIZE]);
/* Parses what clock_rfc3339() writes, with any fraction and numeric offset too; 0 or -1. */
int clock_parse_rfc3339(const char *text, int64_t *ret_s);

/* The month (of UTC) that the time is in: from *ret_begin_s to before *ret_end_s. */
void clock_month(int64_t at_s, int64_t *ret_begin_s, int64_t *ret_end_s);

#endif

/* How fast a job comes on: the rate of its counter of finished requests over a window, and the time that is left. PURE.
 * What evaluators write is not trusted: whatever it is, what is shown is bounded, or unknown. */
#ifndef NEL_CHAIN_PROGRESS_H
#define NEL_CHAIN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#define PROGRESS_MAX 1000000000000LL       /* a counter or a total above this is none */
#define PROGRESS_WINDOW_S 300              /* the rate is of the last 150 to 300 s */
#define PROGRESS_ETA_MAX_S (366LL * 86400) /* what would take longer has no end in sight */

/* Two points of the counter: the rate is counted from the first; the second takes its place in time. Zeroed: none. */
struct progress_window {
	int64_t from_at;
	int64_t from_requests;
	int64_t next_at;
	int64_t next_requests;
};

/* The job runs, and its counter, which was seen at `last` before, stood at `requests` at now_s. floor: where the
 * counter stood when the attempt was sent; below it an evaluator counts again what it had done before, and that is no
 * rate. True: the window has moved so that the rate is another; a move while nothing is finished does not count, for it
 * need not be stored. */
bool progress_window_add(struct progress_window *window, int64_t last, int64_t requests, int64_t floor, int64_t now_s);

/* The job does not run: there is no rate until it has run again for two points. True: there was a window. */
bool progress_window_clear(struct progress_window *window);

/* The total that is shown; -1: none is known, or it is less than what is finished. */
int64_t progress_total(int64_t requests, int64_t total);

/* Requests a second, at the time of the counter's last look; negative: unknown. */
double progress_rate(const struct progress_window *window, int64_t requests, int64_t now_s);

/* Seconds until the total at that rate; -1: unknown. */
int64_t progress_eta_s(int64_t requests, int64_t total, double rate);

#endif

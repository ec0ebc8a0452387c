/* Owns the rule of when a failing login node is asked again. */
#include "ssh/breaker.h"

#include "base/clock.h"

void breaker_init(struct breaker *breaker, uint64_t seed)
{
	*breaker = (struct breaker){.state = BREAKER_CLOSED, .random = seed | 1};
}

/* xorshift64: the jitter has to differ between daemons, not to be unpredictable. */
static uint64_t next_random(struct breaker *breaker)
{
	uint64_t x = breaker->random;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	breaker->random = x;
	return x;
}

static void open_now(struct breaker *breaker)
{
	/* 2 s, 4 s, ... 60 s, of which the later half is random. */
	int64_t longest_ms = 2 * BREAKER_OPEN_MIN_MS;
	for (int i = 0; i < breaker->openings && longest_ms < BREAKER_OPEN_MAX_MS; i++)
		longest_ms *= 2;
	if (longest_ms > BREAKER_OPEN_MAX_MS)
		longest_ms = BREAKER_OPEN_MAX_MS;
	if (longest_ms < BREAKER_OPEN_MAX_MS)
		breaker->openings++;
	int64_t half_ms = longest_ms / 2;
	int64_t wait_ms = half_ms + (int64_t)(next_random(breaker) % (uint64_t)(half_ms + 1));
	breaker->state = BREAKER_OPEN;
	breaker->failures = 0;
	breaker->retry_at_ms = clock_mono_ms() + wait_ms;
}

bool breaker_enter(struct breaker *breaker)
{
	switch (breaker->state) {
	case BREAKER_CLOSED: return true;
	case BREAKER_HALF_OPEN: return false;
	case BREAKER_OPEN:
		if (clock_mono_ms() < breaker->retry_at_ms)
			return false;
		breaker->state = BREAKER_HALF_OPEN;
		return true;
	}
	return false;
}

void breaker_success(struct breaker *breaker)
{
	breaker->state = BREAKER_CLOSED;
	breaker->failures = 0;
	breaker->openings = 0;
}

void breaker_failure(struct breaker *breaker)
{
	switch (breaker->state) {
	case BREAKER_CLOSED:
		if (++breaker->failures >= BREAKER_THRESHOLD)
			open_now(breaker);
		break;
	case BREAKER_OPEN: break; /* something begun before it opened */
	case BREAKER_HALF_OPEN: open_now(breaker); break;
	}
}

void breaker_cancel(struct breaker *breaker)
{
	if (breaker->state == BREAKER_HALF_OPEN) {
		breaker->state = BREAKER_OPEN;
		breaker->retry_at_ms = clock_mono_ms();
	}
}

int64_t breaker_retry_in_ms(const struct breaker *breaker)
{
	if (breaker->state != BREAKER_OPEN)
		return 0;
	int64_t left_ms = breaker->retry_at_ms - clock_mono_ms();
	return left_ms < 0 ? 0 : left_ms;
}

const char *breaker_state_name(enum breaker_state state)
{
	switch (state) {
	case BREAKER_CLOSED: return "closed";
	case BREAKER_OPEN: return "open";
	case BREAKER_HALF_OPEN: return "half-open";
	}
	return "unknown";
}

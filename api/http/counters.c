/* Owns the counters of requests. */
#include "api/http/counters.h"

#include "api/http/exposition.h"
#include "api/http/router.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#define ROUTES_MAX 128
#define STATUS_MIN 100
#define STATUS_COUNT 500

static const struct {
	int64_t us;
	const char *text; /* in seconds */
} bounds[] = {
    {500, "0.0005"},  {1000, "0.001"},  {2500, "0.0025"}, {5000, "0.005"},  {10000, "0.01"},
    {25000, "0.025"}, {50000, "0.05"},  {100000, "0.1"},  {250000, "0.25"}, {500000, "0.5"},
    {1000000, "1"},   {2500000, "2.5"}, {5000000, "5"},   {10000000, "10"},
};

#define BOUND_COUNT (sizeof bounds / sizeof bounds[0])

/* The last one is of paths without a route. */
struct route_counters {
	_Atomic uint64_t statuses[STATUS_COUNT];
	_Atomic uint64_t buckets[BOUND_COUNT + 1];
	_Atomic uint64_t sum_us;
};

static struct route_counters counters[ROUTES_MAX + 1];
static _Atomic uint64_t revalidated;

static void add(_Atomic uint64_t *counter, uint64_t amount)
{
	atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

static uint64_t get(_Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void counters_reply(const struct route *route, int status, int64_t took_us)
{
	size_t index = route != NULL ? router_index(route) : ROUTES_MAX;
	struct route_counters *c = &counters[index < ROUTES_MAX ? index : ROUTES_MAX];
	size_t bucket = 0;
	while (bucket < BOUND_COUNT && took_us > bounds[bucket].us)
		bucket++;
	if (status >= STATUS_MIN && status < STATUS_MIN + STATUS_COUNT)
		add(&c->statuses[status - STATUS_MIN], 1);
	add(&c->buckets[bucket], 1);
	add(&c->sum_us, took_us > 0 ? (uint64_t)took_us : 0);
}

void counters_revalidated(void)
{
	add(&revalidated, 1);
}

static const char *name_of(size_t index)
{
	const struct route *route = router_at(index);
	return route != NULL ? route->operation : "none";
}

static void render_statuses(struct str *s)
{
	static const char name[] = "nel_http_requests_total";
	exposition_metric(s, name, "counter", "Replies, by operationId (none: no such path) and status.");
	for (size_t i = 0; i <= ROUTES_MAX; i++) {
		for (int k = 0; k < STATUS_COUNT; k++) {
			char code[16];
			uint64_t count = get(&counters[i].statuses[k]);
			if (count == 0)
				continue;
			snprintf(code, sizeof code, "%d", k + STATUS_MIN);
			exposition_sample(s, name, (const char *[]){"route", name_of(i), "code", code, NULL},
					  (double)count);
		}
	}
}

static void render_durations(struct str *s)
{
	static const char name[] = "nel_http_request_duration_seconds";
	exposition_metric(s, name, "histogram", "From the request line to the reply's headers, waits included.");
	for (size_t i = 0; i <= ROUTES_MAX; i++) {
		const char *route = name_of(i);
		uint64_t sum_us = get(&counters[i].sum_us);
		uint64_t count = 0;
		for (size_t b = 0; b <= BOUND_COUNT; b++)
			count += get(&counters[i].buckets[b]);
		if (count == 0)
			continue;
		count = 0;
		for (size_t b = 0; b <= BOUND_COUNT; b++) {
			count += get(&counters[i].buckets[b]);
			const char *bound = b < BOUND_COUNT ? bounds[b].text : "+Inf";
			exposition_sample(s, "nel_http_request_duration_seconds_bucket",
					  (const char *[]){"route", route, "le", bound, NULL}, (double)count);
		}
		const char *const labels[] = {"route", route, NULL};
		exposition_sample(s, "nel_http_request_duration_seconds_sum", labels, (double)sum_us / 1e6);
		exposition_sample(s, "nel_http_request_duration_seconds_count", labels, (double)count);
	}
}

void counters_render(struct str *s)
{
	render_statuses(s);
	render_durations(s);
	exposition_single(s, "nel_http_revalidated_total", "counter",
			  "Replies 304 that were given by versions alone, without making the body.",
			  (double)get(&revalidated));
}

/* What is counted of requests, in atomics without locks, for GET /metrics. Any thread. */
#ifndef NEL_API_HTTP_COUNTERS_H
#define NEL_API_HTTP_COUNTERS_H

#include "base/str.h"

#include <stdint.h>

struct route;

/* A reply has been made. route NULL: there is none for the path. took_us: since the request line came. */
void counters_reply(const struct route *route, int status, int64_t took_us);

/* A 304 was answered by looking at versions, without making the body. */
void counters_revalidated(void);

/* Appends nel_http_requests_total, nel_http_request_duration_seconds and nel_http_revalidated_total. */
void counters_render(struct str *s);

#endif

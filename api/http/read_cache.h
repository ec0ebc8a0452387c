/* Replies that were read from the store a moment ago, of one HTTP thread: valid while nothing in the store has changed.
 * Dashboards and waiting scripts ask for the same few evaluations again and again. */
#ifndef NEL_API_HTTP_READ_CACHE_H
#define NEL_API_HTTP_READ_CACHE_H

#include "base/ids.h"
#include "base/str.h"

#include <stdint.h>

struct read_cache;

struct read_cached {
	char id[IDS_EVALUATION_SIZE];
	char *body;
	size_t size;
	char etag[40];
};

struct read_cache *read_cache_new(void);
void read_cache_free(struct read_cache *cache); /* accepts NULL */

/* The reply for that evaluation, or NULL. data_version: of all that replies are made from, now; another one than before
 * empties the cache. Valid until the next call. */
const struct read_cached *read_cache_find(struct read_cache *cache, int64_t data_version, const char *id);

/* Keeps a copy, unless the body is very large. After read_cache_find() with the same id. */
void read_cache_store(struct read_cache *cache, const char *id, const struct str *body, const char *etag);

/* The thread's own connection is about to write, which data_version does not show. */
void read_cache_clear(struct read_cache *cache);

#endif

/* Owns the copies of replies, and when they are thrown away. */
#include "api/http/read_cache.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 32 /* an id has one place, by its digits, which are random */
#define BODY_SIZE_MAX (64 * 1024)

struct read_cache {
	int64_t data_version;
	struct read_cached slots[SLOTS]; /* id "": free */
};

struct read_cache *read_cache_new(void)
{
	return mem_calloc(1, sizeof(struct read_cache));
}

void read_cache_clear(struct read_cache *cache)
{
	for (size_t i = 0; i < SLOTS; i++) {
		free(cache->slots[i].body);
		cache->slots[i] = (struct read_cached){0};
	}
}

void read_cache_free(struct read_cache *cache)
{
	if (cache != NULL)
		read_cache_clear(cache);
	free(cache);
}

static struct read_cached *slot_of(struct read_cache *cache, const char *id)
{
	size_t sum = 0;
	for (const char *p = id; *p != '\0'; p++)
		sum = sum * 31 + (unsigned char)*p;
	return &cache->slots[sum % SLOTS];
}

const struct read_cached *read_cache_find(struct read_cache *cache, int64_t data_version, const char *id)
{
	if (data_version != cache->data_version)
		read_cache_clear(cache);
	cache->data_version = data_version;
	const struct read_cached *slot = slot_of(cache, id);
	return slot->body != NULL && strcmp(slot->id, id) == 0 ? slot : NULL;
}

void read_cache_store(struct read_cache *cache, const char *id, const struct str *body, const char *etag)
{
	struct read_cached *slot = slot_of(cache, id);
	if (body->len > BODY_SIZE_MAX)
		return;
	free(slot->body);
	slot->body = mem_dup(body->data, body->len);
	slot->size = body->len;
	snprintf(slot->id, sizeof slot->id, "%s", id);
	snprintf(slot->etag, sizeof slot->etag, "%s", etag);
}

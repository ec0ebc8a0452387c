/* Owns the kept texts, and which of them makes room. */
#include "api/http/read_cache.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define OFFERED 1024 /* that are known to have been asked for lately */

struct entry {
	struct revision revision; /* its seq and its id are the keys */
	struct read_instant instant;
	char etag[READ_CACHE_ETAG_SIZE];
	char *text;
	size_t size;
	bool used; /* since it was last to make room */
	UT_hash_handle by_seq;
	UT_hash_handle by_id;
};

struct read_cache {
	pthread_mutex_t lock;
	struct entry *seqs; /* in the order in which they make room */
	struct entry *ids;
	size_t bytes;
	int64_t offered[OFFERED]; /* seqs, by themselves */
};

struct read_cache *read_cache_new(void)
{
	struct read_cache *cache = mem_calloc(1, sizeof *cache);
	pthread_mutexattr_t brief;
	pthread_mutexattr_init(&brief);
	pthread_mutexattr_settype(&brief, PTHREAD_MUTEX_ADAPTIVE_NP); /* mostly held for a look and a short copy */
	pthread_mutex_init(&cache->lock, &brief);
	pthread_mutexattr_destroy(&brief);
	return cache;
}

static size_t cost_of(const struct entry *entry)
{
	return sizeof *entry + entry->size;
}

static void drop(struct read_cache *cache, struct entry *entry)
{
	cache->bytes -= cost_of(entry);
	HASH_DELETE(by_seq, cache->seqs, entry);
	HASH_DELETE(by_id, cache->ids, entry);
	free(entry->text);
	free(entry);
}

void read_cache_clear(struct read_cache *cache)
{
	pthread_mutex_lock(&cache->lock);
	while (cache->seqs != NULL)
		drop(cache, cache->seqs);
	pthread_mutex_unlock(&cache->lock);
}

void read_cache_free(struct read_cache *cache)
{
	if (cache == NULL)
		return;
	read_cache_clear(cache);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

static void give(struct entry *entry, struct str *text, char *ret_etag)
{
	entry->used = true;
	str_append_n(text, entry->text, entry->size);
	if (ret_etag != NULL)
		memcpy(ret_etag, entry->etag, sizeof entry->etag);
}

static enum read_cached give_if_right(struct entry *entry, struct read_instant instant, struct str *text,
				      char *ret_etag)
{
	if (entry == NULL)
		return READ_CACHED_NONE;
	if (entry->instant.revision < instant.revision ||
	    (entry->revision.waits && entry->instant.places != instant.places))
		return READ_CACHED_OLD;
	give(entry, text, ret_etag);
	return READ_CACHED_RIGHT;
}

enum read_cached read_cache_now(struct read_cache *cache, const char *id, struct read_instant instant, struct str *text,
				char ret_etag[READ_CACHE_ETAG_SIZE])
{
	struct entry *entry = NULL;
	pthread_mutex_lock(&cache->lock);
	HASH_FIND(by_id, cache->ids, id, strlen(id), entry);
	enum read_cached answer = give_if_right(entry, instant, text, ret_etag);
	pthread_mutex_unlock(&cache->lock);
	return answer;
}

enum read_cached read_cache_now_at(struct read_cache *cache, int64_t seq, struct read_instant instant, struct str *text)
{
	struct entry *entry = NULL;
	pthread_mutex_lock(&cache->lock);
	HASH_FIND(by_seq, cache->seqs, &seq, sizeof seq, entry);
	enum read_cached answer = give_if_right(entry, instant, text, NULL);
	pthread_mutex_unlock(&cache->lock);
	return answer;
}

bool read_cache_find(struct read_cache *cache, const struct revision *revision, struct read_instant instant,
		     struct str *text, char ret_etag[READ_CACHE_ETAG_SIZE])
{
	struct entry *entry = NULL;
	pthread_mutex_lock(&cache->lock);
	HASH_FIND(by_seq, cache->seqs, &revision->seq, sizeof revision->seq, entry);
	bool found = entry != NULL && revision_equal(&entry->revision, revision) &&
		     (!revision->waits || entry->instant.places == instant.places);
	if (found) {
		if (instant.revision > entry->instant.revision)
			entry->instant = instant;
		give(entry, text, ret_etag);
	}
	pthread_mutex_unlock(&cache->lock);
	return found;
}

/* The oldest one goes; one that was used meanwhile becomes the youngest. */
static void make_room(struct read_cache *cache, size_t size)
{
	while (cache->seqs != NULL && cache->bytes + size > READ_CACHE_BYTES_MAX) {
		struct entry *oldest = cache->seqs;
		if (!oldest->used) {
			drop(cache, oldest);
			continue;
		}
		oldest->used = false;
		HASH_DELETE(by_seq, cache->seqs, oldest);
		HASH_ADD(by_seq, cache->seqs, revision.seq, sizeof oldest->revision.seq, oldest);
	}
}

void read_cache_store(struct read_cache *cache, const struct revision *revision, struct read_instant instant,
		      const char *text, size_t size, const char *etag)
{
	if (size > READ_CACHE_TEXT_MAX)
		return;
	struct entry *entry = mem_calloc(1, sizeof *entry);
	struct entry *old = NULL;
	*entry = (struct entry){.revision = *revision, .instant = instant, .text = mem_dup(text, size), .size = size};
	snprintf(entry->etag, sizeof entry->etag, "%s", etag);
	pthread_mutex_lock(&cache->lock);
	HASH_FIND(by_seq, cache->seqs, &revision->seq, sizeof revision->seq, old);
	if (old != NULL)
		drop(cache, old);
	make_room(cache, cost_of(entry));
	cache->bytes += cost_of(entry);
	HASH_ADD(by_seq, cache->seqs, revision.seq, sizeof entry->revision.seq, entry);
	HASH_ADD_KEYPTR(by_id, cache->ids, entry->revision.id, strlen(entry->revision.id), entry);
	pthread_mutex_unlock(&cache->lock);
}

/* True for what is there, which is right at that instant now, and for what is asked for the first time. */
static bool note_offer(struct read_cache *cache, const struct revision *revision, struct read_instant instant,
		       const char *text, size_t size)
{
	struct entry *entry = NULL;
	HASH_FIND(by_seq, cache->seqs, &revision->seq, sizeof revision->seq, entry);
	if (entry != NULL && revision_equal(&entry->revision, revision) && entry->size == size &&
	    memcmp(entry->text, text, size) == 0) {
		if (instant.revision > entry->instant.revision)
			entry->instant = instant;
		entry->used = true;
		return true;
	}
	if (entry != NULL)
		drop(cache, entry);
	int64_t *offered = &cache->offered[(uint64_t)revision->seq % OFFERED];
	bool first = *offered != revision->seq;
	*offered = revision->seq;
	return first;
}

void read_cache_offer(struct read_cache *cache, const struct revision *revision, struct read_instant instant,
		      const char *text, size_t size, const char *etag)
{
	pthread_mutex_lock(&cache->lock);
	bool done = note_offer(cache, revision, instant, text, size);
	pthread_mutex_unlock(&cache->lock);
	if (!done)
		read_cache_store(cache, revision, instant, text, size, etag);
}

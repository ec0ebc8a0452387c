/* Owns the buckets.
 *
 * A bucket is one number, the time at which it will be full again (the "theoretical arrival time" of ITU-T I.371's
 * generic cell rate algorithm): taking one moves it on by what one costs, and it may not lie further ahead than what a
 * whole bucket costs. One that lies in the past is full, which needs no memory: its place is free. Places are in sets
 * of a few, each with a lock that is held for a few comparisons. */
#include "api/http/limiter.h"

#include "base/mem.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#define SETS 1024
#define WAYS 8

struct bucket {
	uint64_t key;
	int64_t full_at_us;
};

struct set {
	pthread_mutex_t lock;
	struct bucket buckets[WAYS];
};

struct limiter {
	unsigned char key[crypto_shorthash_KEYBYTES]; /* which set is whose is not for others to choose */
	struct set sets[SETS];
};

struct limiter *limiter_new(void)
{
	struct limiter *limiter = mem_calloc(1, sizeof *limiter);
	randombytes_buf(limiter->key, sizeof limiter->key);
	for (size_t i = 0; i < SETS; i++)
		pthread_mutex_init(&limiter->sets[i].lock, NULL);
	return limiter;
}

void limiter_free(struct limiter *limiter)
{
	for (size_t i = 0; limiter != NULL && i < SETS; i++)
		pthread_mutex_destroy(&limiter->sets[i].lock);
	free(limiter);
}

/* The key's bucket, else the one that is full, or nearest to it. */
static struct bucket *find(struct set *set, uint64_t key)
{
	struct bucket *found = &set->buckets[0];
	for (size_t i = 0; i < WAYS; i++) {
		struct bucket *bucket = &set->buckets[i];
		if (bucket->key == key)
			return bucket;
		if (bucket->full_at_us < found->full_at_us)
			found = bucket;
	}
	*found = (struct bucket){.key = key};
	return found;
}

static bool take(struct bucket *bucket, int64_t cost_us, int64_t whole_us, int64_t now_us, int64_t *ret_wait_ms)
{
	int64_t full_at_us = bucket->full_at_us > now_us ? bucket->full_at_us : now_us;
	int64_t over_us = full_at_us + cost_us - now_us - whole_us;
	if (over_us > 0) {
		*ret_wait_ms = (over_us + 999) / 1000;
		return false;
	}
	bucket->full_at_us = full_at_us + cost_us;
	return true;
}

bool limiter_take(struct limiter *limiter, enum limiter_kind kind, uint64_t number, int64_t most, int64_t per_ms,
		  int64_t now_ms, int64_t *ret_wait_ms)
{
	const uint64_t input[2] = {(uint64_t)kind, number};
	uint64_t key = 0;
	crypto_shorthash((unsigned char *)&key, (const unsigned char *)input, sizeof input, limiter->key);
	int64_t whole_us = per_ms * 1000;
	int64_t cost_us = whole_us / most > 0 ? whole_us / most : 1;
	struct set *set = &limiter->sets[key % SETS];
	pthread_mutex_lock(&set->lock);
	bool taken = take(find(set, key), cost_us, whole_us, now_ms * 1000, ret_wait_ms);
	pthread_mutex_unlock(&set->lock);
	return taken;
}

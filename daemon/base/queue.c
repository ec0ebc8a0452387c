#include "base/queue.h"

#include "base/clock.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>

struct queue {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool closed;
	size_t capacity;
	size_t head;
	size_t length;
	void **items;
};

struct queue *queue_new(size_t capacity)
{
	struct queue *q = mem_calloc(1, sizeof *q);
	q->capacity = capacity;
	q->items = mem_calloc(capacity, sizeof *q->items);
	pthread_mutex_init(&q->mutex, NULL);
	clock_cond_init(&q->changed);
	return q;
}

void queue_free(struct queue *q)
{
	if (q == NULL)
		return;
	pthread_cond_destroy(&q->changed);
	pthread_mutex_destroy(&q->mutex);
	free(q->items);
	free(q);
}

bool queue_push(struct queue *q, void *item)
{
	pthread_mutex_lock(&q->mutex);
	bool room = !q->closed && q->length < q->capacity;
	if (room) {
		q->items[(q->head + q->length) % q->capacity] = item;
		q->length++;
		pthread_cond_signal(&q->changed);
	}
	pthread_mutex_unlock(&q->mutex);
	return room;
}

void *queue_pop(struct queue *q, int64_t timeout_ms)
{
	struct timespec deadline = clock_cond_deadline(timeout_ms < 0 ? 0 : timeout_ms);
	void *item = NULL;
	pthread_mutex_lock(&q->mutex);
	int waited = 0;
	while (q->length == 0 && !q->closed && waited == 0) {
		if (timeout_ms < 0)
			pthread_cond_wait(&q->changed, &q->mutex);
		else
			waited = pthread_cond_timedwait(&q->changed, &q->mutex, &deadline);
	}
	if (q->length > 0) {
		item = q->items[q->head];
		q->head = (q->head + 1) % q->capacity;
		q->length--;
	}
	pthread_mutex_unlock(&q->mutex);
	return item;
}

void queue_close(struct queue *q)
{
	pthread_mutex_lock(&q->mutex);
	q->closed = true;
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->mutex);
}

bool queue_is_closed(struct queue *q)
{
	pthread_mutex_lock(&q->mutex);
	bool closed = q->closed;
	pthread_mutex_unlock(&q->mutex);
	return closed;
}

size_t queue_length(struct queue *q)
{
	pthread_mutex_lock(&q->mutex);
	size_t length = q->length;
	pthread_mutex_unlock(&q->mutex);
	return length;
}

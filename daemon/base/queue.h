/* A bounded queue of pointers between threads. Full is an answer (BUSY), not a wait. */
#ifndef NEL_BASE_QUEUE_H
#define NEL_BASE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue;

struct queue *queue_new(size_t capacity);
void queue_free(struct queue *q); /* must be empty; accepts NULL */

/* False when the queue is full or closed; then the item stays the caller's. */
bool queue_push(struct queue *q, void *item);

/* The oldest item, waiting up to timeout_ms (negative: for ever); NULL on time-out, or when closed and empty. */
void *queue_pop(struct queue *q, int64_t timeout_ms);

/* No more pushes; waiting pops return. What is in it can still be popped. */
void queue_close(struct queue *q);
bool queue_is_closed(struct queue *q);
size_t queue_length(struct queue *q);

#endif

/* Owns the waiters: who waits, who holds them, and the only calls that suspend and resume connections. */
#include "api/http/wait_room.h"

#include "base/mem.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* The lock guards the list and every waiter's connection, answered and holders. It is taken before libmicrohttpd's own
 * locks (by MHD_resume_connection), never within one of its callbacks that hold them. */
struct wait_room {
	pthread_mutex_t lock;
	struct waiter *first; /* those that wait */
	bool closed;
	int holders; /* the server and every waiter */
};

struct waiter {
	struct wait_room *room;
	struct waiter *next;
	struct waiter *previous;
	struct MHD_Connection *connection; /* NULL once it is resumed */
	bool answered;
	int holders;
	struct wait_answer answer;
};

struct wait_room *wait_room_new(void)
{
	struct wait_room *room = mem_calloc(1, sizeof *room);
	pthread_mutex_init(&room->lock, NULL);
	room->holders = 1;
	return room;
}

/* With the lock held, which it gives back. */
static void let_go_of_room(struct wait_room *room)
{
	bool last = --room->holders == 0;
	pthread_mutex_unlock(&room->lock);
	if (last) {
		pthread_mutex_destroy(&room->lock);
		free(room);
	}
}

void wait_room_release(struct wait_room *room)
{
	if (room == NULL)
		return;
	pthread_mutex_lock(&room->lock);
	let_go_of_room(room);
}

/* With the lock held. */
static void unlink_waiter(struct waiter *waiter)
{
	if (waiter->previous != NULL)
		waiter->previous->next = waiter->next;
	else
		waiter->room->first = waiter->next;
	if (waiter->next != NULL)
		waiter->next->previous = waiter->previous;
	waiter->next = NULL;
	waiter->previous = NULL;
}

/* With the lock held: the answer is complete. */
static void wake(struct waiter *waiter)
{
	unlink_waiter(waiter);
	struct MHD_Connection *connection = waiter->connection;
	waiter->connection = NULL;
	waiter->answered = true;
	MHD_resume_connection(connection);
}

void wait_room_close(struct wait_room *room)
{
	pthread_mutex_lock(&room->lock);
	room->closed = true;
	while (room->first != NULL) {
		struct waiter *waiter = room->first;
		waiter->answer.failed = true;
		err_set(&waiter->answer.err, NEL_BUSY, "the daemon is stopping");
		wake(waiter);
	}
	pthread_mutex_unlock(&room->lock);
}

bool wait_room_is_closed(struct wait_room *room)
{
	pthread_mutex_lock(&room->lock);
	bool closed = room->closed;
	pthread_mutex_unlock(&room->lock);
	return closed;
}

int waiter_new(struct wait_room *room, struct MHD_Connection *connection, struct waiter **ret_waiter,
	       struct nel_err *err)
{
	pthread_mutex_lock(&room->lock);
	if (room->closed) {
		pthread_mutex_unlock(&room->lock);
		return err_set(err, NEL_BUSY, "the daemon is stopping");
	}
	struct waiter *waiter = mem_calloc(1, sizeof *waiter);
	*waiter = (struct waiter){.room = room, .connection = connection, .holders = 2, .next = room->first};
	if (room->first != NULL)
		room->first->previous = waiter;
	room->first = waiter;
	room->holders++;
	MHD_suspend_connection(connection);
	pthread_mutex_unlock(&room->lock);
	*ret_waiter = waiter;
	return 0;
}

static void free_entries(struct remote_entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(entries[i].path);
	free(entries);
}

/* With the lock held, which it gives back. */
static void let_go_of_waiter(struct waiter *waiter)
{
	struct wait_room *room = waiter->room;
	if (--waiter->holders == 0) {
		free_entries(waiter->answer.entries, waiter->answer.count);
		free(waiter->answer.data);
		free(waiter);
		let_go_of_room(room);
	} else {
		pthread_mutex_unlock(&room->lock);
	}
}

void waiter_refused(struct waiter *waiter, const struct nel_err *err)
{
	pthread_mutex_lock(&waiter->room->lock);
	if (!waiter->answered) {
		waiter->answer.failed = true;
		waiter->answer.err = *err;
		wake(waiter);
	}
	let_go_of_waiter(waiter);
}

static void copy_answer(const struct remote_answer *from, struct wait_answer *to)
{
	to->failed = from->err != NULL;
	if (to->failed) {
		to->err = *from->err;
		return;
	}
	to->truncated = from->truncated;
	to->offset = from->offset;
	to->file_size = from->file_size;
	to->modified_at = from->modified_at;
	if (from->version != NULL)
		snprintf(to->version, sizeof to->version, "%s", from->version);
	if (from->entries != NULL && from->count > 0) {
		to->entries = mem_calloc(from->count, sizeof *to->entries);
		to->count = from->count;
		for (size_t i = 0; i < from->count; i++) {
			to->entries[i] = from->entries[i];
			to->entries[i].path = mem_strdup(from->entries[i].path);
		}
	}
	if (from->data != NULL && from->size > 0) {
		to->data = mem_dup(from->data, from->size);
		to->size = from->size;
	}
}

void wait_callback(const struct remote_answer *answer, void *arg)
{
	struct waiter *waiter = arg;
	struct wait_answer copy = {0};
	copy_answer(answer, &copy);
	pthread_mutex_lock(&waiter->room->lock);
	if (!waiter->answered) {
		waiter->answer = copy;
		copy = (struct wait_answer){0};
		wake(waiter);
	}
	let_go_of_waiter(waiter);
	free_entries(copy.entries, copy.count);
	free(copy.data);
}

const struct wait_answer *waiter_answer(struct waiter *waiter)
{
	pthread_mutex_lock(&waiter->room->lock);
	bool answered = waiter->answered;
	pthread_mutex_unlock(&waiter->room->lock);
	return answered ? &waiter->answer : NULL;
}

void waiter_release(struct waiter *waiter)
{
	if (waiter == NULL)
		return;
	pthread_mutex_lock(&waiter->room->lock);
	let_go_of_waiter(waiter);
}

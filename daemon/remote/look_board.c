#include "remote/look_board.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"

#include <pthread.h>
#include <string.h>
#include <uthash.h>

/* An identity on a cluster. Kept: there are as many as the daemon has ever observed, or left a look for. */
struct place {
	char *name;
	int64_t observed_ms;        /* when the last observation began; 0: there was none yet */
	struct waiting_look *first; /* the next one to go */
	UT_hash_handle hh;
};

struct look_board {
	pthread_mutex_t lock;
	struct place *places; /* uthash, by name */
};

struct look_board *look_board_new(void)
{
	struct look_board *board = mem_calloc(1, sizeof *board);
	pthread_mutex_init(&board->lock, NULL);
	return board;
}

void look_board_free(struct look_board *board)
{
	if (board == NULL)
		return;
	struct place *place = NULL;
	struct place *next = NULL;
	HASH_ITER(hh, board->places, place, next) {
		HASH_DEL(board->places, place);
		free(place->name);
		free(place);
	}
	pthread_mutex_destroy(&board->lock);
	free(board);
}

static struct place *find_place(struct look_board *board, const char *cluster, const char *identity)
{
	CLEANUP(mem_freep) char *name = mem_printf("%s\n%s", cluster, identity);
	struct place *place = NULL;
	HASH_FIND_STR(board->places, name, place);
	if (place != NULL)
		return place;
	place = mem_calloc(1, sizeof *place);
	place->name = name;
	name = NULL;
	HASH_ADD_KEYPTR(hh, board->places, place->name, strlen(place->name), place);
	return place;
}

bool look_board_leave(struct look_board *board, const char *cluster, const char *identity, struct waiting_look *waiting,
		      int64_t recent_ms)
{
	pthread_mutex_lock(&board->lock);
	struct place *place = find_place(board, cluster, identity);
	bool recent = place->observed_ms != 0 && place->observed_ms + recent_ms > clock_mono_ms();
	if (recent) {
		struct waiting_look **at = &place->first;
		while (*at != NULL)
			at = &(*at)->next;
		waiting->recent_ms = recent_ms;
		waiting->next = NULL;
		*at = waiting;
	}
	pthread_mutex_unlock(&board->lock);
	return recent;
}

static int64_t due_ms(const struct place *place)
{
	return place->first != NULL ? place->observed_ms + place->first->recent_ms : INT64_MAX;
}

static struct waiting_look *take_first(struct place *place)
{
	struct waiting_look *waiting = place->first;
	if (waiting != NULL)
		place->first = waiting->next;
	return waiting;
}

struct waiting_look *look_board_overdue(struct look_board *board, int64_t now_ms)
{
	struct waiting_look *waiting = NULL;
	pthread_mutex_lock(&board->lock);
	for (struct place *place = board->places; place != NULL && waiting == NULL; place = place->hh.next)
		if (due_ms(place) <= now_ms)
			waiting = take_first(place);
	pthread_mutex_unlock(&board->lock);
	return waiting;
}

struct waiting_look *look_board_withdraw(struct look_board *board, const char *cluster, const char *identity)
{
	pthread_mutex_lock(&board->lock);
	struct waiting_look *waiting = take_first(find_place(board, cluster, identity));
	pthread_mutex_unlock(&board->lock);
	return waiting;
}

int64_t look_board_due_ms(struct look_board *board)
{
	int64_t first_ms = INT64_MAX;
	pthread_mutex_lock(&board->lock);
	for (const struct place *place = board->places; place != NULL; place = place->hh.next)
		if (due_ms(place) < first_ms)
			first_ms = due_ms(place);
	pthread_mutex_unlock(&board->lock);
	return first_ms;
}

struct waiting_look *look_board_take(struct look_board *board, const char *cluster, const char *identity)
{
	pthread_mutex_lock(&board->lock);
	struct place *place = find_place(board, cluster, identity);
	place->observed_ms = clock_mono_ms();
	struct waiting_look *waiting = take_first(place);
	pthread_mutex_unlock(&board->lock);
	if (waiting != NULL)
		waiting->taken_s = clock_now_s();
	return waiting;
}

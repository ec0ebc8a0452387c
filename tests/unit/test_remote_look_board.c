/* Looks that wait for an observation: taken along once, by the one of their identity on their cluster, or given back.
 */
#include "remote/look_board.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#define MINUTE_MS 60000
#define ROUNDS 20000

static void test_look_is_left_only_where_an_observation_was_lately(void **state)
{
	(void)state;
	struct look_board *board = look_board_new();
	struct waiting_look look = {0};
	assert_false(look_board_leave(board, "a", "i", &look, MINUTE_MS));
	assert_null(look_board_take(board, "a", "i"));
	assert_false(look_board_leave(board, "a", "other", &look, MINUTE_MS));
	assert_false(look_board_leave(board, "b", "i", &look, MINUTE_MS));
	assert_false(look_board_leave(board, "a", "i", &look, 0)); /* that was longer ago */
	assert_true(look_board_leave(board, "a", "i", &look, MINUTE_MS));
	assert_null(look_board_take(board, "b", "i"));
	assert_int_equal(look.taken_s, 0);
	assert_ptr_equal(look_board_take(board, "a", "i"), &look);
	assert_true(look.taken_s > 0);
	assert_null(look_board_take(board, "a", "i"));
	look_board_free(board);
}

static void test_looks_go_in_their_order_one_an_observation(void **state)
{
	(void)state;
	struct look_board *board = look_board_new();
	struct waiting_look looks[3] = {0};
	look_board_take(board, "a", "i");
	for (int i = 0; i < 3; i++)
		assert_true(look_board_leave(board, "a", "i", &looks[i], MINUTE_MS));
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(look_board_take(board, "a", "i"), &looks[i]);
	look_board_free(board);
}

static void test_look_that_no_observation_took_is_given_back(void **state)
{
	(void)state;
	struct look_board *board = look_board_new();
	struct waiting_look looks[3] = {0};
	assert_true(look_board_due_ms(board) == INT64_MAX);
	assert_null(look_board_overdue(board, INT64_MAX));
	look_board_take(board, "a", "i");
	look_board_take(board, "b", "i");
	assert_true(look_board_leave(board, "a", "i", &looks[0], 2 * MINUTE_MS));
	assert_true(look_board_leave(board, "b", "i", &looks[1], MINUTE_MS));
	assert_true(look_board_leave(board, "b", "i", &looks[2], MINUTE_MS));
	int64_t due_ms = look_board_due_ms(board);
	assert_null(look_board_overdue(board, due_ms - 1));
	assert_ptr_equal(look_board_overdue(board, due_ms), &looks[1]);
	assert_ptr_equal(look_board_overdue(board, due_ms), &looks[2]);
	assert_null(look_board_overdue(board, due_ms));
	assert_true(look_board_due_ms(board) >= due_ms + MINUTE_MS - 1000);
	assert_ptr_equal(look_board_overdue(board, INT64_MAX), &looks[0]);
	assert_true(look_board_leave(board, "a", "i", &looks[0], MINUTE_MS));
	assert_null(look_board_withdraw(board, "b", "i"));
	assert_ptr_equal(look_board_withdraw(board, "a", "i"), &looks[0]);
	assert_null(look_board_withdraw(board, "a", "i"));
	look_board_free(board);
}

struct race {
	struct look_board *board;
	atomic_int taken;
	atomic_bool over;
};

static void *observe(void *arg)
{
	struct race *race = arg;
	while (!atomic_load(&race->over))
		if (look_board_take(race->board, "a", "i") != NULL)
			atomic_fetch_add(&race->taken, 1);
	return NULL;
}

static void test_look_is_taken_or_given_back_never_both(void **state)
{
	(void)state;
	struct race race = {.board = look_board_new()};
	struct waiting_look look = {0};
	pthread_t thread;
	int back = 0;
	look_board_take(race.board, "a", "i");
	assert_int_equal(pthread_create(&thread, NULL, observe, &race), 0);
	for (int i = 0; i < ROUNDS; i++) {
		assert_true(look_board_leave(race.board, "a", "i", &look, MINUTE_MS));
		back += look_board_overdue(race.board, INT64_MAX) != NULL;
		while (atomic_load(&race.taken) + back < i + 1)
			;
	}
	atomic_store(&race.over, true);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&race.taken) + back, ROUNDS);
	look_board_free(race.board);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_look_is_left_only_where_an_observation_was_lately),
	    cmocka_unit_test(test_looks_go_in_their_order_one_an_observation),
	    cmocka_unit_test(test_look_that_no_observation_took_is_given_back),
	    cmocka_unit_test(test_look_is_taken_or_given_back_never_both),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

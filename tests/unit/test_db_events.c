/* The log of events: filters, places, pruning, and that it never grows behind a reader's back. */
#include "cmocka_all.h"
#include "db_fixture.h"

#include "base/str.h"
#include "db/events.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#define A "000000000000000a"
#define B "000000000000000b"

static void add(struct fixture *f, int64_t at, const char *kind, const char *user, const char *evaluation,
		const char *job, const char *data)
{
	assert_ok(f, events_insert(f->db, at, kind, user, evaluation, job, data, &f->err));
}

static void fill(struct fixture *f)
{
	add(f, 1, "evaluation.submitted", "anna", A, NULL, "{\"to\":\"queued\",\"cluster\":\"alpha\"}");
	add(f, 2, "job.state", "anna", A, A ".0", "{\"to\":\"running\",\"cluster\":\"alpha\"}");
	add(f, 3, "evaluation.submitted", "bert", B, NULL, "{\"to\":\"queued\",\"cluster\":\"beta\"}");
	add(f, 4, "cluster.unreachable", NULL, NULL, NULL, "{\"cluster\":\"beta\"}");
	add(f, 5, "job.state", "anna", A, A ".1", "{\"to\":\"failed\",\"cluster\":\"alpha\"}");
}

/* The numbers as text, "2 5", and the place behind them. */
static void check_read(struct fixture *f, struct event_filter filter, int64_t after, int limit, const char *expected,
		       int64_t expected_settled)
{
	CLEANUP(event_list_done) struct event_list list = {0};
	struct str numbers = {0};
	int64_t settled = -1;
	assert_ok(f, events_read(f->db, &filter, after, limit, &list, &settled, &f->err));
	for (size_t i = 0; i < list.count; i++)
		str_appendf(&numbers, "%s%d", i > 0 ? " " : "", (int)list.items[i].seq);
	assert_string_equal(str_text(&numbers), expected);
	assert_int_equal(settled, expected_settled);
	str_done(&numbers);
}

static void test_events_read_filters(void **state)
{
	struct fixture *f = *state;
	fill(f);
	check_read(f, (struct event_filter){0}, 0, 100, "1 2 3 4 5", 5);
	check_read(f, (struct event_filter){0}, 3, 100, "4 5", 5);
	check_read(f, (struct event_filter){.evaluation = A}, 0, 100, "1 2 5", 5);
	check_read(f, (struct event_filter){.evaluation = A, .job = A ".1"}, 0, 100, "5", 5);
	check_read(f, (struct event_filter){.job = A ".0"}, 0, 100, "2", 5);
	check_read(f, (struct event_filter){.user = "bert"}, 0, 100, "3", 5);
	check_read(f, (struct event_filter){.user = "bert", .own = true}, 0, 100, "3 4", 5);
	check_read(f, (struct event_filter){.cluster = "beta"}, 0, 100, "3 4", 5);
	check_read(f, (struct event_filter){.state = "failed"}, 0, 100, "5", 5);
	check_read(f, (struct event_filter){.kinds = ",job.state,cluster.unreachable,"}, 0, 100, "2 4 5", 5);
	check_read(f, (struct event_filter){.kinds = ",job.stat,"}, 0, 100, "", 5);
	check_read(f, (struct event_filter){.user = "nobody"}, 0, 100, "", 5);
}

static void test_events_read_limit_settles_at_the_last_one_given(void **state)
{
	struct fixture *f = *state;
	fill(f);
	check_read(f, (struct event_filter){0}, 0, 2, "1 2", 2);
	check_read(f, (struct event_filter){.evaluation = A}, 0, 2, "1 2", 2);
	check_read(f, (struct event_filter){.evaluation = A}, 2, 2, "5", 5);
	check_read(f, (struct event_filter){0}, 5, 2, "", 5);
	check_read(f, (struct event_filter){0}, 9, 2, "", 9);
}

static void test_events_read_looks_at_so_many_at_most(void **state)
{
	struct fixture *f = *state;
	assert_ok(f, db_begin(f->db, &f->err));
	for (int i = 0; i < EVENTS_SCAN_MAX + 10; i++)
		add(f, 1, "job.state", i == EVENTS_SCAN_MAX + 5 ? "bert" : "anna", A, NULL, "{}");
	assert_ok(f, db_commit(f->db, &f->err));
	check_read(f, (struct event_filter){.user = "bert"}, 0, 10, "", EVENTS_SCAN_MAX);
	check_read(f, (struct event_filter){.user = "bert"}, EVENTS_SCAN_MAX, 10, "5006", EVENTS_SCAN_MAX + 10);
}

static void check_bounds(struct fixture *f, int64_t expected_first, int64_t expected_last)
{
	int64_t first = -1;
	int64_t last = -1;
	assert_ok(f, events_bounds(f->db, &first, &last, &f->err));
	assert_int_equal(first, expected_first);
	assert_int_equal(last, expected_last);
}

static void check_prune(struct fixture *f, int64_t before_s, int limit, int expected)
{
	int count = -1;
	assert_ok(f, events_prune(f->db, before_s, limit, &count, &f->err));
	assert_int_equal(count, expected);
}

static void test_events_prune_takes_the_beginning_only(void **state)
{
	struct fixture *f = *state;
	struct event_row row = {0};
	check_bounds(f, 1, 0);
	check_prune(f, 100, 10, 0);
	fill(f);
	add(f, 2, "job.state", "anna", A, NULL, "{}"); /* the clock was set back */
	check_bounds(f, 1, 6);
	check_prune(f, 1, 10, 0);
	check_prune(f, 5, 2, 2);
	check_bounds(f, 3, 6);
	check_prune(f, 5, 10, 2);
	check_prune(f, 5, 10, 0); /* 5 is young, and 6 behind it stays */
	check_bounds(f, 5, 6);
	check_read(f, (struct event_filter){0}, 1, 10, "5 6", 6);
	assert_refused(f, NEL_NOTFOUND, events_get(f->db, 4, &row, &f->err));
	assert_ok(f, events_get(f->db, 5, &row, &f->err));
	assert_string_equal(row.job, A ".1");
	event_row_done(&row);
	check_prune(f, 100, 10, 2);
	check_bounds(f, 7, 6);
	add(f, 200, "job.state", "anna", A, NULL, "{}");
	check_bounds(f, 7, 7);
}

static void check_reachable(struct fixture *f, const char *cluster, bool expected)
{
	bool reachable = !expected;
	assert_ok(f, events_cluster_reachable(f->db, cluster, &reachable, &f->err));
	assert_int_equal(reachable, expected);
}

static void test_events_cluster_reachable_says_the_last(void **state)
{
	struct fixture *f = *state;
	check_reachable(f, "beta", true);
	fill(f);
	check_reachable(f, "beta", false);
	check_reachable(f, "alpha", true);
	add(f, 9, "cluster.reachable", NULL, NULL, NULL, "{\"cluster\":\"beta\"}");
	check_reachable(f, "beta", true);
}

static bool rang(int fd)
{
	bool readable = poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) == 1;
	notifier_drain(fd);
	return readable;
}

static void test_events_notifier_notifies_after_the_commit_only(void **state)
{
	struct fixture *f = *state;
	int fd = -1;
	assert_ok(f, notifier_listen(events_notifier(), &fd, &f->err));
	assert_false(rang(fd));
	assert_ok(f, db_begin(f->db, &f->err));
	fill(f);
	assert_false(rang(fd));
	assert_ok(f, db_commit(f->db, &f->err));
	assert_true(rang(fd));
	assert_false(rang(fd));
	assert_ok(f, db_begin(f->db, &f->err));
	fill(f);
	db_rollback(f->db);
	assert_ok(f, db_begin(f->db, &f->err));
	assert_ok(f, db_commit(f->db, &f->err));
	assert_false(rang(fd));
	notifier_leave(events_notifier(), fd);
}

static void test_notifier_listeners_are_limited(void **state)
{
	struct fixture *f = *state;
	static struct notifier notifier = NOTIFIER_INITIALIZER;
	int fds[NOTIFIER_LISTENERS_MAX];
	int one_more = -1;
	for (size_t i = 0; i < NOTIFIER_LISTENERS_MAX; i++)
		assert_ok(f, notifier_listen(&notifier, &fds[i], &f->err));
	assert_refused(f, NEL_BUSY, notifier_listen(&notifier, &one_more, &f->err));
	notifier_leave(&notifier, fds[3]);
	assert_ok(f, notifier_listen(&notifier, &fds[3], &f->err));
	notifier_notify(&notifier);
	for (size_t i = 0; i < NOTIFIER_LISTENERS_MAX; i++) {
		assert_true(rang(fds[i]));
		notifier_leave(&notifier, fds[i]);
	}
	notifier_notify(&notifier);
}

#define WRITERS 4
#define ROUNDS 60

struct writing {
	const char *path;
	int number;
	atomic_int *running;
	struct nel_err err;
	bool failed;
};

/* Commits two events at a time, and rolls every third pair back. */
static void *write_many(void *arg)
{
	struct writing *w = arg;
	struct db *db = NULL;
	w->failed = db_open(w->path, &db, &w->err) != 0;
	for (int i = 0; i < ROUNDS && !w->failed; i++) {
		w->failed = db_begin(db, &w->err) != 0 ||
			    events_insert(db, i, "job.state", "anna", A, NULL, "{}", &w->err) != 0 ||
			    events_insert(db, i, "job.state", "bert", A, NULL, "{}", &w->err) != 0;
		if (i % 3 == w->number % 3)
			db_rollback(db);
		else if (!w->failed)
			w->failed = db_commit(db, &w->err) != 0;
	}
	db_close(db);
	atomic_fetch_sub(w->running, 1);
	return NULL;
}

/* Nothing that comes later has a smaller number, and no number is left out. */
static void test_events_read_beside_writers_shows_no_gap_that_is_filled_later(void **state)
{
	struct fixture *f = *state;
	struct writing writers[WRITERS] = {0};
	pthread_t threads[WRITERS];
	atomic_int running = WRITERS;
	int64_t seen = 0;
	for (int i = 0; i < WRITERS; i++) {
		writers[i] = (struct writing){.path = f->path, .number = i, .running = &running};
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
	}
	for (bool last = false; !last;) {
		CLEANUP(event_list_done) struct event_list list = {0};
		int64_t settled = 0;
		last = atomic_load(&running) == 0;
		assert_ok(f, events_read(f->db, &(struct event_filter){0}, seen, 1000, &list, &settled, &f->err));
		for (size_t i = 0; i < list.count; i++)
			assert_int_equal(list.items[i].seq, ++seen);
		assert_int_equal(settled, seen);
	}
	for (int i = 0; i < WRITERS; i++) {
		pthread_join(threads[i], NULL);
		if (writers[i].failed)
			fail_msg("%s", writers[i].err.msg);
	}
	assert_int_equal(seen, 2 * WRITERS * (ROUNDS - ROUNDS / 3));
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM events"), seen);
}

#define READY(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    READY(test_events_read_filters),
	    READY(test_events_read_limit_settles_at_the_last_one_given),
	    READY(test_events_read_looks_at_so_many_at_most),
	    READY(test_events_prune_takes_the_beginning_only),
	    READY(test_events_cluster_reachable_says_the_last),
	    READY(test_events_notifier_notifies_after_the_commit_only),
	    READY(test_notifier_listeners_are_limited),
	    READY(test_events_read_beside_writers_shows_no_gap_that_is_filled_later),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The reader's commands share one session of a real sshd: which of them a silence ends. */
#include "base/clock.h"
#include "base/mem.h"
#include "remote/readers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "real_sshd.h"

#define LIMIT_MS 60000
#define SILENCE_MS 5000

struct sample {
	struct reading reading; /* first */
	const char *command;
	atomic_long bytes;
	atomic_int ended;
	atomic_int kind, sys; /* of its end */
};

static size_t room(struct reading *reading)
{
	(void)reading;
	return 65536;
}

static void output(struct reading *reading, const char *data, size_t size)
{
	(void)data;
	atomic_fetch_add(&((struct sample *)reading)->bytes, (long)size);
}

static int prepare(struct reading *reading, const char *const *environment, char ret_command[READER_COMMAND_SIZE],
		   char **ret_input, size_t *ret_size, struct nel_err *err)
{
	(void)environment;
	(void)err;
	snprintf(ret_command, READER_COMMAND_SIZE, "%s", ((struct sample *)reading)->command);
	*ret_input = mem_strdup("");
	*ret_size = 0;
	return 0;
}

static void end(struct reading *reading, const struct nel_err *err)
{
	struct sample *sample = (struct sample *)reading;
	atomic_store(&sample->kind, err != NULL ? (int)err->kind : NEL_OK);
	atomic_store(&sample->sys, err != NULL ? err->sys : 0);
	atomic_fetch_add(&sample->ended, 1);
}

static const struct reading_type transfer_type = {
    .room = room, .output = output, .prepare = prepare, .end = end, .silence_max_ms = SILENCE_MS};
static const struct reading_type follower_type = {
    .room = room, .output = output, .prepare = prepare, .end = end, .silence_max_ms = 2 * SILENCE_MS, .lasts = true};

static struct ssh_pool *get_pool(void *arg)
{
	return arg;
}

static struct ssh_pool *new_pool(void)
{
	struct sshd_paths paths;
	struct ssh_pool_options options = {
	    .target = sshd_target(&sshd, "user", &paths), .max_sessions = 1, .idle_timeout_ms = 60000};
	return ssh_pool_new(&options);
}

static void start(struct lane_reader *reader, struct sample *sample, const struct reading_type *type,
		  const char *command)
{
	struct nel_err err = {0};
	*sample = (struct sample){.command = command, .reading = {.type = type, .person = "ann"}};
	if (lane_reader_start(reader, &sample->reading, &err) != 0)
		fail_msg("%s", err.msg);
}

static void await(const atomic_int *flag)
{
	int64_t until_ms = clock_mono_ms() + LIMIT_MS;
	while (atomic_load(flag) == 0) {
		assert_true(clock_mono_ms() < until_ms);
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
}

static void await_more(const atomic_long *bytes, long than)
{
	int64_t until_ms = clock_mono_ms() + LIMIT_MS;
	while (atomic_load(bytes) <= than) {
		assert_true(clock_mono_ms() < until_ms);
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
}

static void test_silent_transfer_ends_alone_while_others_are_heard(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct ssh_pool *pool = new_pool();
	struct lane_reader *reader = lane_reader_new(get_pool, pool);
	struct sample follower, hung, healthy;
	start(reader, &follower, &follower_type, "while echo alive; do sleep 0.2; done");
	start(reader, &hung, &transfer_type, "echo begun; exec sleep 60");
	await(&hung.ended);
	assert_int_equal(atomic_load(&hung.kind), NEL_REMOTE);
	assert_int_equal(atomic_load(&hung.sys), ETIMEDOUT);
	assert_int_equal(atomic_load(&hung.bytes), 6);
	await_more(&follower.bytes, atomic_load(&follower.bytes) + 30); /* it goes on */
	assert_int_equal(atomic_load(&follower.ended), 0);
	start(reader, &healthy, &transfer_type, "head -c 100000 /dev/zero");
	await(&healthy.ended);
	assert_int_equal(atomic_load(&healthy.kind), NEL_OK);
	assert_int_equal(atomic_load(&healthy.bytes), 100000);
	assert_int_equal(atomic_load(&follower.ended), 0);
	lane_reader_free(reader);
	assert_int_equal(atomic_load(&follower.ended), 1);
	assert_int_equal(atomic_load(&follower.kind), NEL_BUSY);
	ssh_pool_free(pool);
}

/* Nothing tells this from a connection that died: all end, and what comes then has a session that works. */
static void test_silence_of_all_ends_the_session(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct ssh_pool *pool = new_pool();
	struct lane_reader *reader = lane_reader_new(get_pool, pool);
	struct sample follower, hung, healthy;
	start(reader, &follower, &follower_type, "exec sleep 60");
	start(reader, &hung, &transfer_type, "exec sleep 60");
	await(&hung.ended);
	await(&follower.ended);
	assert_int_equal(atomic_load(&hung.sys), ETIMEDOUT);
	assert_int_equal(atomic_load(&follower.sys), ETIMEDOUT);
	start(reader, &healthy, &transfer_type, "echo well");
	await(&healthy.ended);
	assert_int_equal(atomic_load(&healthy.kind), NEL_OK);
	assert_int_equal(atomic_load(&healthy.bytes), 5);
	lane_reader_free(reader);
	ssh_pool_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_silent_transfer_ends_alone_while_others_are_heard),
	    cmocka_unit_test(test_silence_of_all_ends_the_session),
	};
	return cmocka_run_group_tests(tests, sshd_group_setup_four_sessions, sshd_group_teardown);
}

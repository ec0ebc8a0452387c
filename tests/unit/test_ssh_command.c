/* Commands that share one session of a real sshd: side by side, with back-pressure, and ended early. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "ssh/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "real_sshd.h"

#define LIMIT_MS 60000
#define MAX_SESSIONS 4

static struct ssh_session *open_session(void)
{
	static struct sshd_paths paths; /* the session borrows them */
	const struct ssh_target target = sshd_target(&sshd, "user", &paths);
	struct ssh_session *session = NULL;
	struct nel_err err = {0};
	if (ssh_session_open(&target, &session, &err) != 0)
		fail_msg("%s", err.msg);
	return session;
}

static struct ssh_command *start(struct ssh_session *session, const char *line, const char *input)
{
	struct ssh_command *command = NULL;
	struct nel_err err = {0};
	if (ssh_command_start(session, line, input, strlen(input), &command, &err) != 0)
		fail_msg("%s", err.msg);
	return command;
}

static void wait_once(struct ssh_session *session)
{
	struct nel_err err = {0};
	if (ssh_session_wait(session, true, -1, 100, &err) != 0)
		fail_msg("%s", err.msg);
}

/* Reads until the output is `size` bytes long or has ended; true when it has ended. */
static bool read_until(struct ssh_session *session, struct ssh_command *command, size_t size, struct str *output)
{
	int64_t until_ms = clock_mono_ms() + LIMIT_MS;
	while (output->len < size && clock_mono_ms() < until_ms) {
		char buffer[65536];
		size_t got = 0;
		bool ended = false;
		struct nel_err err = {0};
		if (ssh_command_read(command, buffer, sizeof buffer, &got, &ended, &err) != 0)
			fail_msg("%s", err.msg);
		str_append_n(output, buffer, got);
		if (ended)
			return true;
		if (got == 0)
			wait_once(session);
	}
	return false;
}

static void close_command(struct ssh_session *session, struct ssh_command *command)
{
	int64_t until_ms = clock_mono_ms() + LIMIT_MS;
	while (!ssh_command_close(command)) {
		assert_true(clock_mono_ms() < until_ms);
		wait_once(session);
	}
}

static void test_commands_run_side_by_side(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct ssh_session *session = open_session();
	CLEANUP(str_done) struct str echo = {0}, count = {0}, more = {0};
	struct ssh_command *cat = start(session, "exec cat", "one\n");
	struct ssh_command *seq = start(session, "seq 1 200000; echo noise >&2", "");
	assert_true(read_until(session, seq, SIZE_MAX, &count));
	assert_int_equal(count.len, 1288895);
	assert_false(read_until(session, cat, 4, &echo));
	assert_string_equal(str_text(&echo), "one\n");
	ssh_command_write(cat, "two\n", 4);
	assert_false(read_until(session, cat, 4, &more));
	assert_string_equal(str_text(&more), "two\n");
	close_command(session, seq);
	close_command(session, cat);
	ssh_session_close(session);
}

/* A command whose output nobody takes holds its own channel only; what was written stays in order. */
static void test_command_not_read_waits(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct ssh_session *session = open_session();
	CLEANUP(str_done) struct str output = {0}, big = {0};
	struct ssh_command *slow = start(session, "head -c 20000000 /dev/zero; echo end", "");
	struct ssh_command *quick = start(session, "echo quick", "");
	assert_true(read_until(session, quick, SIZE_MAX, &output));
	assert_string_equal(str_text(&output), "quick\n");
	assert_true(read_until(session, slow, SIZE_MAX, &big));
	assert_int_equal(big.len, 20000004);
	assert_memory_equal(big.data + 20000000, "end\n", 4);
	close_command(session, slow);
	close_command(session, quick);
	ssh_session_close(session);
}

static void test_close_ends_a_command_that_reads(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct ssh_session *session = open_session();
	CLEANUP(str_done) struct str pid = {0}, gone = {0};
	struct ssh_command *reader = start(session, "echo $$; exec cat >/dev/null", "");
	read_until(session, reader, 2, &pid);
	close_command(session, reader);
	CLEANUP(mem_freep)
	char *line =
	    mem_printf("for i in $(seq 600); do kill -0 %d 2>/dev/null || { echo gone; exit; }; sleep 0.1; done",
		       (int)strtol(str_text(&pid), NULL, 10));
	struct ssh_command *look = start(session, line, "");
	read_until(session, look, 5, &gone);
	assert_string_equal(str_text(&gone), "gone\n");
	close_command(session, look);
	ssh_session_close(session);
}

static void test_start_beyond_max_sessions_is_busy_and_the_others_go_on(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct ssh_session *session = open_session();
	struct ssh_command *commands[MAX_SESSIONS];
	for (size_t i = 0; i < MAX_SESSIONS; i++)
		commands[i] = start(session, "exec cat", "x\n");
	struct ssh_command *further = NULL;
	struct nel_err err = {0};
	assert_int_equal(ssh_command_start(session, "true", "", 0, &further, &err), -1);
	assert_int_equal(err.kind, NEL_BUSY);
	for (size_t i = 0; i < MAX_SESSIONS; i++) {
		CLEANUP(str_done) struct str output = {0};
		read_until(session, commands[i], 2, &output);
		assert_string_equal(str_text(&output), "x\n");
	}
	for (size_t i = 0; i < MAX_SESSIONS; i++)
		ssh_command_abandon(commands[i]);
	ssh_session_close(session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_commands_run_side_by_side),
	    cmocka_unit_test(test_command_not_read_waits),
	    cmocka_unit_test(test_close_ends_a_command_that_reads),
	    cmocka_unit_test(test_start_beyond_max_sessions_is_busy_and_the_others_go_on),
	};
	return cmocka_run_group_tests(tests, sshd_group_setup_four_sessions, sshd_group_teardown);
}

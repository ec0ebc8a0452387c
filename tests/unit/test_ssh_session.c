/* Sessions against a real sshd: commands, their input and output, host keys, logins, proxy commands, the end. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "ssh/session.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "real_sshd.h"

DEFINE_FREEP(struct ssh_session, session, ssh_session_close)

static struct ssh_session *open_with(const char *key, const char *proxy_command)
{
	/* Borrowed for the session's life, which ends within a test. */
	static struct sshd_paths paths;
	struct ssh_target target = sshd_target(&sshd, key, &paths);
	target.proxy_command = proxy_command;
	struct ssh_session *s = NULL;
	struct nel_err err = {0};
	if (ssh_session_open(&target, &s, &err) != 0)
		fail_msg("open: %s", err.msg);
	return s;
}

static struct ssh_session *open_default(void)
{
	return open_with("user", NULL);
}

/* Opening must fail so. */
static void assert_refused(const struct ssh_target *target, enum nel_err_kind kind, const char *part)
{
	struct ssh_session *s = NULL;
	struct nel_err err = {0};
	assert_int_equal(ssh_session_open(target, &s, &err), -1);
	assert_null(s);
	if (err.kind != kind || strstr(err.msg, part) == NULL)
		fail_msg("%s: %s", err_kind_name(err.kind), err.msg);
}

static struct ssh_exec command(const char *text)
{
	return (struct ssh_exec){.command = text, .output_max = 1 << 24, .timeout_ms = 30000};
}

static void assert_output(struct ssh_session *s, const char *text, const char *output)
{
	struct ssh_exec exec = command(text);
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	struct nel_err err = {0};
	bool sent = false;
	if (ssh_session_exec(s, &exec, &result, &sent, &err) != 0)
		fail_msg("%s: %s", text, err.msg);
	assert_true(sent);
	assert_string_equal(result.output, output);
	assert_int_equal(result.exit_status, 0);
}

static void test_exec_commands_output_errors_status(void **state)
{
	(void)state;
	NEEDS_SSHD();
	static const struct {
		const char *command, *input, *output, *errors;
		int status;
	} cases[] = {
	    {"echo hello", NULL, "hello\n", "", 0},
	    {"echo oops >&2; exit 3", NULL, "", "oops\n", 3},
	    {"printf a; printf b >&2; printf c", NULL, "ac", "b", 0},
	    {"exit 255", NULL, "", "", 255},
	    {"true", NULL, "", "", 0},
	    {"tr a-z A-Z", "shout", "SHOUT", "", 0},
	    {"wc -c", "", "0\n", "", 0},
	    {"cat", NULL, "", "", 0},
	    {"kill -TERM $$", NULL, "", "", -1},
	    {"exec 1>&- 2>&-; sleep 0.2; exit 7", NULL, "", "", 7},
	    {"exec 1>&- 2>&-; test \"$(cat)\" = late && exit 8", "late", "", "", 8},
	};
	CLEANUP(session_freep) struct ssh_session *s = open_default();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ssh_exec exec = command(cases[i].command);
		exec.input = cases[i].input;
		exec.input_size = cases[i].input == NULL ? 0 : strlen(cases[i].input);
		CLEANUP(ssh_result_done) struct ssh_result result = {0};
		struct nel_err err = {0};
		bool sent = false;
		if (ssh_session_exec(s, &exec, &result, &sent, &err) != 0)
			fail_msg("%s: %s", cases[i].command, err.msg);
		assert_true(sent);
		assert_string_equal(result.output, cases[i].output);
		assert_string_equal(result.errors, cases[i].errors);
		assert_int_equal(result.output_size, strlen(cases[i].output));
		if (result.exit_status != cases[i].status)
			fail_msg("%s: %d", cases[i].command, result.exit_status);
	}
}

/* 8 MiB each way at once, and as much that is thrown away. */
static void assert_echoes(struct ssh_session *s)
{
	size_t size = 8u << 20;
	CLEANUP(mem_freep) unsigned char *data = mem_calloc(size, 1);
	for (size_t i = 0; i < size; i++)
		data[i] = (unsigned char)((i * 2654435761u) >> 13);
	struct ssh_exec exec = command("tee /dev/stderr");
	exec.input = data;
	exec.input_size = size;
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	struct nel_err err = {0};
	bool sent = false;
	if (ssh_session_exec(s, &exec, &result, &sent, &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(result.output_size, size);
	assert_memory_equal(result.output, data, size);
	assert_int_equal(result.errors_size, 16384);
	assert_memory_equal(result.errors, data, 16384);
	assert_output(s, "echo still", "still\n");
}

static void test_exec_large_input_comes_back(void **state)
{
	(void)state;
	NEEDS_SSHD();
	CLEANUP(session_freep) struct ssh_session *s = open_default();
	assert_echoes(s);
}

static void test_exec_large_input_with_key_exchanges_comes_back(void **state)
{
	(void)state;
	NEEDS_SSHD();
	sshd_stop(&sshd);
	sshd_write_config(&sshd, "RekeyLimit 1M");
	assert_int_equal(sshd_start(&sshd), 0);
	__lsan_disable();
	struct ssh_session *s = open_default();
	assert_echoes(s);
	ssh_session_close(s);
	__lsan_enable();
	sshd_stop(&sshd);
	sshd_write_config(&sshd, "");
	assert_int_equal(sshd_start(&sshd), 0);
}

static void test_exec_input_not_read_ends_with_status(void **state)
{
	(void)state;
	NEEDS_SSHD();
	size_t size = 8u << 20;
	CLEANUP(mem_freep) char *data = mem_calloc(size, 1);
	CLEANUP(session_freep) struct ssh_session *s = open_default();
	struct ssh_exec exec = command("head -c 3 | wc -c; exit 4");
	exec.input = data;
	exec.input_size = size;
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	struct nel_err err = {0};
	bool sent = false;
	if (ssh_session_exec(s, &exec, &result, &sent, &err) != 0)
		fail_msg("%s", err.msg);
	assert_string_equal(result.output, "3\n");
	assert_int_equal(result.exit_status, 4);
	assert_output(s, "echo still", "still\n");
}

static void test_exec_too_much_output_fails(void **state)
{
	(void)state;
	NEEDS_SSHD();
	CLEANUP(session_freep) struct ssh_session *s = open_default();
	struct ssh_exec exec = command("yes");
	exec.output_max = 100000;
	struct ssh_result result = {0};
	struct nel_err err = {0};
	bool sent = false;
	assert_int_equal(ssh_session_exec(s, &exec, &result, &sent, &err), -1);
	assert_true(sent);
	assert_int_equal(err.kind, NEL_REMOTE);
	assert_non_null(strstr(err.msg, "more than 100000 bytes"));
	assert_null(result.output);
}

static int collect(const char *data, size_t size, void *arg)
{
	struct str *all = arg;
	str_append_n(all, data, size);
	return strchr(str_text(all), '!') != NULL;
}

static void test_exec_reader_gets_output_and_ends_it(void **state)
{
	(void)state;
	NEEDS_SSHD();
	CLEANUP(session_freep) struct ssh_session *s = open_default();
	CLEANUP(str_done) struct str all = {0};
	struct ssh_exec exec = command("echo one; echo two");
	exec.on_output = collect;
	exec.arg = &all;
	exec.output_max = 0;
	struct ssh_result result = {0};
	struct nel_err err = {0};
	bool sent = false;
	assert_int_equal(ssh_session_exec(s, &exec, &result, &sent, &err), 0);
	assert_string_equal(str_text(&all), "one\ntwo\n");
	assert_string_equal(result.output, "");
	ssh_result_done(&result);
	exec.command = "echo 'enough!'; sleep 60";
	int64_t start_ms = clock_mono_ms();
	assert_int_equal(ssh_session_exec(s, &exec, &result, &sent, &err), -1);
	assert_int_equal(err.sys, ECANCELED);
	assert_true(clock_mono_ms() - start_ms < 20000);
}

static void test_exec_longer_than_timeout_fails(void **state)
{
	(void)state;
	NEEDS_SSHD();
	CLEANUP(session_freep) struct ssh_session *s = open_default();
	struct ssh_exec exec = command("sleep 60");
	exec.timeout_ms = 300;
	struct ssh_result result = {0};
	struct nel_err err = {0};
	bool sent = false;
	int64_t start_ms = clock_mono_ms();
	assert_int_equal(ssh_session_exec(s, &exec, &result, &sent, &err), -1);
	assert_in_range(clock_mono_ms() - start_ms, 300, 10000);
	assert_true(sent);
	assert_int_equal(err.kind, NEL_REMOTE);
	assert_int_equal(err.sys, ETIMEDOUT);
}

static void *set_later(void *flag)
{
	nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	__atomic_store_n((volatile bool *)flag, true, __ATOMIC_RELAXED);
	return NULL;
}

static void test_exec_stop_set_ends_soon(void **state)
{
	(void)state;
	NEEDS_SSHD();
	static const char *const commands[] = {"sleep 60", "yes", "cat >/dev/null; sleep 60"};
	size_t size = 4u << 20;
	CLEANUP(mem_freep) char *data = mem_calloc(size, 1);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		CLEANUP(session_freep) struct ssh_session *s = open_default();
		volatile bool stop = false;
		CLEANUP(str_done) struct str all = {0};
		struct ssh_exec exec = command(commands[i]);
		exec.output_max = SIZE_MAX;
		exec.stop = &stop;
		exec.input = data;
		exec.input_size = size;
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, set_later, (void *)&stop), 0);
		struct ssh_result result = {0};
		struct nel_err err = {0};
		bool sent = false;
		int64_t start_ms = clock_mono_ms();
		assert_int_equal(ssh_session_exec(s, &exec, &result, &sent, &err), -1);
		pthread_join(thread, NULL);
		assert_int_equal(err.kind, NEL_REMOTE);
		assert_int_equal(err.sys, ECANCELED);
		assert_true(clock_mono_ms() - start_ms < 10000);
	}
}

static void test_exec_killed_connection_says_whether_sent(void **state)
{
	(void)state;
	NEEDS_SSHD();
	CLEANUP(session_freep) struct ssh_session *s = open_default();
	struct ssh_result result = {0};
	struct nel_err err = {0};
	bool sent = false;
	struct ssh_exec exec = command("kill -9 $PPID; sleep 60");
	assert_int_equal(ssh_session_exec(s, &exec, &result, &sent, &err), -1);
	assert_true(sent);
	assert_int_equal(err.kind, NEL_REMOTE);
	exec = command("echo again");
	sent = true;
	assert_int_equal(ssh_session_exec(s, &exec, &result, &sent, &err), -1);
	assert_false(sent);
	assert_int_equal(err.kind, NEL_REMOTE);
}

static void test_exec_command_too_long_is_invalid(void **state)
{
	(void)state;
	NEEDS_SSHD();
	CLEANUP(session_freep) struct ssh_session *s = open_default();
	CLEANUP(mem_freep) char *text = mem_calloc(40000, 1);
	memset(text, ' ', 39999);
	struct ssh_exec exec = command(text);
	struct ssh_result result = {0};
	struct nel_err err = {0};
	bool sent = true;
	assert_int_equal(ssh_session_exec(s, &exec, &result, &sent, &err), -1);
	assert_false(sent);
	assert_int_equal(err.kind, NEL_INVALID);
	text[30000] = '\0';
	assert_output(s, text, "");
}

static void test_open_key_kinds_log_in(void **state)
{
	(void)state;
	NEEDS_SSHD();
	static const char *const keys[] = {"user", "ecdsa", "pem"};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		__lsan_disable();
		CLEANUP(session_freep) struct ssh_session *s = open_with(keys[i], NULL);
		__lsan_enable();
		assert_output(s, "echo in", "in\n");
	}
}

static void test_open_unusable_keys_denied(void **state)
{
	(void)state;
	NEEDS_SSHD();
	static const struct {
		const char *name, *type, *passphrase, *option, *value, *message;
	} cases[] = {
	    {"crypted", "ed25519", "secret", NULL, NULL, "passphrases are not supported"},
	    {"crypted_pem", "ecdsa", "secret", "-m", "PEM", "passphrases are not supported"},
	};
	struct sshd_paths paths;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		sshd_keygen(&sshd, cases[i].name, cases[i].type, cases[i].passphrase, cases[i].option, cases[i].value);
		struct ssh_target target = sshd_target(&sshd, cases[i].name, &paths);
		assert_refused(&target, NEL_DENIED, cases[i].message);
	}
	struct ssh_target target = sshd_target(&sshd, "absent", &paths);
	assert_refused(&target, NEL_DENIED, "No such file");
	target = sshd_target(&sshd, "wrong", &paths);
	chmod(target.key_file, 0640);
	assert_refused(&target, NEL_DENIED, "open to others");
	chmod(target.key_file, 0600);
}

static void test_open_wrong_key_denied(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct sshd_paths paths;
	struct ssh_target target = sshd_target(&sshd, "wrong", &paths);
	assert_refused(&target, NEL_DENIED, "login.alpha refused the key");
	assert_refused(&target, NEL_DENIED, "add its public half to authorized_keys");
}

static void test_open_unknown_host_denied_with_line_that_works(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct sshd_paths paths;
	struct ssh_target target = sshd_target(&sshd, "user", &paths);
	sshd_path(&sshd, "known_hosts2", paths.known_hosts);
	unlink(paths.known_hosts);
	struct ssh_session *s = NULL;
	struct nel_err err = {0};
	assert_int_equal(ssh_session_open(&target, &s, &err), -1);
	assert_int_equal(err.kind, NEL_DENIED);
	char mark[200];
	snprintf(mark, sizeof mark, "add this line to %s: ", paths.known_hosts);
	const char *line = strstr(err.msg, mark);
	assert_non_null(line);
	assert_non_null(strstr(err.msg, "SHA256:"));
	sshd_write(&sshd, "known_hosts2", "w", line + strlen(mark));
	assert_int_equal(ssh_session_open(&target, &s, &err), 0);
	assert_output(s, "echo in", "in\n");
	ssh_session_close(s);
	/* The same, hashed. */
	const char *argv[] = {"ssh-keygen", "-H", "-f", paths.known_hosts, NULL};
	assert_int_equal(sshd_run(argv), 0);
	char text[1024];
	sshd_read_line(&sshd, "known_hosts2", text, sizeof text);
	assert_true(str_starts_with(text, "|1|"));
	assert_int_equal(ssh_session_open(&target, &s, &err), 0);
	ssh_session_close(s);
}

static void test_open_changed_host_key_denied(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct sshd_paths paths;
	struct ssh_target target = sshd_target(&sshd, "user", &paths);
	sshd_write_known_hosts(&sshd, "other_host.pub");
	assert_refused(&target, NEL_DENIED, "has changed");
	assert_refused(&target, NEL_DENIED, "replace line 1 of");
	sshd_write_known_hosts(&sshd, "ecdsa.pub");
	assert_refused(&target, NEL_DENIED, "only keys of type ecdsa-sha2-nistp384");
	sshd_write_known_hosts(&sshd, "host.pub");
}

/* Whether the login was refused or the host is in doubt is in the reason, whatever words the message has: here the
 * names of the files are those words. */
static void test_open_denied_says_by_which_side(void **state)
{
	(void)state;
	NEEDS_SSHD();
	static const struct {
		const char *key, *known_hosts;
		enum nel_err_reason reason;
	} cases[] = {
	    {"the host key", "known_hosts", NEL_REASON_LOGIN},
	    {"absent known_hosts file", "known_hosts", NEL_REASON_LOGIN},
	    {"user", "refused the key", NEL_REASON_HOST_KEY},
	    {"user", ".", NEL_REASON_HOST_KEY},
	};
	sshd_keygen(&sshd, "the host key", "ed25519", "", NULL, NULL);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sshd_paths paths;
		struct ssh_target target = sshd_target(&sshd, cases[i].key, &paths);
		sshd_path(&sshd, cases[i].known_hosts, paths.known_hosts);
		struct ssh_session *s = NULL;
		struct nel_err err = {0};
		assert_int_equal(ssh_session_open(&target, &s, &err), -1);
		assert_int_equal(err.kind, NEL_DENIED);
		if (err.reason != cases[i].reason)
			fail_msg("%s: reason %d", err.msg, (int)err.reason);
	}
	struct sshd_paths paths;
	struct ssh_target target = sshd_target(&sshd, "user", &paths);
	target.port = 1; /* nobody listens there */
	struct ssh_session *s = NULL;
	struct nel_err err = {.reason = NEL_REASON_LOGIN};
	assert_int_equal(ssh_session_open(&target, &s, &err), -1);
	assert_int_equal(err.kind, NEL_REMOTE);
	assert_int_equal(err.reason, NEL_REASON_NONE);
}

/* The process whose number is in the file has ended, or is about to; an orphan may stay as a zombie. */
static void assert_gone(const char *file)
{
	char line[32], path[64], stat[256];
	long long pid;
	sshd_read_line(&sshd, file, line, sizeof line);
	assert_true(str_to_int(line, 2, INT32_MAX, &pid));
	snprintf(path, sizeof path, "/proc/%lld/stat", pid);
	for (int i = 0; i < 3000; i++) {
		CLEANUP(file_closep) FILE *f = fopen(path, "r");
		if (f == NULL || fgets(stat, sizeof stat, f) == NULL || strstr(stat, ") Z ") != NULL)
			return;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	fail_msg("process %lld lives on", pid);
}

static void test_open_proxy_commands_carry_the_connection(void **state)
{
	(void)state;
	NEEDS_SSHD();
	char jump[600], bash[600];
	snprintf(
	    jump, sizeof jump,
	    "ssh -F none -i %s/user -o UserKnownHostsFile=%s/known_hosts -o BatchMode=yes -p %%p -W %%h:%%p %%r@%%h",
	    sshd.dir, sshd.dir);
	snprintf(bash, sizeof bash,
		 "echo $$ > %s/proxy.pid; exec bash -c 'trap \"\" TERM; exec 3<>/dev/tcp/%%h/%%p; cat <&3 & "
		 "echo $! > %s/cat.pid; exec cat >&3'",
		 sshd.dir, sshd.dir);
	const char *const commands[] = {jump, bash};
	size_t size = 2u << 20;
	CLEANUP(mem_freep) char *data = mem_calloc(size, 1);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		CLEANUP(session_freep) struct ssh_session *s = open_with("user", commands[i]);
		struct ssh_exec exec = command("wc -c");
		exec.input = data;
		exec.input_size = size;
		CLEANUP(ssh_result_done) struct ssh_result result = {0};
		struct nel_err err = {0};
		bool sent;
		if (ssh_session_exec(s, &exec, &result, &sent, &err) != 0)
			fail_msg("%s", err.msg);
		assert_string_equal(result.output, "2097152\n");
	}
	assert_gone("proxy.pid");
	assert_gone("cat.pid");
}

static void test_open_proxy_command_failing_says_why(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct sshd_paths paths;
	struct ssh_target target = sshd_target(&sshd, "user", &paths);
	target.proxy_command = "echo the bastion is closed >&2; exit 1";
	assert_refused(&target, NEL_REMOTE, "the bastion is closed");
	target.proxy_command = "sleep 60";
	target.connect_timeout_ms = 300;
	assert_refused(&target, NEL_REMOTE, "time-out");
	target.proxy_command = "nc %q";
	assert_refused(&target, NEL_INVALID, "%q");
}

#define FDS_MAX 256

/* Flags of each open descriptor; -1: not open. */
static void list_fds(int flags[FDS_MAX])
{
	for (int fd = 0; fd < FDS_MAX; fd++)
		flags[fd] = fcntl(fd, F_GETFD);
}

static void test_open_and_close_leave_no_descriptors(void **state)
{
	(void)state;
	NEEDS_SSHD();
	ssh_session_close(open_default());
	int before[FDS_MAX], during[FDS_MAX], after[FDS_MAX];
	list_fds(before);
	for (int i = 0; i < 3; i++) {
		CLEANUP(session_freep)
		struct ssh_session *s =
		    open_with("user", "exec bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & exec cat >&3'");
		list_fds(during);
		int opened = 0;
		for (int fd = 0; fd < FDS_MAX; fd++)
			if (before[fd] == -1 && during[fd] != -1) {
				opened++;
				assert_true((during[fd] & FD_CLOEXEC) != 0);
			}
		assert_int_equal(opened, 2);
		struct sshd_paths paths;
		struct ssh_target target = sshd_target(&sshd, "wrong", &paths);
		struct ssh_session *none = NULL;
		assert_int_equal(ssh_session_open(&target, &none, NULL), -1);
	}
	list_fds(after);
	assert_memory_equal(before, after, sizeof before);
}

static void test_open_dead_or_silent_hosts_fail_in_time(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct sshd_paths paths;
	struct ssh_target target = sshd_target(&sshd, "user", &paths);
	target.port = sshd_free_port();
	assert_refused(&target, NEL_REMOTE, "Connection refused");
	target.address = "no-such-host.invalid";
	assert_refused(&target, NEL_REMOTE, "no-such-host.invalid");
	target.address = "localhost";
	assert_refused(&target, NEL_REMOTE, "cannot connect to localhost");
	/* Silent; then one that begins a handshake and stops; then a flood that is no SSH. */
	static const char *const greetings[] = {NULL, "printf 'SSH-2.0-x\\r\\n'; sleep 60", "yes"};
	target = sshd_target(&sshd, "user", &paths);
	target.connect_timeout_ms = 300;
	for (size_t i = 0; i < sizeof greetings / sizeof *greetings; i++) {
		target.proxy_command = greetings[i] == NULL ? "sleep 60" : greetings[i];
		int64_t start_ms = clock_mono_ms();
		assert_refused(&target, NEL_REMOTE, "login.alpha");
		assert_true(clock_mono_ms() - start_ms < 10000);
	}
}

/* Steps of the clock, which otherwise stands still, until the keepalive fails or the steps are used up. */
static int keep_alive(struct ssh_session *s, int64_t *now_ms, int steps)
{
	struct nel_err err = {0};
	for (int i = 0; i < steps; i++) {
		*now_ms += 2000;
		clock_fake_set_ms(*now_ms);
		if (ssh_session_keepalive(s, &err) != 0)
			return -1;
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL); /* sshd answers in real time */
	}
	return 0;
}

static void test_keepalive_living_and_dead_connection(void **state)
{
	(void)state;
	NEEDS_SSHD();
	int64_t now_ms = clock_mono_ms();
	CLEANUP(session_freep) struct ssh_session *s = open_default();
	char pid[32];
	struct ssh_exec exec = command("echo $PPID");
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	struct nel_err err = {0};
	bool sent;
	assert_int_equal(ssh_session_exec(s, &exec, &result, &sent, &err), 0);
	snprintf(pid, sizeof pid, "%.*s", (int)strcspn(result.output, "\n"), result.output);
	/* Commands fall into each stage of a probe. */
	for (int steps = 1; steps < 12; steps++) {
		assert_int_equal(keep_alive(s, &now_ms, steps), 0);
		assert_output(s, "echo alive", "alive\n");
	}
	/* A server that hangs is found by its silence, one that is gone by the end of the connection. */
	long long number;
	assert_true(str_to_int(pid, 2, INT32_MAX, &number));
	kill((pid_t)number, SIGSTOP);
	assert_int_equal(keep_alive(s, &now_ms, 20), -1);
	kill((pid_t)number, SIGKILL);
	clock_fake_set_ms(-1);
	CLEANUP(session_freep) struct ssh_session *other = open_default();
	exec = command("kill -9 $PPID");
	struct ssh_result none = {0};
	assert_int_equal(ssh_session_exec(other, &exec, &none, &sent, &err), -1);
	assert_int_equal(ssh_session_keepalive(other, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_exec_commands_output_errors_status),
	    cmocka_unit_test(test_exec_large_input_comes_back),
	    cmocka_unit_test(test_exec_large_input_with_key_exchanges_comes_back),
	    cmocka_unit_test(test_exec_input_not_read_ends_with_status),
	    cmocka_unit_test(test_exec_too_much_output_fails),
	    cmocka_unit_test(test_exec_reader_gets_output_and_ends_it),
	    cmocka_unit_test(test_exec_longer_than_timeout_fails),
	    cmocka_unit_test(test_exec_stop_set_ends_soon),
	    cmocka_unit_test(test_exec_killed_connection_says_whether_sent),
	    cmocka_unit_test(test_exec_command_too_long_is_invalid),
	    cmocka_unit_test(test_open_key_kinds_log_in),
	    cmocka_unit_test(test_open_unusable_keys_denied),
	    cmocka_unit_test(test_open_wrong_key_denied),
	    cmocka_unit_test(test_open_unknown_host_denied_with_line_that_works),
	    cmocka_unit_test(test_open_changed_host_key_denied),
	    cmocka_unit_test(test_open_denied_says_by_which_side),
	    cmocka_unit_test(test_open_proxy_commands_carry_the_connection),
	    cmocka_unit_test(test_open_proxy_command_failing_says_why),
	    cmocka_unit_test(test_open_and_close_leave_no_descriptors),
	    cmocka_unit_test(test_open_dead_or_silent_hosts_fail_in_time),
	    cmocka_unit_test(test_keepalive_living_and_dead_connection),
	};
	return cmocka_run_group_tests(tests, sshd_group_setup, sshd_group_teardown);
}

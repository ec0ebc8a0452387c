/* Logins against a real sshd with keys in memory and with a real ssh-agent, and what is refused before. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ssh/agent.h"
#include "ssh/key_file.h"
#include "ssh/pool.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#include <cmocka.h>

#include "real_sshd.h"

DEFINE_FREEP(struct ssh_session, session, ssh_session_close)
DEFINE_FREEP(struct ssh_pool, pool, ssh_pool_free)

static pid_t agent_pid;

static void start_agent(void)
{
	char path[SSHD_PATH_SIZE];
	struct stat st;
	const char *argv[] = {
	    "setpriv", "--pdeathsig", "TERM", "ssh-agent", "-D", "-a", sshd_path(&sshd, "agent", path), NULL};
	agent_pid = sshd_spawn(argv);
	for (int i = 0; i < 1000 && stat(path, &st) != 0; i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	setenv("SSH_AUTH_SOCK", path, 1);
}

static int setup(void **state)
{
	int rc = sshd_group_setup(state);
	if (rc == 0 && installed) {
		start_agent();
		sshd_keygen(&sshd, "rsa", "rsa", "", "-b", "2048");
		sshd_keygen(&sshd, "rsa_pem", "rsa", "", "-m", "PEM");
		sshd_keygen(&sshd, "rsa_pkcs8", "rsa", "", "-m", "PKCS8");
		static const char *const rsa[] = {"rsa.pub", "rsa_pem.pub", "rsa_pkcs8.pub"};
		for (size_t i = 0; i < sizeof rsa / sizeof *rsa; i++) {
			char key[1024];
			sshd_read_line(&sshd, rsa[i], key, sizeof key);
			sshd_write(&sshd, "authorized_keys", "a", key);
			sshd_write(&sshd, "authorized_keys", "a", "\n");
		}
	}
	return rc;
}

static int teardown(void **state)
{
	if (agent_pid > 0) {
		kill(agent_pid, SIGTERM);
		waitpid(agent_pid, NULL, 0);
	}
	return sshd_group_teardown(state);
}

/* The agent holds these keys, in this order, and no others. */
static void agent_hold(const char *const names[])
{
	const char *none[] = {"ssh-add", "-D", NULL};
	assert_int_equal(sshd_run(none), 0);
	for (; *names != NULL; names++) {
		char path[SSHD_PATH_SIZE];
		const char *argv[] = {"ssh-add", "-q", sshd_path(&sshd, *names, path), NULL};
		assert_int_equal(sshd_run(argv), 0);
	}
}

static struct ssh_target target_without_key(struct sshd_paths *paths)
{
	struct ssh_target target = sshd_target(&sshd, "user", paths);
	target.key_file = NULL;
	return target;
}

static struct ssh_target agent_target(struct sshd_paths *paths)
{
	struct ssh_target target = target_without_key(paths);
	target.agent_socket = sshd_path(&sshd, "agent", paths->key);
	return target;
}

static char *read_key(const char *name)
{
	char path[SSHD_PATH_SIZE];
	CLEANUP(file_closep) FILE *f = fopen(sshd_path(&sshd, name, path), "r");
	char *text = mem_calloc(8192, 1);
	assert_true(fread(text, 1, 8191, f) > 0);
	return text;
}

static void assert_logs_in(const struct ssh_target *target)
{
	CLEANUP(session_freep) struct ssh_session *s = NULL;
	struct nel_err err = {0};
	if (ssh_session_open(target, &s, &err) != 0)
		fail_msg("%s", err.msg);
	struct ssh_exec exec = {.command = "echo in", .output_max = 100, .timeout_ms = 30000};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	bool sent;
	assert_int_equal(ssh_session_exec(s, &exec, &result, &sent, &err), 0);
	assert_string_equal(result.output, "in\n");
}

static void assert_denied(const struct ssh_target *target, const char *part)
{
	struct ssh_session *s = NULL;
	struct nel_err err = {0};
	assert_int_equal(ssh_session_open(target, &s, &err), -1);
	if (err.kind != NEL_DENIED || strstr(err.msg, part) == NULL)
		fail_msg("%s: %s", err_kind_name(err.kind), err.msg);
	assert_null(strstr(err.msg, "PRIVATE KEY"));
}

static void test_open_keys_in_memory_log_in(void **state)
{
	(void)state;
	NEEDS_SSHD();
	static const char *const keys[] = {"user", "ecdsa", "pem"};
	struct sshd_paths paths;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		struct ssh_target target = target_without_key(&paths);
		CLEANUP(mem_freep) char *text = read_key(keys[i]);
		target.key_size = strlen(text);
		/* No NUL byte behind it. */
		CLEANUP(mem_freep) char *bare = mem_calloc(target.key_size, 1);
		memcpy(bare, text, target.key_size);
		target.key = bare;
		__lsan_disable();
		assert_logs_in(&target);
		__lsan_enable();
	}
}

static void test_open_unusable_keys_in_memory_denied(void **state)
{
	(void)state;
	NEEDS_SSHD();
	static const struct {
		const char *key, *name, *message;
	} cases[] = {
	    {"wrong", "of alice", "refused the key of alice for user"},
	    {"wrong", NULL, "refused the key given for this account for user"},
	    {"user.pub", "of alice", "of alice is not a private key"},
	};
	struct sshd_paths paths;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ssh_target target = target_without_key(&paths);
		CLEANUP(mem_freep) char *text = read_key(cases[i].key);
		target.key = text;
		target.key_size = strlen(text);
		target.key_name = cases[i].name;
		assert_denied(&target, cases[i].message);
	}
}

/* With libssh2 1.11 and later they log in, from memory and from the agent; before, they are refused with the reason. */
static void test_open_rsa_keys_log_in_or_are_refused(void **state)
{
	(void)state;
	NEEDS_SSHD();
	static const char *const keys[] = {"rsa", "rsa_pem", "rsa_pkcs8"};
	struct sshd_paths paths;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		struct ssh_target target = target_without_key(&paths);
		CLEANUP(mem_freep) char *text = read_key(keys[i]);
		target.key = text;
		target.key_size = strlen(text);
		target.key_name = "of alice";
		if (key_file_takes_rsa())
			assert_logs_in(&target);
		else
			assert_denied(&target, "of alice is an RSA key: libssh2 1.10.0 signs RSA with SHA-1 only");
	}
	struct ssh_target target = agent_target(&paths);
	agent_hold((const char *const[]){"rsa", NULL});
	if (key_file_takes_rsa())
		assert_logs_in(&target);
	else
		assert_denied(&target, "has no key to log in with (ssh-add adds one): its key \"test\" is an RSA key");
}

/* A login node whose known host key is RSA wants SHA-2 for it, as OpenSSH 8.8 and later do. */
static void test_open_rsa_host_key(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct sshd_paths paths;
	struct ssh_target target = sshd_target(&sshd, "user", &paths);
	char path[SSHD_PATH_SIZE], extra[SSHD_PATH_SIZE + 32];
	snprintf(extra, sizeof extra, "HostKey %s", sshd_path(&sshd, "rsa", path));
	sshd_stop(&sshd);
	sshd_write_config(&sshd, extra);
	sshd_write_known_hosts(&sshd, "rsa.pub");
	assert_int_equal(sshd_start(&sshd), 0);
	if (key_file_takes_rsa())
		assert_logs_in(&target);
	else
		assert_denied(&target, "the host key of [127.0.0.1]");
	sshd_stop(&sshd);
	sshd_write_config(&sshd, "");
	sshd_write_known_hosts(&sshd, "host.pub");
	assert_int_equal(sshd_start(&sshd), 0);
}

static void test_pool_has_copies_of_key_in_memory(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct sshd_paths paths;
	struct ssh_pool_options options = {
	    .target = target_without_key(&paths), .max_sessions = 1, .idle_timeout_ms = 60000};
	CLEANUP(mem_freep) char *text = read_key("user");
	options.target.key = text;
	options.target.key_size = strlen(text);
	CLEANUP(pool_freep) struct ssh_pool *pool = ssh_pool_new(&options);
	memset(text, 'x', options.target.key_size);
	struct ssh_exec exec = {.command = "true", .timeout_ms = 30000};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	struct nel_err err = {0};
	bool sent;
	if (ssh_pool_exec(pool, &exec, &result, &sent, &err) != 0)
		fail_msg("%s", err.msg);
}

static void test_open_agent_tries_its_keys_in_turn(void **state)
{
	(void)state;
	NEEDS_SSHD();
	static const char *const holds[][5] = {{"user", NULL},
					       {"ecdsa", NULL},
					       {"pem", NULL},
					       {"wrong", "user", NULL},
					       {"rsa", "wrong", "other_host", "ecdsa", NULL}};
	struct sshd_paths paths;
	for (size_t i = 0; i < sizeof holds / sizeof *holds; i++) {
		agent_hold(holds[i]);
		struct ssh_target target = agent_target(&paths);
		assert_logs_in(&target);
	}
}

static void test_open_agent_restricted_to_one_key(void **state)
{
	(void)state;
	NEEDS_SSHD();
	agent_hold((const char *const[]){"wrong", "user", "rsa", NULL});
	struct sshd_paths paths;
	struct ssh_target target = agent_target(&paths);
	char line[1024];
	target.agent_key = line;
	sshd_read_line(&sshd, "user.pub", line, sizeof line);
	assert_logs_in(&target);
	sshd_read_line(&sshd, "wrong.pub", line, sizeof line);
	assert_denied(&target, "login.alpha refused the key \"test\" of the SSH agent at /tmp");
	sshd_read_line(&sshd, "ecdsa.pub", line, sizeof line);
	assert_denied(&target, "has no key with the public half given");
	sshd_read_line(&sshd, "rsa.pub", line, sizeof line);
	if (key_file_takes_rsa())
		assert_logs_in(&target);
	else
		assert_denied(&target, "SHA-1 only");
	sshd_read_line(&sshd, "user", line, sizeof line);
	assert_denied(&target, "is not a public key");
}

static void test_open_agent_without_usable_key_denied(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct sshd_paths paths;
	struct ssh_target target = agent_target(&paths);
	agent_hold((const char *const[]){NULL});
	assert_denied(&target, "has no key to log in with (ssh-add adds one)");
	agent_hold((const char *const[]){"wrong", "other_host", NULL});
	assert_denied(&target, "login.alpha refused each of 2 keys of the SSH agent");
	/* One that wants each use confirmed, with nobody to ask. */
	char path[SSHD_PATH_SIZE];
	const char *argv[] = {"ssh-add", "-q", "-c", sshd_path(&sshd, "user", path), NULL};
	agent_hold((const char *const[]){NULL});
	assert_int_equal(sshd_run(argv), 0);
	assert_denied(&target, "refused to sign");
	snprintf(paths.key, sizeof paths.key, "%s/nowhere", sshd.dir);
	assert_denied(&target, "cannot reach the SSH agent at /tmp");
}

static void test_pool_agent_gets_its_key_goes_on(void **state)
{
	(void)state;
	NEEDS_SSHD();
	agent_hold((const char *const[]){NULL});
	struct sshd_paths paths;
	struct ssh_pool_options options = {.target = agent_target(&paths), .max_sessions = 1, .idle_timeout_ms = 60000};
	CLEANUP(pool_freep) struct ssh_pool *pool = ssh_pool_new(&options);
	struct ssh_exec exec = {.command = "true", .timeout_ms = 30000};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	struct nel_err err = {0};
	bool sent;
	int64_t now_ms = clock_mono_ms();
	clock_fake_set_ms(now_ms);
	assert_int_equal(ssh_pool_exec(pool, &exec, &result, &sent, &err), -1);
	assert_int_equal(err.kind, NEL_DENIED);
	agent_hold((const char *const[]){"user", NULL});
	clock_fake_set_ms(now_ms + 10000);
	int rc = ssh_pool_exec(pool, &exec, &result, &sent, &err);
	clock_fake_set_ms(-1);
	if (rc != 0)
		fail_msg("%s", err.msg);
}

/* An agent that takes one connection and sends a fixed reply, or none. */
struct false_agent {
	int fd;
	const char *reply;
	size_t size;
	bool moves_clock; /* past every time-out */
};

static void *answer(void *arg)
{
	struct false_agent *a = arg;
	int fd = accept(a->fd, NULL, NULL);
	char request[64];
	assert_true(recv(fd, request, sizeof request, 0) > 0);
	if (a->size > 0)
		send(fd, a->reply, a->size, MSG_NOSIGNAL);
	if (a->moves_clock)
		clock_fake_set_ms(clock_mono_ms() + AGENT_TIMEOUT_MS);
	while (recv(fd, request, sizeof request, 0) > 0)
		;
	close(fd);
	return NULL;
}

static void test_list_false_replies_denied(void **state)
{
	(void)state;
	NEEDS_SSHD();
	static const struct {
		const char *reply;
		size_t size;
		const char *message;
	} cases[] = {
	    {NULL, 0, "does not answer"},
	    {"\0\0", 2, "does not answer"},
	    {"\0\0\0\0", 4, "a reply that is none"},
	    {"\xff\xff\xff\xff", 4, "a reply that is none"},
	    {"\0\0\0\1\5", 5, "refused to list its keys"},
	    {"\0\0\0\1\14", 5, "a reply that is none"},
	    {"\0\0\0\5\14\0\0\0\0", 9, "has no key"},
	    {"\0\0\0\5\14\0\0\0\1", 9, "a reply that is none"},
	    {"\0\0\0\11\14\0\0\0\1\xff\xff\xff\xff", 13, "a reply that is none"},
	    {"\0\0\0\15\14\0\0\0\1\0\0\0\0\0\0\0\0", 17, "has no key"},
	};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "%s/false", sshd.dir);
	struct false_agent a = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	assert_int_equal(bind(a.fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(a.fd, 4), 0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP(agent_keys_done) struct agent_keys keys = {0};
		struct nel_err err = {0};
		pthread_t thread;
		a.reply = cases[i].reply;
		a.size = cases[i].size;
		a.moves_clock = cases[i].size < 4;
		assert_int_equal(pthread_create(&thread, NULL, answer, &a), 0);
		int rc = agent_list(address.sun_path, NULL, NULL, &keys, &err);
		pthread_join(thread, NULL);
		clock_fake_set_ms(-1);
		assert_int_equal(rc, -1);
		if (err.kind != NEL_DENIED || strstr(err.msg, cases[i].message) == NULL)
			fail_msg("case %zu: %s", i, err.msg);
	}
	volatile bool stop = true;
	struct agent_keys none = {0};
	struct nel_err err = {0};
	assert_int_equal(agent_list(address.sun_path, NULL, &stop, &none, &err), -1);
	assert_int_equal(err.kind, NEL_REMOTE);
	assert_int_equal(err.sys, ECANCELED);
	close(a.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_open_keys_in_memory_log_in),
	    cmocka_unit_test(test_open_unusable_keys_in_memory_denied),
	    cmocka_unit_test(test_open_rsa_keys_log_in_or_are_refused),
	    cmocka_unit_test(test_open_rsa_host_key),
	    cmocka_unit_test(test_pool_has_copies_of_key_in_memory),
	    cmocka_unit_test(test_open_agent_tries_its_keys_in_turn),
	    cmocka_unit_test(test_open_agent_restricted_to_one_key),
	    cmocka_unit_test(test_open_agent_without_usable_key_denied),
	    cmocka_unit_test(test_pool_agent_gets_its_key_goes_on),
	    cmocka_unit_test(test_list_false_replies_denied),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

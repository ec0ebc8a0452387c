/* What a credential_command hands out: which output is of use and what else is called, when it is run again, and logins
 * with it at a real sshd that trusts the authority alone. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "ssh/credentials.h"
#include "ssh/key_file.h"
#include "ssh/pool.h"
#include "ssh/session.h"

#include <libssh2.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "real_sshd.h"

DEFINE_FREEP(struct ssh_credentials, credentials, ssh_credentials_free)
DEFINE_FREEP(struct ssh_pool, pool, ssh_pool_free)

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define PATIENCE_MS 60000 /* of a program that ends by itself */

/* A program of the test's: `body` in its directory; path is argv[0]. */
static void write_program(const char *name, const char *body, char path[SSHD_PATH_SIZE])
{
	CLEANUP(mem_freep) char *text = mem_printf("#!/bin/bash\ncd %s || exit\n%s\n", sshd.dir, body);
	sshd_write(&sshd, name, "w", text);
	chmod(sshd_path(&sshd, name, path), 0755);
}

static int run_program(const char *body, int64_t timeout_ms, const volatile bool *stop, struct credential *ret,
		       struct nel_err *err)
{
	char path[SSHD_PATH_SIZE];
	write_program("program", body, path);
	const char *const argv[] = {path, "first arg", "$(touch no)", NULL};
	const struct credential_order order = {.argv = argv,
					       .cluster = "alpha",
					       .hostname = "login.alpha",
					       .username = sshd.user,
					       .timeout_ms = timeout_ms,
					       .stop = stop};
	return credential_command_run(&order, ret, err);
}

static bool has(const char *name)
{
	char path[SSHD_PATH_SIZE];
	return access(sshd_path(&sshd, name, path), F_OK) == 0;
}

/* How many lines the program has added to the file of its calls. */
static int calls(void)
{
	char path[SSHD_PATH_SIZE];
	FILE *f = fopen(sshd_path(&sshd, "calls", path), "r");
	int lines = 0;
	for (int c; f != NULL && (c = getc(f)) != EOF;)
		lines += c == '\n';
	if (f != NULL)
		fclose(f);
	return lines;
}

static void test_run_gives_key_and_certificate(void **state)
{
	(void)state;
	NEEDS_SSHD();
	CLEANUP(credential_done) struct credential c = {0};
	struct nel_err err = {0};
	if (run_program("printf '%s\\n' \"$@\" \"$NEL_CLUSTER $NEL_HOSTNAME $NEL_USERNAME $SECRET\" >told; "
			"ls -m /proc/self/fd >fds; grep SigBlk /proc/self/status >mask; "
			"grep SigIgn /proc/self/status >ignored; cat key; echo; cat key-cert.pub",
			PATIENCE_MS, NULL, &c, &err) != 0)
		fail_msg("%s", err.msg);
	assert_true(str_starts_with(c.key, "-----BEGIN OPENSSH PRIVATE KEY-----\n"));
	assert_int_equal(strlen(c.key), c.key_size);
	assert_true(str_starts_with(c.certificate.line, "ecdsa-sha2-nistp256-cert-v01@openssh.com AAAA"));
	char line[256];
	char path[SSHD_PATH_SIZE];
	sshd_read_line(&sshd, "told", line, sizeof line);
	assert_string_equal(line, "first arg");
	assert_false(has("no"));
	CLEANUP(file_closep) FILE *told = fopen(sshd_path(&sshd, "told", path), "r");
	for (int i = 0; i < 3; i++)
		assert_non_null(fgets(line, sizeof line, told));
	CLEANUP(mem_freep) char *expected = mem_printf("alpha login.alpha %s \n", sshd.user);
	assert_string_equal(line, expected); /* and nothing of the daemon's own environment */
	sshd_read_line(&sshd, "fds", line, sizeof line);
	assert_string_equal(line, "0, 1, 2, 3"); /* the last one is of ls, for the directory */
	sshd_read_line(&sshd, "mask", line, sizeof line);
	assert_non_null(strstr(line, "0000000000000000"));
	sshd_read_line(&sshd, "ignored", line, sizeof line);
	assert_int_equal(strtoull(line + strlen("SigIgn:"), NULL, 16) & 0x7fffffff, 0); /* beside glibc's own two */
}

static void test_run_what_is_of_no_use_is_said(void **state)
{
	(void)state;
	NEEDS_SSHD();
	static const struct {
		const char *body, *part;
	} cases[] = {
	    {"echo 'no token: log in first' >&2; exit 3", "failed with exit status 3: no token: log in first"},
	    {"exit 1", "failed with exit status 1"},
	    {"kill -9 $$", "was ended by signal 9"},
	    {"true", "wrote no private key"},
	    {"head -c 1000 /dev/urandom", "wrote no private key"},
	    {"echo hello; cat key-cert.pub", "wrote no private key"},
	    {"printf 'a\\0b'; cat key key-cert.pub", "wrote no private key"},
	    {"echo '-----BEGIN OPENSSH PRIVATE KEY-----'; echo AAAA; echo '-----END OPENSSH PRIVATE KEY-----'",
	     "the key of credential_command is not a private key"},
	    {"head -n 3 key; cat key-cert.pub", "wrote no private key"},
	    {"cat key", "wrote a key and no certificate"},
	    {"cat key key.pub", "the certificate of credential_command is not one of OpenSSH's"},
	    {"cat key; echo garbage", "the certificate of credential_command is not one of OpenSSH's"},
	    {"cat key; head -c 300 key-cert.pub", "the certificate of credential_command is not one of OpenSSH's"},
	    {"cat key expired", "the certificate of credential_command expired at 2001-01-01T"},
	    {"cat key early", "the certificate of credential_command is not valid before 2"},
	    {"cat key of_host", "the certificate of credential_command is of a host, not of a user"},
	    {"cat other key-cert.pub", "the certificate of credential_command is not of the key of credential_command"},
	    {"cat locked key-cert.pub", "the key of credential_command is encrypted"},
	    {"cat key; yes", "wrote more than 65536 bytes"},
	    {"yes >&2 & sleep 0.2; kill $!; exit 2", "failed with exit status 2: ... y y"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(credential_done) struct credential c = {0};
		struct nel_err err = {0};
		assert_int_equal(run_program(cases[i].body, PATIENCE_MS, NULL, &c, &err), -1);
		if (err.kind != NEL_DENIED || strstr(err.msg, cases[i].part) == NULL)
			fail_msg("%s: %s: %s", cases[i].body, err_kind_name(err.kind), err.msg);
		assert_null(c.key);
	}
}

/* What libssh2 here cannot log in with. */
static void test_run_types_of_keys(void **state)
{
	(void)state;
	NEEDS_SSHD();
	CLEANUP(credential_done) struct credential c = {0};
	struct nel_err err = {0};
	int rc = run_program("cat key25519 key25519-cert.pub", PATIENCE_MS, NULL, &c, &err);
	if (libssh2_version(0x010b00) != NULL) {
		assert_int_equal(rc, 0);
		return;
	}
	assert_int_equal(rc, -1);
	assert_non_null(strstr(err.msg, "with which libssh2 1.10.0 cannot log in; use a certificate of an ECDSA key"));
}

static void test_run_not_there_is_said(void **state)
{
	(void)state;
	struct nel_err err = {0};
	CLEANUP(credential_done) struct credential c = {0};
	const struct credential_order order = {.argv = (const char *const[]){"/nowhere/at all", NULL},
					       .cluster = "alpha",
					       .hostname = "login.alpha",
					       .username = "svc",
					       .timeout_ms = PATIENCE_MS};
	assert_int_equal(credential_command_run(&order, &c, &err), -1);
	assert_string_equal(err.msg, "credential_command /nowhere/at all cannot be run: No such file or directory");
	assert_int_equal(err.kind, NEL_DENIED);
}

/* As by `set -x`, or a program that logs too much. */
static void test_run_words_of_a_failure_are_without_the_key(void **state)
{
	(void)state;
	NEEDS_SSHD();
	static const char *const bodies[] = {
	    "cat key; echo before >&2; cat key >&2; exit 1", "cat key; echo before >&2; sed -n 3p key >&2; exit 1",
	    "echo before >&2; cat key >&2; exit 1", /* not on standard output */
	};
	char path[SSHD_PATH_SIZE];
	for (size_t i = 0; i < COUNT(bodies); i++) {
		CLEANUP(credential_done) struct credential c = {0};
		struct nel_err err = {0};
		assert_int_equal(run_program(bodies[i], PATIENCE_MS, NULL, &c, &err), -1);
		assert_non_null(strstr(err.msg, "before"));
		CLEANUP(file_closep) FILE *key = fopen(sshd_path(&sshd, "key", path), "r");
		char line[256];
		while (fgets(line, sizeof line, key) != NULL) {
			line[strcspn(line, "\n")] = '\0';
			if (strlen(line) > 8 && strstr(line, "-----") == NULL && strstr(err.msg, line) != NULL)
				fail_msg("%s", err.msg);
		}
	}
}

static bool is_alive(const char *name)
{
	char line[64];
	sshd_read_line(&sshd, name, line, sizeof line);
	for (int i = 0; i < 500; i++) { /* init reaps it soon */
		if (kill(atoi(line), 0) != 0)
			return false;
		CLEANUP(mem_freep) char *status = mem_printf("/proc/%d/stat", atoi(line));
		CLEANUP(file_closep) FILE *f = fopen(status, "r");
		char state = 'X';
		if (f == NULL || fscanf(f, "%*d %*s %c", &state) != 1 || state == 'Z' || state == 'X')
			return false;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	return true;
}

static void test_run_that_hangs_is_ended_with_its_group(void **state)
{
	(void)state;
	NEEDS_SSHD();
	CLEANUP(credential_done) struct credential c = {0};
	struct nel_err err = {0};
	assert_int_equal(run_program("trap '' TERM; sleep 1000 & echo $! >child; echo $$ >leader; wait; sleep 1000",
				     3000, NULL, &c, &err),
			 -1);
	assert_int_equal(err.kind, NEL_DENIED);
	assert_non_null(strstr(err.msg, "did not end within 3 s (credential_timeout_s)"));
	assert_false(is_alive("child"));
	assert_false(is_alive("leader"));
}

/* A descendant that keeps the pipes open is not waited for, and does not stay. */
static void test_run_leaves_nothing_behind(void **state)
{
	(void)state;
	NEEDS_SSHD();
	CLEANUP(credential_done) struct credential c = {0};
	struct nel_err err = {0};
	int64_t begin_ms = clock_mono_ms();
	if (run_program("sleep 1000 & echo $! >child; cat key key-cert.pub", PATIENCE_MS, NULL, &c, &err) != 0)
		fail_msg("%s", err.msg);
	assert_true(clock_mono_ms() - begin_ms < PATIENCE_MS / 2);
	assert_false(is_alive("child"));
}

static void test_run_is_given_up_when_asked(void **state)
{
	(void)state;
	NEEDS_SSHD();
	CLEANUP(credential_done) struct credential c = {0};
	struct nel_err err = {0};
	const volatile bool stop = true;
	assert_int_equal(run_program("echo $$ >leader; sleep 1000", PATIENCE_MS, &stop, &c, &err), -1);
	assert_int_equal(err.kind, NEL_REMOTE);
	assert_int_equal(err.sys, ECANCELED);
}

/* ---- when it is run ---- */

/* Each call hands out a certificate of its own for so many seconds, unless the file `broken` is there. */
static struct ssh_credentials *new_credentials(const char *validity, char path[SSHD_PATH_SIZE])
{
	CLEANUP(mem_freep)
	char *body = mem_printf("echo call >>calls\n"
				"if [[ -e broken ]]; then cat broken >&2; exit 9; fi\n"
				"n=$(wc -l <calls); cp key.pub mine-$n.pub\n"
				"ssh-keygen -q -s ca -I \"call $n\" -z $n -n %s -V $(cat validity || echo %s) "
				"mine-$n.pub && cat key mine-$n-cert.pub",
				sshd.user, validity);
	write_program("hand-out", body, path);
	unlink(sshd_path(&sshd, "calls", path));
	sshd_path(&sshd, "hand-out", path);
	const char *const command[] = {path, NULL};
	const struct ssh_credentials_options options = {.cluster = "alpha",
							.hostname = "login.alpha",
							.username = sshd.user,
							.command = command,
							.timeout_ms = PATIENCE_MS};
	return ssh_credentials_new(&options);
}

static void assert_taken(struct ssh_credentials *c, int run)
{
	CLEANUP(credential_done) struct credential given = {0};
	struct nel_err err = {0};
	if (ssh_credentials_take(c, NULL, &given, &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(calls(), run);
}

static void break_it(const char *why)
{
	char path[SSHD_PATH_SIZE];
	if (why != NULL)
		sshd_write(&sshd, "broken", "w", why);
	else
		unlink(sshd_path(&sshd, "broken", path));
}

static void *take_one(void *arg)
{
	struct nel_err err = {0};
	CLEANUP(credential_done) struct credential given = {0};
	return (void *)(intptr_t)ssh_credentials_take(arg, NULL, &given, &err);
}

static void test_take_by_many_at_once_runs_it_once(void **state)
{
	(void)state;
	NEEDS_SSHD();
	char path[SSHD_PATH_SIZE];
	pthread_t threads[8];
	CLEANUP(credentials_freep) struct ssh_credentials *c = new_credentials("+1h", path);
	for (size_t i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_one, c), 0);
	for (size_t i = 0; i < COUNT(threads); i++) {
		void *rc;
		pthread_join(threads[i], &rc);
		assert_null(rc);
	}
	assert_int_equal(calls(), 1);
}

static void test_renew_comes_once_at_nine_tenths(void **state)
{
	(void)state;
	NEEDS_SSHD();
	char path[SSHD_PATH_SIZE];
	struct ssh_credentials_state s;
	struct nel_err err;
	CLEANUP(credentials_freep) struct ssh_credentials *c = new_credentials("+1000s", path);
	assert_int_equal(ssh_credentials_due_in_ms(c), INT64_MAX); /* nobody has needed it */
	int64_t begin_ms = clock_now_ms();
	clock_fake_set_ms(begin_ms);
	assert_taken(c, 1);
	ssh_credentials_state(c, &s);
	json_decref(s.warnings);
	int64_t lasts_s = s.expires_at - begin_ms / 1000;
	assert_true(lasts_s > 900 && lasts_s < 1300); /* how long the signing took is not ours */
	assert_int_equal(s.renewed_at, begin_ms / 1000);
	assert_string_equal(s.error, "");
	assert_int_equal(ssh_credentials_due_in_ms(c), lasts_s * 9 / 10 * 1000);
	assert_int_equal(ssh_credentials_renew(c, NULL, &err), 0); /* too soon */
	assert_taken(c, 1);
	clock_fake_set_ms(begin_ms + (lasts_s * 9 / 10 - 2) * 1000);
	assert_taken(c, 1); /* a login does not renew what is valid */
	assert_true(ssh_credentials_due_in_ms(c) > 0);
	clock_fake_set_ms(begin_ms + (lasts_s * 9 / 10 + 1) * 1000);
	assert_int_equal(ssh_credentials_due_in_ms(c), 0);
	assert_int_equal(ssh_credentials_renew(c, NULL, &err), 0);
	assert_int_equal(calls(), 2);
	clock_fake_set_ms(begin_ms + lasts_s * 1000 + 700000);
	assert_int_equal(ssh_credentials_due_in_ms(c), INT64_MAX); /* nobody uses it any more */
	ssh_credentials_touch(c);
	assert_int_equal(ssh_credentials_due_in_ms(c), 0);
	clock_fake_set_ms(-1);
}

static void test_take_what_a_failed_renewal_leaves_is_used_until_it_expires(void **state)
{
	(void)state;
	NEEDS_SSHD();
	char path[SSHD_PATH_SIZE];
	struct nel_err err = {0};
	struct ssh_credentials_state s;
	CLEANUP(credential_done) struct credential given = {0};
	CLEANUP(credentials_freep) struct ssh_credentials *c = new_credentials("+1000s", path);
	int64_t begin_ms = clock_now_ms();
	clock_fake_set_ms(begin_ms);
	assert_taken(c, 1);
	ssh_credentials_state(c, &s);
	json_decref(s.warnings);
	break_it("the authority is away\n");
	clock_fake_set_ms((s.expires_at - 20) * 1000);
	assert_int_equal(ssh_credentials_renew(c, NULL, &err), -1);
	assert_non_null(strstr(err.msg, "exit status 9: the authority is away"));
	assert_taken(c, 2);
	assert_int_equal(ssh_credentials_renew(c, NULL, &err), 0); /* not so soon again */
	assert_int_equal(calls(), 2);
	ssh_credentials_state(c, &s);
	json_decref(s.warnings);
	assert_non_null(strstr(s.error, "the authority is away"));
	assert_true(s.tell_at < s.expires_at && s.tell_at > s.expires_at - 60);
	clock_fake_set_ms(s.expires_at * 1000);
	assert_int_equal(ssh_credentials_take(c, NULL, &given, &err), -1); /* it is tried once more */
	assert_int_equal(calls(), 3);
	assert_non_null(strstr(err.msg, "the authority is away"));
	assert_int_equal(ssh_credentials_take(c, NULL, &given, &err), -1); /* and not again at once */
	assert_int_equal(calls(), 3);
	assert_non_null(strstr(err.msg, "the authority is away"));
	break_it(NULL);
	sshd_write(&sshd, "validity", "w", "always:forever");
	clock_fake_set_ms((s.expires_at + 60) * 1000);
	assert_taken(c, 4);
	ssh_credentials_state(c, &s);
	json_decref(s.warnings);
	assert_string_equal(s.error, "");
	assert_int_equal(s.expires_at, 0);
	unlink(sshd_path(&sshd, "validity", path));
	clock_fake_set_ms(-1);
}

/* As when the authority's key has been changed. */
static void test_take_what_was_refused_is_had_anew_later(void **state)
{
	(void)state;
	NEEDS_SSHD();
	char path[SSHD_PATH_SIZE], id[CERTIFICATE_ID_SIZE];
	CLEANUP(credentials_freep) struct ssh_credentials *c = new_credentials("+1w", path);
	int64_t begin_ms = clock_now_ms();
	clock_fake_set_ms(begin_ms);
	assert_taken(c, 1);
	ssh_credentials_id(c, id);
	ssh_credentials_note_login(c, "another", true);
	ssh_credentials_note_login(c, id, true);
	ssh_credentials_note_login(c, id, true);
	clock_fake_set_ms(begin_ms + 40000);
	assert_taken(c, 1);
	clock_fake_set_ms(begin_ms + 61000);
	assert_taken(c, 2);
	ssh_credentials_id(c, id);
	ssh_credentials_note_login(c, id, true);
	clock_fake_set_ms(begin_ms + 61000 + 90000);
	assert_taken(c, 2);
	clock_fake_set_ms(begin_ms + 61000 + 121000);
	assert_taken(c, 3);
	clock_fake_set_ms(-1);
}

/* ---- logins ---- */

static void test_pool_logs_in_with_what_is_handed_out(void **state)
{
	(void)state;
	NEEDS_SSHD();
	char path[SSHD_PATH_SIZE];
	struct sshd_paths paths;
	struct ssh_exec exec = {.command = "echo in", .output_max = 100, .timeout_ms = 30000};
	struct nel_err err = {0};
	bool sent;
	CLEANUP(credentials_freep) struct ssh_credentials *c = new_credentials("+1h", path);
	struct ssh_pool_options options = {.target = sshd_target(&sshd, "key", &paths), .max_sessions = 2};
	options.target.key_file = NULL;
	options.target.credentials = c;
	break_it("closed\n");
	CLEANUP(pool_freep) struct ssh_pool *pool = ssh_pool_new(&options);
	for (int i = 0; i < 2; i++) {
		CLEANUP(ssh_result_done) struct ssh_result none = {0};
		assert_int_equal(ssh_pool_exec(pool, &exec, &none, &sent, &err), -1);
		assert_int_equal(err.kind, NEL_DENIED);
		assert_int_equal(err.reason, NEL_REASON_CREDENTIAL);
		assert_non_null(strstr(err.msg, "failed with exit status 9: closed"));
	}
	assert_int_equal(calls(), 1);
	break_it(NULL);
	struct nel_err renewed = {0};
	for (int i = 0; i < 600 && calls() < 2; i++) { /* its pause after a failure */
		assert_int_equal(ssh_credentials_renew(c, NULL, &renewed), 0);
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	}
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	__lsan_disable();
	int rc = ssh_pool_exec(pool, &exec, &result, &sent, &err); /* at once: the refusal was another certificate's */
	__lsan_enable();
	if (rc != 0)
		fail_msg("%s", err.msg);
	assert_string_equal(result.output, "in\n");
	assert_int_equal(calls(), 2);
}

static int setup(void **state)
{
	struct nel_err err;
	int rc = secret_init(&err) != 0 ? -1 : sshd_group_setup(state);
	if (rc != 0 || !installed)
		return rc;
	setenv("SECRET", "of the daemon", 1);
	sshd_keygen(&sshd, "ca", "ed25519", "", NULL, NULL);
	sshd_keygen(&sshd, "key", "ecdsa", "", NULL, NULL);
	sshd_keygen(&sshd, "key25519", "ed25519", "", NULL, NULL);
	sshd_keygen(&sshd, "other", "ecdsa", "", NULL, NULL);
	sshd_keygen(&sshd, "locked", "ecdsa", "pass phrase", NULL, NULL);
	char path[SSHD_PATH_SIZE];
	CLEANUP(mem_freep)
	char *body = mem_printf("sign() { ssh-keygen -q -s ca -I test -n %s \"$@\"; }\n"
				"sign -V 20000101:20010101 key.pub && mv key-cert.pub expired || exit\n"
				"sign -V +52w:+60w key.pub && mv key-cert.pub early || exit\n"
				"sign -h key.pub && mv key-cert.pub of_host || exit\n"
				"sign -V +1h key.pub && sign -V +1h key25519.pub",
				sshd.user);
	write_program("sign", body, path);
	if (sshd_run((const char *const[]){path, NULL}) != 0)
		return -1;
	sshd_stop(&sshd);
	CLEANUP(mem_freep)
	char *lines = mem_printf("TrustedUserCAKeys %s/ca.pub\nAuthorizedKeysFile none", sshd.dir);
	sshd_write_config(&sshd, lines);
	return sshd_start(&sshd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_run_gives_key_and_certificate),
	    cmocka_unit_test(test_run_what_is_of_no_use_is_said),
	    cmocka_unit_test(test_run_types_of_keys),
	    cmocka_unit_test(test_run_not_there_is_said),
	    cmocka_unit_test(test_run_words_of_a_failure_are_without_the_key),
	    cmocka_unit_test(test_run_that_hangs_is_ended_with_its_group),
	    cmocka_unit_test(test_run_leaves_nothing_behind),
	    cmocka_unit_test(test_run_is_given_up_when_asked),
	    cmocka_unit_test(test_take_by_many_at_once_runs_it_once),
	    cmocka_unit_test(test_renew_comes_once_at_nine_tenths),
	    cmocka_unit_test(test_take_what_a_failed_renewal_leaves_is_used_until_it_expires),
	    cmocka_unit_test(test_take_what_was_refused_is_had_anew_later),
	    cmocka_unit_test(test_pool_logs_in_with_what_is_handed_out),
	};
	return cmocka_run_group_tests(tests, setup, sshd_group_teardown);
}

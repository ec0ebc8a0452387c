/* Logins with user certificates against a real sshd that trusts their authority and has no authorized key: from files
 * and from a real ssh-agent; and what is refused before, or by the server. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ssh/certificate.h"
#include "ssh/key_file.h"
#include "ssh/pool.h"
#include "ssh/session.h"

#include <libssh2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "real_sshd.h"

DEFINE_FREEP(struct ssh_session, session, ssh_session_close)
DEFINE_FREEP(struct ssh_pool, pool, ssh_pool_free)

static const struct kind {
	const char *name; /* of the key's file */
	const char *type;
	int since; /* the first libssh2 that can */
} kinds[] = {
    {"c_ecdsa", "ecdsa", 0},
    {"c_rsa", "rsa", 0x010b00},
    {"c_ed25519", "ed25519", 0x010b00},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static pid_t agent_pid;

/* Signs KEY.pub into KEY-cert.pub, or into the name given. */
static void sign(const char *ca, const char *key, const char *const options[], const char *as)
{
	char ca_path[SSHD_PATH_SIZE], public_path[SSHD_PATH_SIZE];
	CLEANUP(mem_freep) char *public_key = mem_printf("%s.pub", key);
	const char *argv[24] = {"ssh-keygen", "-q", "-s", sshd_path(&sshd, ca, ca_path), "-I", "test"};
	size_t n = 6;
	for (; *options != NULL; options++)
		argv[n++] = *options;
	argv[n] = sshd_path(&sshd, public_key, public_path);
	assert_int_equal(sshd_run(argv), 0);
	if (as == NULL)
		return;
	CLEANUP(mem_freep) char *from = mem_printf("%s/%s-cert.pub", sshd.dir, key);
	CLEANUP(mem_freep) char *to = mem_printf("%s/%s", sshd.dir, as);
	assert_int_equal(rename(from, to), 0);
}

static struct ssh_target target_of(const char *key, const char *certificate, struct sshd_paths *paths,
				   char path[SSHD_PATH_SIZE])
{
	struct ssh_target target = sshd_target(&sshd, key, paths);
	target.certificate_file = sshd_path(&sshd, certificate, path);
	return target;
}

static void assert_logs_in(const struct ssh_target *target)
{
	CLEANUP(session_freep) struct ssh_session *s = NULL;
	struct nel_err err = {0};
	__lsan_disable();
	int rc = ssh_session_open(target, &s, &err);
	__lsan_enable();
	if (rc != 0)
		fail_msg("%s", err.msg);
}

static void assert_denied(const struct ssh_target *target, const char *part)
{
	struct ssh_session *s = NULL;
	struct nel_err err = {0};
	__lsan_disable();
	assert_int_equal(ssh_session_open(target, &s, &err), -1);
	__lsan_enable();
	if (err.kind != NEL_DENIED || !err_is_login(err.reason) || strstr(err.msg, part) == NULL)
		fail_msg("%s: %s", err_kind_name(err.kind), err.msg);
}

static void test_open_certificates_log_in_or_are_refused(void **state)
{
	(void)state;
	NEEDS_SSHD();
	for (size_t i = 0; i < KINDS; i++) {
		struct sshd_paths paths;
		char path[SSHD_PATH_SIZE];
		CLEANUP(mem_freep) char *name = mem_printf("%s-cert.pub", kinds[i].name);
		struct ssh_target target = target_of(kinds[i].name, name, &paths, path);
		if (libssh2_version(kinds[i].since) != NULL)
			assert_logs_in(&target);
		else
			assert_denied(&target,
				      "with which libssh2 1.10.0 cannot log in; use a certificate of an ECDSA key");
		target.certificate_file = NULL;
		if (strcmp(kinds[i].type, "rsa") != 0 || key_file_takes_rsa())
			assert_denied(&target, "add its public half to authorized_keys");
	}
}

/* ssh-add takes KEY-cert.pub along with KEY. */
static void test_open_certificates_of_the_agent_log_in_or_are_left_out(void **state)
{
	(void)state;
	NEEDS_SSHD();
	for (size_t i = 0; i < KINDS; i++) {
		struct sshd_paths paths;
		char path[SSHD_PATH_SIZE];
		const char *none[] = {"ssh-add", "-q", "-D", NULL};
		const char *add[] = {"ssh-add", "-q", sshd_path(&sshd, kinds[i].name, path), NULL};
		assert_int_equal(sshd_run(none), 0);
		assert_int_equal(sshd_run(add), 0);
		struct ssh_target target = sshd_target(&sshd, "agent", &paths);
		target.key_file = NULL;
		target.agent_socket = paths.key;
		if (libssh2_version(kinds[i].since) != NULL)
			assert_logs_in(&target);
		else
			assert_denied(&target, strcmp(kinds[i].type, "rsa") == 0 ? "has no key to log in with"
										 : "refused the key");
	}
}

static void test_open_certificates_of_no_use_denied(void **state)
{
	(void)state;
	NEEDS_SSHD();
	static const struct {
		const char *certificate, *part;
	} cases[] = {
	    {"expired", "expired at 2001-01-01T"},
	    {"early", "is not valid before 2"},
	    {"host_kind", "is of a host, not of a user"},
	    {"c_ecdsa.pub", "is not one of OpenSSH's: `ssh-keygen -s"},
	    {"c_ecdsa", "is not one of OpenSSH's"},
	    {"cut", "is not one of OpenSSH's"},
	    {"short", "is cut off"},
	    {"nowhere", "cannot read the certificate"},
	    {"", "is not a file"},
	    {"other_key", "is not of the key /"},
	    /* What only the server knows. */
	    {"other_user", "and is the user among its principals?"},
	    {"other_ca", "does it trust the authority that signed it"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct sshd_paths paths;
		char path[SSHD_PATH_SIZE];
		struct ssh_target target = target_of("c_ecdsa", cases[i].certificate, &paths, path);
		assert_denied(&target, cases[i].part);
	}
}

/* The agent has the key alone, as of a smart card, and a file the certificate. */
static void test_open_certificate_in_a_file_of_a_key_of_the_agent(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct sshd_paths paths;
	char path[SSHD_PATH_SIZE], certificate[SSHD_PATH_SIZE];
	const char *none[] = {"ssh-add", "-q", "-D", NULL};
	const char *both[] = {"ssh-add", "-q", "-k", sshd_path(&sshd, "c_other", path), NULL};
	assert_int_equal(sshd_run(none), 0);
	assert_int_equal(sshd_run(both), 0);
	struct ssh_target target = sshd_target(&sshd, "agent", &paths);
	target.key_file = NULL;
	target.agent_socket = paths.key;
	target.certificate_file = sshd_path(&sshd, "c_ecdsa-cert.pub", certificate);
	assert_denied(&target, "has no key that the certificate");
	both[3] = sshd_path(&sshd, "c_ecdsa", path);
	assert_int_equal(sshd_run(both), 0);
	assert_logs_in(&target);
	target.certificate_file = sshd_path(&sshd, "expired", certificate);
	assert_denied(&target, "expired at 2001-01-01T");
}

/* As a person's own is had from the store. */
static void test_open_certificate_in_memory_logs_in(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct sshd_paths paths;
	char path[SSHD_PATH_SIZE], line[4096];
	size_t size = 0;
	struct nel_err err;
	CLEANUP(mem_freep) char *key = NULL;
	assert_int_equal(key_file_load(sshd_path(&sshd, "c_ecdsa", path), &key, &size, &err), 0);
	struct ssh_target target = sshd_target(&sshd, "c_ecdsa", &paths);
	sshd_read_line(&sshd, "c_ecdsa-cert.pub", line, sizeof line);
	target.key_file = NULL;
	target.key = key;
	target.key_size = size;
	target.key_name = "of alice";
	assert_denied(&target, "refused the key of alice");
	target.certificate = line;
	assert_logs_in(&target);
	sshd_read_line(&sshd, "expired", line, sizeof line);
	assert_denied(&target, "the certificate expired at 2001-01-01T");
	sshd_read_line(&sshd, "other_key", line, sizeof line);
	assert_denied(&target, "the certificate is not of the key of alice");
}

static const char *warning_of(const struct certificate *c, size_t i)
{
	const char *text = json_string_value(json_array_get(c->warnings, i));
	return text != NULL ? text : "";
}

static void test_load_tells_what_a_certificate_says(void **state)
{
	(void)state;
	NEEDS_SSHD();
	char path[SSHD_PATH_SIZE];
	struct nel_err err;
	CLEANUP(certificate_done) struct certificate c = {0}, plain = {0}, bare = {0};
	sign("ca", "c_other",
	     (const char *const[]){"-n", "svc,other", "-z", "77", "-V", "20200101000000Z:20300101000000Z", "-O",
				   "force-command=/bin/x y", "-O", "source-address=192.0.2.0/24", NULL},
	     "optioned");
	sign("ca", "c_other", (const char *const[]){"-V", "always:forever", NULL}, "bare");
	assert_int_equal(certificate_load(sshd_path(&sshd, "optioned", path), &c, &err), 0);
	assert_string_equal(c.type, "ecdsa-sha2-nistp256-cert-v01@openssh.com");
	assert_string_equal(c.key_id, "test");
	assert_int_equal(c.serial, 77);
	assert_int_equal(c.valid_after, 1577836800);
	assert_int_equal(c.expires_at, 1893456000);
	assert_true(certificate_names(&c, "svc") && certificate_names(&c, "other") && !certificate_names(&c, "svc2"));
	assert_int_equal(json_array_size(c.warnings), 2);
	assert_non_null(strstr(warning_of(&c, 0), "forces the command \"/bin/x y\" (force-command)"));
	assert_non_null(strstr(warning_of(&c, 1), "192.0.2.0/24 only (source-address)"));
	assert_int_equal(certificate_load(sshd_path(&sshd, "c_ecdsa-cert.pub", path), &plain, &err), 0);
	assert_int_equal(json_array_size(plain.warnings), 0);
	assert_string_not_equal(plain.id, c.id);
	assert_int_equal(certificate_load(sshd_path(&sshd, "bare", path), &bare, &err), 0);
	assert_int_equal(bare.expires_at, 0);
	assert_int_equal(certificate_check_time(&bare, "it", INT64_MAX, &err), 0);
	assert_non_null(strstr(warning_of(&bare, 0), "names no principal"));
}

/* A new certificate in the old one's place is taken at once, although the last refusal is remembered for a while. */
static void test_pool_renewed_certificate_is_taken_at_once(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct sshd_paths paths;
	char path[SSHD_PATH_SIZE];
	struct ssh_pool_options options = {.target = target_of("c_other", "renewed", &paths, path), .max_sessions = 1};
	struct ssh_exec exec = {.command = "echo in", .output_max = 100, .timeout_ms = 30000};
	struct nel_err err = {0};
	bool sent;
	sign("ca", "c_other", (const char *const[]){"-n", sshd.user, "-V", "20000101:20010101", NULL}, "renewed");
	CLEANUP(pool_freep) struct ssh_pool *pool = ssh_pool_new(&options);
	for (int i = 0; i < 2; i++) {
		CLEANUP(ssh_result_done) struct ssh_result result = {0};
		assert_int_equal(ssh_pool_exec(pool, &exec, &result, &sent, &err), -1);
		assert_non_null(strstr(err.msg, "expired at"));
	}
	sign("ca", "c_other", (const char *const[]){"-n", sshd.user, "-V", "+1h", NULL}, "renewed");
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	__lsan_disable();
	int rc = ssh_pool_exec(pool, &exec, &result, &sent, &err);
	__lsan_enable();
	if (rc != 0)
		fail_msg("%s", err.msg);
	assert_string_equal(result.output, "in\n");
}

/* Whatever a file holds, cut anywhere. */
static void test_load_cut_certificates_are_denied(void **state)
{
	(void)state;
	NEEDS_SSHD();
	char line[4096], path[SSHD_PATH_SIZE];
	struct nel_err err;
	sshd_read_line(&sshd, "c_ecdsa-cert.pub", line, sizeof line);
	size_t end = strcspn(strchr(line, ' ') + 1, " ") + (size_t)(strchr(line, ' ') + 1 - line);
	for (size_t size = 0; size < end; size += 7) {
		CLEANUP(mem_freep) char *part = mem_strndup(line, size);
		CLEANUP(certificate_done) struct certificate loaded = {0};
		sshd_write(&sshd, "part", "w", part);
		assert_int_equal(certificate_load(sshd_path(&sshd, "part", path), &loaded, &err), -1);
		assert_int_equal(err.kind, NEL_DENIED);
	}
}

static int setup(void **state)
{
	int rc = sshd_group_setup(state);
	if (rc != 0 || !installed)
		return rc;
	char path[SSHD_PATH_SIZE];
	const char *argv[] = {
	    "setpriv", "--pdeathsig", "TERM", "ssh-agent", "-D", "-a", sshd_path(&sshd, "agent", path), NULL};
	agent_pid = sshd_spawn(argv);
	for (int i = 0; i < 1000 && access(path, F_OK) != 0; i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	setenv("SSH_AUTH_SOCK", path, 1);
	sshd_keygen(&sshd, "ca", "ed25519", "", NULL, NULL);
	sshd_keygen(&sshd, "false_ca", "ed25519", "", NULL, NULL);
	sshd_keygen(&sshd, "c_other", "ecdsa", "", NULL, NULL);
	for (size_t i = 0; i < KINDS; i++)
		sshd_keygen(&sshd, kinds[i].name, kinds[i].type, "", NULL, NULL);
	const char *user = sshd.user;
	sign("ca", "c_ecdsa", (const char *const[]){"-n", user, "-V", "20000101:20010101", NULL}, "expired");
	sign("ca", "c_ecdsa", (const char *const[]){"-n", user, "-V", "+52w:+60w", NULL}, "early");
	sign("ca", "c_ecdsa", (const char *const[]){"-h", "-n", user, NULL}, "host_kind");
	sign("ca", "c_ecdsa", (const char *const[]){"-n", "somebody-else", NULL}, "other_user");
	sign("false_ca", "c_ecdsa", (const char *const[]){"-n", user, NULL}, "other_ca");
	sign("ca", "c_other", (const char *const[]){"-n", user, NULL}, "other_key");
	for (size_t i = 0; i < KINDS; i++)
		sign("ca", kinds[i].name, (const char *const[]){"-n", user, "-V", "+1h", NULL}, NULL);
	char line[4096];
	sshd_read_line(&sshd, "c_ecdsa-cert.pub", line, sizeof line);
	strchr(line, ' ')[1 + 256] = '\0'; /* whole groups of base64 */
	sshd_write(&sshd, "short", "w", line);
	line[30] = '\0';
	sshd_write(&sshd, "cut", "w", line);
	sshd_stop(&sshd);
	CLEANUP(mem_freep)
	char *lines = mem_printf("TrustedUserCAKeys %s/ca.pub\nAuthorizedKeysFile none", sshd.dir);
	sshd_write_config(&sshd, lines);
	return sshd_start(&sshd);
}

static int teardown(void **state)
{
	if (agent_pid > 0) {
		kill(agent_pid, SIGTERM);
		waitpid(agent_pid, NULL, 0);
	}
	return sshd_group_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_open_certificates_log_in_or_are_refused),
	    cmocka_unit_test(test_open_certificates_of_the_agent_log_in_or_are_left_out),
	    cmocka_unit_test(test_open_certificate_in_a_file_of_a_key_of_the_agent),
	    cmocka_unit_test(test_open_certificate_in_memory_logs_in),
	    cmocka_unit_test(test_load_tells_what_a_certificate_says),
	    cmocka_unit_test(test_open_certificates_of_no_use_denied),
	    cmocka_unit_test(test_pool_renewed_certificate_is_taken_at_once),
	    cmocka_unit_test(test_load_cut_certificates_are_denied),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

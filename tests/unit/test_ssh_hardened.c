/* Login nodes whose sshd permits little: each setting against the libssh2 that is there. What that can do has to work,
 * and of what it cannot the message says what each side has and what would help. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "ssh/session.h"

#include <libssh2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "real_sshd.h"

DEFINE_FREEP(struct ssh_session, session, ssh_session_close)

#define NEVER 0xffffff
#define V1_11 0x010b00
#define V1_11_1 0x010b01

struct setting {
	const char *name;
	const char *lines; /* of sshd_config */
	const char *host_key;
	int since;        /* the first libssh2 that can */
	const char *said; /* by those before */
	const char *help;
};

static const struct setting settings[] = {
    {"-etm MACs", "Ciphers aes256-ctr\nMACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com", "host", V1_11,
     "no common MAC: the server has hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com, and the daemon's "
     "libssh2 "
     "has hmac-sha2-256",
     "permit hmac-sha2-256 or hmac-sha2-512 there (MACs of sshd_config)"},
    {"AES-GCM", "Ciphers aes256-gcm@openssh.com,aes128-gcm@openssh.com", "host", V1_11,
     "no common cipher: the server has aes256-gcm@openssh.com,aes128-gcm@openssh.com, and the daemon's libssh2 has ",
     "permit aes256-ctr there (Ciphers of sshd_config)"},
    {"ChaCha20", "Ciphers chacha20-poly1305@openssh.com", "host", V1_11_1,
     "no common cipher: the server has chacha20-poly1305@openssh.com, and the daemon's libssh2 has ",
     "permit aes256-ctr there (Ciphers of sshd_config)"},
    {"an RSA host key", "HostKeyAlgorithms rsa-sha2-512,rsa-sha2-256", "host_rsa", V1_11,
     "no common type of host key: the server has rsa-sha2-512,rsa-sha2-256, and the daemon's libssh2 has ",
     "ssh-keygen -A"},
    {"an Ed25519 host key", "HostKeyAlgorithms ssh-ed25519", "host", 0, "", ""},
    {"an ECDSA host key", "HostKeyAlgorithms ecdsa-sha2-nistp521", "host_ecdsa", 0, "", ""},
    {"sntrup", "KexAlgorithms sntrup761x25519-sha512@openssh.com", "host", NEVER,
     "no common key exchange method: the server has sntrup761x25519-sha512@openssh.com", "permit curve25519-sha256"},
    {"ML-KEM", "KexAlgorithms mlkem768x25519-sha256", "host", NEVER,
     "no common key exchange method: the server has mlkem768x25519-sha256", "permit curve25519-sha256"},
    {"the strictest of all that can be reached",
     "KexAlgorithms curve25519-sha256\nCiphers aes256-gcm@openssh.com\nHostKeyAlgorithms ssh-ed25519\n"
     "PubkeyAcceptedAlgorithms ssh-ed25519",
     "host", V1_11, "no common cipher", "aes256-ctr"},
};

/* Does this sshd know what the setting names? That of Debian 12 has no ML-KEM. */
static bool is_known(const char *lines)
{
	char path[SSHD_PATH_SIZE];
	CLEANUP(mem_freep)
	char *config = mem_printf("%s\nHostKey %s\n", lines, sshd_path(&sshd, "host", path));
	sshd_write(&sshd, "try", "w", config);
	const char *argv[] = {SSHD_PROGRAM, "-t", "-f", sshd_path(&sshd, "try", path), NULL};
	return sshd_run(argv) == 0;
}

static void start_with(const struct setting *setting)
{
	char path[SSHD_PATH_SIZE], public_key[64];
	sshd_stop(&sshd);
	CLEANUP(mem_freep)
	char *lines = mem_printf("%s\nHostKey %s", setting->lines, sshd_path(&sshd, setting->host_key, path));
	sshd_write_config(&sshd, lines);
	snprintf(public_key, sizeof public_key, "%s.pub", setting->host_key);
	sshd_write_known_hosts(&sshd, public_key);
	assert_int_equal(sshd_start(&sshd), 0);
}

static void check_reached(const struct setting *setting, struct ssh_session *session)
{
	struct ssh_exec exec = {.command = "echo reached", .timeout_ms = 20000, .output_max = 100};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	struct nel_err err = {0};
	bool sent = false;
	if (ssh_session_exec(session, &exec, &result, &sent, &err) != 0)
		fail_msg("%s: %s", setting->name, err.msg);
	assert_string_equal(result.output, "reached\n");
}

static void test_open_hardened_sshd_is_reached_or_says_what_would_help(void **state)
{
	(void)state;
	NEEDS_SSHD();
	int reached = 0;
	for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
		const struct setting *setting = &settings[i];
		if (!is_known(setting->lines)) {
			print_message("this sshd does not know %s\n", setting->name);
			continue;
		}
		start_with(setting);
		struct sshd_paths paths;
		struct ssh_target target = sshd_target(&sshd, "user", &paths);
		CLEANUP(session_freep) struct ssh_session *session = NULL;
		struct nel_err err = {0};
		int rc = ssh_session_open(&target, &session, &err);
		if (libssh2_version(setting->since) != NULL) {
			if (rc != 0)
				fail_msg("%s: %s", setting->name, err.msg);
			check_reached(setting, session);
			reached++;
			continue;
		}
		if (rc == 0 || strstr(err.msg, setting->said) == NULL || strstr(err.msg, setting->help) == NULL)
			fail_msg("%s: %s", setting->name, rc == 0 ? "reached" : err.msg);
		assert_int_equal(err.kind, NEL_REMOTE);
	}
	assert_true(reached >= 2);
}

static int setup(void **state)
{
	int rc = sshd_group_setup(state);
	if (rc == 0 && installed) {
		sshd_keygen(&sshd, "host_rsa", "rsa", "", "-b", "3072");
		sshd_keygen(&sshd, "host_ecdsa", "ecdsa", "", "-b", "521");
	}
	return rc;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_open_hardened_sshd_is_reached_or_says_what_would_help),
	};
	return cmocka_run_group_tests(tests, setup, sshd_group_teardown);
}

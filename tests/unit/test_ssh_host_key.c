/* What needs no server: known_hosts lines, private key files, the text of proxy commands. */
#include "base/cleanup.h"
#include "ssh/agent.h"
#include "ssh/child.h"
#include "ssh/key_file.h"
#include "ssh/known_hosts.h"
#include "ssh/proxy_command.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ED "ssh-ed25519"
#define RSA "ssh-rsa"
#define KEY_A "AAAAC3NzaC1lZDI1NTE5AAAAIAqmXRY8k+W9GtpWxYru6ELAXYHdXqjf33ziITGTiJUN"
#define KEY_B "AAAAC3NzaC1lZDI1NTE5AAAAIBBBBBBBk+W9GtpWxYru6ELAXYHdXqjf33ziITGTiJUN"
/* ssh-keygen -H of "login.alpha" and of "[login.alpha]:2222" */
#define HASH_LOGIN "|1|l3qOB+VdgFGRa4Wdf7JKTqJipxY=|aECtKcAQLygrNVSQYbQCkCWcvFk="
#define HASH_2222 "|1|NgscOUDrP/lninOUeeoqEvLupFk=|+PB3GOPPR87NjXdnbZJ0OrZD/EM="

static LIBSSH2_SESSION *session;

static int setup(void **state)
{
	(void)state;
	session = libssh2_session_init_ex(NULL, NULL, NULL, NULL);
	return session == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	libssh2_session_free(session);
	return 0;
}

static void test_find_line_forms_verdict(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *address;
		int port;
		enum known_hosts_verdict verdict;
		int line;
	} cases[] = {
	    {"", "login.alpha", 22, KNOWN_HOSTS_UNKNOWN, 0},
	    {"login.alpha " ED " " KEY_A "\n", "login.alpha", 22, KNOWN_HOSTS_MATCH, 1},
	    {"login.alpha " ED " " KEY_A, "login.alpha", 22, KNOWN_HOSTS_MATCH, 1},
	    {"login.alpha " ED " " KEY_A " a comment\r\n", "login.alpha", 22, KNOWN_HOSTS_MATCH, 1},
	    {"\n# login.alpha " ED " " KEY_A "\n\tlogin.alpha\t" ED "\t" KEY_A "\r\n", "login.alpha", 22,
	     KNOWN_HOSTS_MATCH, 3},
	    {"LOGIN.alpha " ED " " KEY_A "\n", "login.ALPHA", 22, KNOWN_HOSTS_MATCH, 1},
	    {"other,login.alpha,10.0.0.1 " ED " " KEY_A "\n", "login.alpha", 22, KNOWN_HOSTS_MATCH, 1},
	    {"login.alpha.example " ED " " KEY_A "\n", "login.alpha", 22, KNOWN_HOSTS_UNKNOWN, 0},
	    {"login.alpha " ED " " KEY_B "\n", "login.alpha", 22, KNOWN_HOSTS_CHANGED, 1},
	    {"login.alpha " RSA " " KEY_A "\n", "login.alpha", 22, KNOWN_HOSTS_UNKNOWN, 0},
	    {"login.alpha " ED " " KEY_B "\nlogin.alpha " ED " " KEY_A "\n", "login.alpha", 22, KNOWN_HOSTS_MATCH, 2},
	    {"login.alpha " ED " " KEY_A "\nlogin.alpha " ED " " KEY_B "\n", "login.alpha", 22, KNOWN_HOSTS_MATCH, 1},
	    {"[login.alpha]:22 " ED " " KEY_A "\n", "login.alpha", 22, KNOWN_HOSTS_MATCH, 1},
	    {"[login.alpha]:2222 " ED " " KEY_A "\n", "login.alpha", 2222, KNOWN_HOSTS_MATCH, 1},
	    {"[login.alpha]:2222 " ED " " KEY_A "\n", "login.alpha", 2223, KNOWN_HOSTS_UNKNOWN, 0},
	    {"[login.alpha]:2222 " ED " " KEY_A "\n", "login.alpha", 22, KNOWN_HOSTS_UNKNOWN, 0},
	    {"login.alpha " ED " " KEY_A "\n", "login.alpha", 2222, KNOWN_HOSTS_MATCH, 1},
	    {"login.alpha " ED " " KEY_A "\n[login.alpha]:2222 " ED " " KEY_B "\n", "login.alpha", 2222,
	     KNOWN_HOSTS_CHANGED, 2},
	    {"*.alpha " ED " " KEY_A "\n", "login.alpha", 22, KNOWN_HOSTS_MATCH, 1},
	    {"login?.al*a " ED " " KEY_A "\n", "login1.alpha", 22, KNOWN_HOSTS_MATCH, 1},
	    {"login?.alpha " ED " " KEY_A "\n", "login.alpha", 22, KNOWN_HOSTS_UNKNOWN, 0},
	    {"*.alpha,!login.alpha " ED " " KEY_A "\n", "login.alpha", 22, KNOWN_HOSTS_UNKNOWN, 0},
	    {"!login.alpha,*.alpha " ED " " KEY_A "\n", "login.alpha", 22, KNOWN_HOSTS_UNKNOWN, 0},
	    {"!other.alpha,*.alpha " ED " " KEY_A "\n", "login.alpha", 22, KNOWN_HOSTS_MATCH, 1},
	    {"[*.alpha]:2222 " ED " " KEY_A "\n", "login.alpha", 2222, KNOWN_HOSTS_MATCH, 1},
	    {"login.alpha " ED " " KEY_A "\n@revoked * " ED " " KEY_A "\n", "login.alpha", 22, KNOWN_HOSTS_REVOKED, 2},
	    {"@revoked login.alpha " ED " " KEY_A "\nlogin.alpha " ED " " KEY_A "\n", "login.alpha", 2222,
	     KNOWN_HOSTS_REVOKED, 1},
	    {"@revoked * " ED " " KEY_B "\nlogin.alpha " ED " " KEY_A "\n", "login.alpha", 22, KNOWN_HOSTS_MATCH, 2},
	    {"@cert-authority * " ED " " KEY_A "\n", "login.alpha", 22, KNOWN_HOSTS_UNKNOWN, 0},
	    {"@unheard-of login.alpha " ED " " KEY_A "\n", "login.alpha", 22, KNOWN_HOSTS_UNKNOWN, 0},
	    {"login.alpha\nlogin.alpha " ED "\nlogin.alpha " ED " " KEY_A "\n", "login.alpha", 22, KNOWN_HOSTS_MATCH,
	     3},
	    {"login.alpha 1024 35 1234567\nlogin.alpha " ED " " KEY_A "\n", "login.alpha", 22, KNOWN_HOSTS_MATCH, 2},
	    {HASH_LOGIN " " ED " " KEY_A "\n", "login.alpha", 22, KNOWN_HOSTS_MATCH, 1},
	    {HASH_LOGIN " " ED " " KEY_B "\n", "login.alpha", 22, KNOWN_HOSTS_CHANGED, 1},
	    {HASH_LOGIN " " ED " " KEY_A "\n", "login.beta", 22, KNOWN_HOSTS_UNKNOWN, 0},
	    {HASH_2222 " " ED " " KEY_A "\n", "login.alpha", 2222, KNOWN_HOSTS_MATCH, 1},
	    {HASH_2222 " " ED " " KEY_A "\n", "login.alpha", 22, KNOWN_HOSTS_UNKNOWN, 0},
	    {"|1|not base64|at all " ED " " KEY_A "\n|1| " ED " " KEY_A "\n|1|| " ED " " KEY_A "\n", "login.alpha", 22,
	     KNOWN_HOSTS_UNKNOWN, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int line = -1;
		enum known_hosts_verdict verdict =
		    known_hosts_find(session, cases[i].text, cases[i].address, cases[i].port, ED, KEY_A, &line);
		if (verdict != cases[i].verdict || line != cases[i].line)
			fail_msg("case %zu: verdict %d, line %d; text: %s", i, (int)verdict, line, cases[i].text);
	}
}

static void test_find_endless_pattern_ends(void **state)
{
	(void)state;
	CLEANUP(str_done) struct str text = {0};
	for (int i = 0; i < 20000; i++)
		str_append(&text, "*a");
	str_append(&text, "b " ED " " KEY_A "\n");
	char name[256];
	memset(name, 'a', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	int line;
	assert_int_equal(known_hosts_find(session, str_text(&text), name, 22, ED, KEY_A, &line), KNOWN_HOSTS_UNKNOWN);
}

static void test_types_several_lines_each_once(void **state)
{
	(void)state;
	CLEANUP(str_done) struct str types = {0};
	known_hosts_types(session,
			  "login.alpha " RSA " " KEY_A "\n@revoked * ssh-dss " KEY_A "\nlogin.beta x-y " KEY_A
			  "\n*.alpha " ED " " KEY_A "\n" HASH_LOGIN " " RSA " " KEY_B "\n",
			  "login.alpha", 22, &types);
	assert_string_equal(str_text(&types), RSA "," ED);
}

static void test_name_port_as_ssh(void **state)
{
	(void)state;
	CLEANUP(str_done) struct str a = {0};
	CLEANUP(str_done) struct str b = {0};
	known_hosts_name("login.alpha", 22, &a);
	known_hosts_name("10.0.0.1", 2222, &b);
	assert_string_equal(str_text(&a), "login.alpha");
	assert_string_equal(str_text(&b), "[10.0.0.1]:2222");
}

static void test_key_file_check_forms_verdict(void **state)
{
	(void)state;
	const char *rsa = key_file_takes_rsa() ? NULL : "SHA-1 only";
	/* The bodies end after the parts that are looked at. */
	const struct {
		const char *text;
		const char *message; /* NULL: usable */
	} cases[] = {
	    {"-----BEGIN OPENSSH PRIVATE "
	     "KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAGwAAAAtzc2gtZWQyNTUxOQAAAAgBAQEBAQEBAQ="
	     "=\n-----END OPENSSH PRIVATE KEY-----\n",
	     NULL},
	    {"-----BEGIN OPENSSH PRIVATE "
	     "KEY-----"
	     "\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAIwAAABNlY2RzYS1zaGEyLW5pc3RwMjU2AAAACAEBAQEBAQE"
	     "B\n-----END OPENSSH PRIVATE KEY-----\n",
	     NULL},
	    {"-----BEGIN OPENSSH PRIVATE "
	     "KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAFwAAAAdzc2gtcnNhAAAACAEBAQEBAQEB\n-----"
	     "END OPENSSH PRIVATE KEY-----\n",
	     rsa},
	    {"-----BEGIN OPENSSH PRIVATE "
	     "KEY-----"
	     "\nb3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAAAAAAAEAAAAbAAAAC3NzaC1lZDI1NTE5AAAACAEBAQEBAQE"
	     "B\n-----END OPENSSH PRIVATE KEY-----\n",
	     "passphrases are not supported"},
	    {"-----BEGIN OPENSSH PRIVATE "
	     "KEY-----"
	     "\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAKgAAABpzay1zc2gtZWQyNTUxOUBvcGVuc3NoLmNvbQAAAAg"
	     "BAQEBAQEBAQ==\n-----END OPENSSH PRIVATE KEY-----\n",
	     "sk-ssh-ed25519@openssh.com"},
	    {"-----BEGIN OPENSSH PRIVATE "
	     "KEY-----"
	     "\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAOAAAAChlY2RzYS1zaGEyLW5pc3RwMjU2LWNlcnQt"
	     "djAxQG9wZW5zc2guY29tAAAACAEBAQEBAQEB\n-----END OPENSSH PRIVATE KEY-----\n",
	     "not supported"},
	    {"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\n-----END OPENSSH PRIVATE KEY-----\n",
	     "not a private key"},
	    {"-----BEGIN OPENSSH PRIVATE KEY-----\n!!!\n-----END OPENSSH PRIVATE KEY-----\n", "not a private key"},
	    {"-----BEGIN RSA PRIVATE KEY-----\nMII=\n-----END RSA PRIVATE KEY-----\n", rsa},
	    {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMII=\n-----END RSA PRIVATE KEY-----\n",
	     rsa == NULL ? "passphrases are not supported" : rsa},
	    {"-----BEGIN DSA PRIVATE KEY-----\nMII=\n-----END DSA PRIVATE KEY-----\n", "DSA"},
	    {"-----BEGIN EC PRIVATE KEY-----\nMHc=\n-----END EC PRIVATE KEY-----\n", NULL},
	    {"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMHc=\n-----END EC PRIVATE KEY-----\n",
	     "passphrases are not supported"},
	    {"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMII=\n-----END ENCRYPTED PRIVATE KEY-----\n",
	     "passphrases are not supported"},
	    {"-----BEGIN PRIVATE KEY-----\nMIIEvgIBADANBgkqhkiG9w0BAQEFAA==\n-----END PRIVATE KEY-----\n", rsa},
	    {"-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEH\n-----END PRIVATE KEY-----\n", NULL},
	    {"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n", "PKCS#8"},
	    {"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA", "not a private key"},
	    {"-----BEGIN ", "not a private key"},
	    {"ssh-ed25519 " KEY_A " me\n", "not a private key"},
	    {"", "not a private key"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct nel_err err = {0};
		int rc = key_file_check(cases[i].text, "/etc/k", &err);
		if (cases[i].message == NULL ? rc != 0 : rc == 0)
			fail_msg("case %zu: %d %s", i, rc, err.msg);
		if (rc == 0)
			continue;
		assert_int_equal(err.kind, NEL_DENIED);
		if (strstr(err.msg, cases[i].message) == NULL || strstr(err.msg, "/etc/k") == NULL)
			fail_msg("case %zu: %s", i, err.msg);
	}
}

/* Takes everybody who waits at the socket, a little later. */
static void *accept_late(void *arg)
{
	int fd = *(int *)arg;
	nanosleep(&(struct timespec){.tv_nsec = 200000000L}, NULL);
	while (poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 500) > 0)
		close(accept(fd, NULL, NULL));
	return NULL;
}

static void test_agent_with_a_full_backlog_is_tried_again(void **state)
{
	(void)state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	int waiting[16];
	size_t count = 0;
	snprintf(address.sun_path, sizeof address.sun_path, "/tmp/nel-agent-%d", (int)getpid());
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 0), 0);
	for (; count < 16; count++) {
		waiting[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(waiting[count], (struct sockaddr *)&address, sizeof address) != 0)
			break;
	}
	assert_int_equal(errno, EAGAIN);
	pthread_t thread;
	struct agent_keys keys = {0};
	struct nel_err err = {0};
	assert_int_equal(pthread_create(&thread, NULL, accept_late, &listener), 0);
	assert_int_equal(agent_list(address.sun_path, NULL, NULL, &keys, &err), -1);
	assert_null(strstr(err.msg, "cannot reach")); /* it was reached, and hung up */
	pthread_join(thread, NULL);
	for (size_t i = 0; i <= count && i < 16; i++)
		close(waiting[i]);
	close(listener);
	unlink(address.sun_path);
}

static void test_proxy_command_gets_little_of_the_environment(void **state)
{
	(void)state;
	char text[8192];
	size_t size = 0;
	int fd = -1;
	int diag_fd = -1;
	pid_t pid = 0;
	struct nel_err err;
	setenv("CREDENTIALS_DIRECTORY", "/run/credentials", 1);
	setenv("NOTIFY_SOCKET", "/run/notify", 1);
	setenv("SSH_AUTH_SOCK", "/run/agent", 1);
	assert_int_equal(proxy_command_start("exec env", &fd, &diag_fd, &pid, &err), 0);
	for (ssize_t n = 1; n > 0 && size + 1 < sizeof text; size += (size_t)n) {
		poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10000);
		n = read(fd, text + size, sizeof text - 1 - size);
		assert_true(n >= 0);
	}
	text[size] = '\0';
	child_stop(pid, NULL);
	close(fd);
	close(diag_fd);
	unsetenv("CREDENTIALS_DIRECTORY");
	unsetenv("NOTIFY_SOCKET");
	unsetenv("SSH_AUTH_SOCK");
	assert_non_null(strstr(text, "PATH="));
	assert_non_null(strstr(text, "SSH_AUTH_SOCK=/run/agent\n"));
	assert_null(strstr(text, "CREDENTIALS"));
	assert_null(strstr(text, "NOTIFY"));
}

static void test_expand_proxy_command_replaces_or_refuses(void **state)
{
	(void)state;
	static const struct {
		const char *command, *host, *user;
		const char *text; /* NULL: INVALID */
	} cases[] = {
	    {"ssh -W %h:%p bastion", "login.alpha", "svc", "ssh -W login.alpha:2222 bastion"},
	    {"nc -X 5 %h %p", "10.0.0.1", "svc", "nc -X 5 10.0.0.1 2222"},
	    {"ssh %r@bastion 50%%", "fe80::1%eth0", "svc_nel-1", "ssh svc_nel-1@bastion 50%"},
	    {"connect", "login.alpha", "svc", "connect"},
	    {"connect %x", "login.alpha", "svc", NULL},
	    {"connect %", "login.alpha", "svc", NULL},
	    {"connect %h", "a;touch x", "svc", NULL},
	    {"connect %h", "a b", "svc", NULL},
	    {"connect %h", "$(id)", "svc", NULL},
	    {"connect %h", "`id`", "svc", NULL},
	    {"connect %h", "-oProxyCommand=x", "svc", NULL},
	    {"connect %h", "", "svc", NULL},
	    {"connect %h", "login\n", "svc", NULL},
	    {"connect %r", "login", "a'b", NULL},
	    {"connect %r", "login", "-l", NULL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP(str_done) struct str text = {0};
		struct nel_err err = {0};
		int rc = proxy_command_expand(cases[i].command, cases[i].host, 2222, cases[i].user, &text, &err);
		if (cases[i].text == NULL) {
			assert_int_equal(rc, -1);
			assert_int_equal(err.kind, NEL_INVALID);
			assert_int_equal(text.len, 0);
		} else {
			assert_int_equal(rc, 0);
			assert_string_equal(str_text(&text), cases[i].text);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_find_line_forms_verdict),
	    cmocka_unit_test(test_find_endless_pattern_ends),
	    cmocka_unit_test(test_types_several_lines_each_once),
	    cmocka_unit_test(test_name_port_as_ssh),
	    cmocka_unit_test(test_key_file_check_forms_verdict),
	    cmocka_unit_test(test_expand_proxy_command_replaces_or_refuses),
	    cmocka_unit_test(test_agent_with_a_full_backlog_is_tried_again),
	    cmocka_unit_test(test_proxy_command_gets_little_of_the_environment),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

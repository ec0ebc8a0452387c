/* A real sshd of the test's own: on a free loopback port, with its files in a temporary directory, logins by key as the
 * user who runs the test. For tests/unit/test_ssh_*.c, which include it after cmocka.h. */
#ifndef NEL_TESTS_REAL_SSHD_H
#define NEL_TESTS_REAL_SSHD_H

#include "ssh/session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SSHD_PROGRAM "/usr/sbin/sshd"
#define SSHD_PATH_SIZE 128

extern char **environ;

struct real_sshd {
	char dir[64];
	char user[64];
	int port;
	pid_t pid;
};

static inline const char *sshd_path(const struct real_sshd *d, const char *name, char path[SSHD_PATH_SIZE])
{
	snprintf(path, SSHD_PATH_SIZE, "%s/%s", d->dir, name);
	return path;
}

/* Starts a program that has none of the test's descriptors, which it might outlive; its process, or -1. */
static inline pid_t sshd_spawn(const char *const argv[])
{
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	pid_t pid;
	int rc = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return rc == 0 ? pid : -1;
}

/* Runs a program to its end, quietly; its exit status. */
static inline int sshd_run(const char *const argv[])
{
	pid_t pid = sshd_spawn(argv);
	int status = -1;
	if (pid > 0)
		waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void sshd_write(const struct real_sshd *d, const char *name, const char *mode, const char *text)
{
	char path[SSHD_PATH_SIZE];
	FILE *f = fopen(sshd_path(d, name, path), mode);
	if (f == NULL)
		abort();
	fputs(text, f);
	fclose(f);
}

/* The file's first line, without its end. */
static inline void sshd_read_line(const struct real_sshd *d, const char *name, char *line, size_t size)
{
	char path[SSHD_PATH_SIZE];
	FILE *f = fopen(sshd_path(d, name, path), "r");
	if (f == NULL || fgets(line, (int)size, f) == NULL)
		abort();
	line[strcspn(line, "\n")] = '\0';
	fclose(f);
}

/* A key pair <name>, <name>.pub; extra is another option and its value, or NULLs. */
static inline void sshd_keygen(const struct real_sshd *d, const char *name, const char *type, const char *passphrase,
			       const char *option, const char *value)
{
	char path[SSHD_PATH_SIZE];
	sshd_path(d, name, path);
	const char *argv[] = {"ssh-keygen", "-q", "-t", type,   "-N",  passphrase, "-C",
			      "test",       "-f", path, option, value, NULL};
	if (sshd_run(argv) != 0)
		abort();
}

/* Bound, and not listened on, until the program ends: nobody else is given the port, and sshd, which sets SO_REUSEADDR,
 * may have it. */
static inline int sshd_free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) != 0 ||
	    bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || getsockname(fd, (struct sockaddr *)&a, &size) != 0)
		abort();
	return ntohs(a.sin_port);
}

static inline int sshd_answers(int port)
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = connect(fd, (struct sockaddr *)&a, sizeof a);
	close(fd);
	return rc == 0;
}

/* Starts it on its port and waits until that answers; 0 or -1. */
static inline int sshd_start(struct real_sshd *d)
{
	char config[SSHD_PATH_SIZE], log[SSHD_PATH_SIZE];
	/* It ends with the test, even when that ends badly. */
	const char *argv[] = {"setpriv",
			      "--pdeathsig",
			      "TERM",
			      SSHD_PROGRAM,
			      "-D",
			      "-f",
			      sshd_path(d, "config", config),
			      "-E",
			      sshd_path(d, "log", log),
			      NULL};
	d->pid = sshd_spawn(argv);
	for (int i = 0; i < 1000; i++) {
		if (sshd_answers(d->port))
			return 0;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	return -1;
}

/* A session that it has just forked may hold its socket for a moment longer. */
static inline void sshd_stop(struct real_sshd *d)
{
	if (d->pid > 0) {
		kill(d->pid, SIGTERM);
		waitpid(d->pid, NULL, 0);
		for (int i = 0; i < 1000 && sshd_answers(d->port); i++)
			nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	d->pid = 0;
}

static inline void sshd_write_known_hosts(const struct real_sshd *d, const char *key_file)
{
	char key[1024], line[1200];
	sshd_read_line(d, key_file, key, sizeof key);
	snprintf(line, sizeof line, "[127.0.0.1]:%d %s\n", d->port, key);
	sshd_write(d, "known_hosts", "w", line);
}

/* The configuration for the next start, with other lines, which come first and so count. OpenSSH 9.8 and later shut out
 * an address for a while after a login that failed; those before do not know the setting. */
static inline void sshd_write_config(const struct real_sshd *d, const char *extra)
{
	static const char *const patient[] = {"PerSourcePenalties no\n", ""};
	char config[1024], path[SSHD_PATH_SIZE];
	const char *test[] = {SSHD_PROGRAM, "-t", "-f", sshd_path(d, "config", path), NULL};
	for (size_t i = 0; i < sizeof patient / sizeof *patient; i++) {
		snprintf(
		    config, sizeof config,
		    "%s\n%sPort %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/authorized_keys\n"
		    "StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nPasswordAuthentication no\n"
		    "KbdInteractiveAuthentication no\nMaxStartups 100\nPrintMotd no\nPrintLastLog no\n"
		    /* Hard on its clients: one channel at a time. */
		    "MaxSessions 1\n"
		    /* What the user's own shell start-up files do is no concern of the tests. */
		    "SetEnv HOME=%s\n",
		    extra, patient[i], d->port, d->dir, d->dir, d->dir);
		sshd_write(d, "config", "w", config);
		if (sshd_run(test) == 0)
			return;
	}
}

/* Keys host, other_host, user (ed25519, authorised), ecdsa, pem (EC, authorised), wrong; a known_hosts file. */
static inline int sshd_set_up(struct real_sshd *d)
{
	if (access(SSHD_PROGRAM, X_OK) != 0)
		return 1; /* to be skipped */
	if (geteuid() == 0)
		mkdir("/run/sshd", 0755);
	snprintf(d->dir, sizeof d->dir, "/tmp/nel-test-ssh-XXXXXX");
	const struct passwd *pw = getpwuid(geteuid());
	if (mkdtemp(d->dir) == NULL || pw == NULL)
		return -1;
	snprintf(d->user, sizeof d->user, "%s", pw->pw_name);
	d->port = sshd_free_port();
	static const char *const authorized[] = {"user", "ecdsa", "pem"};
	sshd_keygen(d, "host", "ed25519", "", NULL, NULL);
	sshd_keygen(d, "other_host", "ed25519", "", NULL, NULL);
	sshd_keygen(d, "user", "ed25519", "", NULL, NULL);
	sshd_keygen(d, "ecdsa", "ecdsa", "", "-b", "384");
	sshd_keygen(d, "pem", "ecdsa", "", "-m", "PEM");
	sshd_keygen(d, "wrong", "ed25519", "", NULL, NULL);
	for (size_t i = 0; i < sizeof authorized / sizeof *authorized; i++) {
		char name[32], key[1024];
		snprintf(name, sizeof name, "%s.pub", authorized[i]);
		sshd_read_line(d, name, key, sizeof key);
		sshd_write(d, "authorized_keys", "a", key);
		sshd_write(d, "authorized_keys", "a", "\n");
	}
	sshd_write_config(d, "");
	sshd_write_known_hosts(d, "host.pub");
	return sshd_start(d);
}

static inline void sshd_tear_down(struct real_sshd *d)
{
	sshd_stop(d);
	const char *argv[] = {"rm", "-rf", d->dir, NULL};
	if (d->dir[0] != '\0')
		sshd_run(argv);
}

/* Strings that a target borrows. */
struct sshd_paths {
	char key[SSHD_PATH_SIZE], known_hosts[SSHD_PATH_SIZE];
};

static inline struct ssh_target sshd_target(const struct real_sshd *d, const char *key, struct sshd_paths *paths)
{
	return (struct ssh_target){.cluster = "alpha",
				   .hostname = "login.alpha",
				   .address = "127.0.0.1",
				   .port = d->port,
				   .username = d->user,
				   .key_file = sshd_path(d, key, paths->key),
				   .known_hosts_file = sshd_path(d, "known_hosts", paths->known_hosts),
				   .connect_timeout_ms = 20000};
}

/* The program's own, for cmocka_run_group_tests(). */
static struct real_sshd sshd;
static bool installed;

static inline int sshd_group_setup(void **state)
{
	(void)state;
	struct nel_err err = {0};
	if (ssh_init(&err) != 0)
		return -1;
	int rc = sshd_set_up(&sshd);
	installed = rc == 0;
	return rc < 0 ? -1 : 0;
}

/* As that, and a connection may have four sessions. */
static inline int sshd_group_setup_four_sessions(void **state)
{
	int rc = sshd_group_setup(state);
	if (rc != 0 || !installed)
		return rc;
	sshd_stop(&sshd);
	sshd_write_config(&sshd, "MaxSessions 4");
	return sshd_start(&sshd);
}

static inline int sshd_group_teardown(void **state)
{
	(void)state;
	sshd_tear_down(&sshd);
	ssh_done();
	return 0;
}

#define NEEDS_SSHD() \
	do { \
		if (!installed) \
			fail_msg("no sshd is installed: tests/install tests"); \
	} while (0)

/* Around what libssh2 1.10 leaks: 144 bytes in each login with an ECDSA key in OpenSSH's own format, and the server's
 * host key in each key re-exchange. */
#include "ssh/libssh2_leaks.h"

#endif

/* Owns the life of proxy commands: their text, start and end. */
#include "ssh/proxy_command.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define END_STEP_MS 10
#define END_STEPS 25

#define KEPT_MAX 11

/* What an ssh of its own may want of the daemon's environment. Nothing else goes along: credentials of systemd, sockets
 * and whatever else the daemon was started with are none of its business. */
static const char *const kept[KEPT_MAX] = {"PATH", "HOME",   "USER",          "LOGNAME",    "LANG",       "LC_ALL",
					   "TZ",   "TMPDIR", "SSH_AUTH_SOCK", "KRB5CCNAME", "KRB5_CONFIG"};

static void keep_environment(char *environment[KEPT_MAX + 1])
{
	size_t count = 0;
	for (size_t i = 0; i < KEPT_MAX; i++) {
		const char *value = getenv(kept[i]);
		if (value != NULL)
			environment[count++] = mem_printf("%s=%s", kept[i], value);
	}
	environment[count] = NULL;
}

static bool is_plain_word(const char *text, const char *extra)
{
	if (*text == '\0' || *text == '-')
		return false;
	for (; *text != '\0'; text++) {
		bool letter =
		    (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || (*text >= '0' && *text <= '9');
		if (!letter && strchr(extra, *text) == NULL)
			return false;
	}
	return true;
}

int proxy_command_expand(const char *command, const char *host, int port, const char *user, struct str *ret_text,
			 struct nel_err *err)
{
	if (!is_plain_word(host, "._-:%"))
		return err_set(err, NEL_INVALID, "the host name \"%s\" cannot be given to a proxy_command", host);
	if (!is_plain_word(user, "._-@+"))
		return err_set(err, NEL_INVALID, "the user name \"%s\" cannot be given to a proxy_command", user);
	CLEANUP(str_done) struct str text = {0};
	for (const char *p = command; *p != '\0'; p++) {
		if (*p != '%') {
			str_append_c(&text, *p);
			continue;
		}
		p++;
		switch (*p) {
		case 'h': str_append(&text, host); break;
		case 'p': str_appendf(&text, "%d", port); break;
		case 'r': str_append(&text, user); break;
		case '%': str_append_c(&text, '%'); break;
		default:
			return err_set(
			    err, NEL_INVALID,
			    "proxy_command has \"%%%.1s\"; known are %%h (host), %%p (port), %%r (user) and %%%%", p);
		}
	}
	str_append(ret_text, str_text(&text));
	return 0;
}

static int spawn(const char *text, int fd, int diag_fd, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int rc = posix_spawn_file_actions_init(&actions);
	if (rc != 0)
		return rc;
	rc = posix_spawnattr_init(&attributes);
	if (rc != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return rc;
	}
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	/* The ends are close-on-exec; their copies as 0, 1 and 2 are not, and nothing else goes along. */
	if ((rc = posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO)) == 0 &&
	    (rc = posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO)) == 0 &&
	    (rc = posix_spawn_file_actions_adddup2(&actions, diag_fd, STDERR_FILENO)) == 0 &&
	    (rc = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1)) == 0) {
		char *const argv[] = {"sh", "-c", (char *)text, NULL};
		char *environment[KEPT_MAX + 1];
		keep_environment(environment);
		rc = posix_spawn(ret_pid, "/bin/sh", &actions, &attributes, argv, environment);
		for (char **variable = environment; *variable != NULL; variable++)
			free(*variable);
	}
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

/* A descriptor above the standard ones, so that dup2() in the child cannot overwrite one that is still needed. */
static int above_standard(int fd)
{
	if (fd > STDERR_FILENO)
		return fd;
	int higher = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	close(fd);
	return higher;
}

int proxy_command_start(const char *text, int *ret_fd, int *ret_diag_fd, pid_t *ret_pid, struct nel_err *err)
{
	int ends[2], pipe_ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return err_sys(err, NEL_INTERNAL, errno, "cannot make a socket pair for proxy_command");
	CLEANUP(fd_closep) int ours = above_standard(ends[0]);
	CLEANUP(fd_closep) int theirs = above_standard(ends[1]);
	if (pipe2(pipe_ends, O_CLOEXEC) != 0)
		return err_sys(err, NEL_INTERNAL, errno, "cannot make a pipe for proxy_command");
	CLEANUP(fd_closep) int diag = above_standard(pipe_ends[0]);
	CLEANUP(fd_closep) int diag_theirs = above_standard(pipe_ends[1]);
	if (fcntl(ours, F_SETFL, O_NONBLOCK) != 0 || fcntl(diag, F_SETFL, O_NONBLOCK) != 0)
		return err_sys(err, NEL_INTERNAL, errno, "cannot prepare the ends of proxy_command");
	int rc = spawn(text, theirs, diag_theirs, ret_pid);
	if (rc != 0)
		return err_sys(err, NEL_INTERNAL, rc, "cannot start proxy_command");
	*ret_fd = ours;
	*ret_diag_fd = diag;
	ours = -1;
	diag = -1;
	return 0;
}

void proxy_command_stop(pid_t pid)
{
	/* Not reaped before the last signal: until then the number of the group cannot be anybody else's. */
	kill(-pid, SIGTERM);
	for (int i = 0; i < END_STEPS; i++) {
		siginfo_t info = {0};
		if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid)
			break;
		nanosleep(&(struct timespec){.tv_nsec = END_STEP_MS * 1000000L}, NULL);
	}
	kill(-pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

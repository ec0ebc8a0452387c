/* Owns the start and the end of children. */
#include "ssh/child.h"

#include "base/mem.h"
#include "base/str_list.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define END_STEP_MS 10
#define END_STEPS 25

/* What an ssh of its own may want of the daemon's environment. Nothing else goes along: credentials of systemd, sockets
 * and whatever else the daemon was started with are none of its business. */
static const char *const kept[] = {"PATH", "HOME",   "USER",          "LOGNAME",    "LANG",       "LC_ALL",
				   "TZ",   "TMPDIR", "SSH_AUTH_SOCK", "KRB5CCNAME", "KRB5_CONFIG"};
#define KEPT (sizeof kept / sizeof kept[0])

/* NULL-terminated; str_list_free() */
static char **make_environment(const char *const more[])
{
	size_t count = 0, extra = 0;
	while (more != NULL && more[extra] != NULL)
		extra++;
	char **environment = mem_calloc(KEPT + extra + 1, sizeof *environment);
	for (size_t i = 0; i < KEPT; i++) {
		const char *value = getenv(kept[i]);
		if (value != NULL)
			environment[count++] = mem_printf("%s=%s", kept[i], value);
	}
	for (size_t i = 0; i < extra; i++)
		environment[count++] = mem_strdup(more[i]);
	return environment;
}

int child_above_standard(int fd)
{
	if (fd > STDERR_FILENO)
		return fd;
	int higher = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	close(fd);
	return higher;
}

int child_start(const char *const argv[], int in, int out, int diag, const char *const more[], pid_t *ret_pid)
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
	if ((rc = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO)) == 0 &&
	    (rc = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO)) == 0 &&
	    (rc = posix_spawn_file_actions_adddup2(&actions, diag, STDERR_FILENO)) == 0 &&
	    (rc = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1)) == 0) {
		char **environment = make_environment(more);
		rc = posix_spawn(ret_pid, argv[0], &actions, &attributes, (char *const *)argv, environment);
		str_list_free(environment);
	}
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

void child_stop(pid_t pid, int *ret_status)
{
	int status = 0;
	/* Not reaped before the last signal: until then the number of the group cannot be anybody else's. */
	kill(-pid, SIGTERM);
	for (int i = 0; i < END_STEPS; i++) {
		siginfo_t info = {0};
		if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid)
			break;
		nanosleep(&(struct timespec){.tv_nsec = END_STEP_MS * 1000000L}, NULL);
	}
	kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (ret_status != NULL)
		*ret_status = status;
}

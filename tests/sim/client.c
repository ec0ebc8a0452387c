/* What stands on the simulated login node's PATH as sbatch, squeue, sacct, scancel, scontrol, sacctmgr, sinfo and date:
 * it sends its arguments to the simulator (simulator.py), and prints and returns what comes back. A small C program,
 * because thousands of sbatch calls have to be as quick as real ones. */
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUEST_MAX (1024 * 1024)
#define STATUS_SIGNAL 1000 /* a status above it: die by that signal */

static char request[REQUEST_MAX];
static size_t request_size = sizeof(uint32_t);

static void die(const char *what)
{
	fprintf(stderr, "simulated Slurm: %s: %s\n", what, strerror(errno));
	exit(70);
}

static void add(const char *text)
{
	size_t size = strlen(text) + 1;
	if (request_size + size > sizeof request) {
		errno = E2BIG;
		die("request");
	}
	memcpy(request + request_size, text, size);
	request_size += size;
}

static void write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		data += n;
		size -= (size_t)n;
	}
}

static void read_all(int fd, char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = read(fd, data, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die("read");
		if (n == 0) {
			errno = ECONNRESET;
			die("read");
		}
		data += n;
		size -= (size_t)n;
	}
}

static int connect_to(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
		die(path);
	return fd;
}

static void copy_out(int from, int to, uint32_t size)
{
	char buffer[65536];
	while (size > 0) {
		uint32_t part = size < sizeof buffer ? size : sizeof buffer;
		read_all(from, buffer, part);
		write_all(to, buffer, part);
		size -= part;
	}
}

static const char *variable(const char *name)
{
	const char *value = getenv(name);
	return value == NULL ? "" : value;
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/') == NULL ? argv[0] : strrchr(argv[0], '/') + 1;
	const char *socket_path = getenv("NEL_SIM_SOCKET");
	/* Only the clock's reading is simulated. */
	if (strcmp(name, "date") == 0 && (argc != 2 || strcmp(argv[1], "+%s") != 0)) {
		execv("/bin/date", argv);
		die("/bin/date");
	}
	if (socket_path == NULL) {
		errno = EINVAL;
		die("NEL_SIM_SOCKET is not set");
	}
	char cwd[4096];
	const struct passwd *user = getpwuid(getuid());
	add(name);
	add(getcwd(cwd, sizeof cwd) == NULL ? "/" : cwd);
	add(user == NULL ? "nobody" : user->pw_name);
	add(variable("SLURM_TIME_FORMAT"));
	for (int i = 1; i < argc; i++)
		add(argv[i]);
	uint32_t size = (uint32_t)(request_size - sizeof size);
	memcpy(request, &size, sizeof size);
	int fd = connect_to(socket_path);
	write_all(fd, request, request_size);
	uint32_t reply[3]; /* status, bytes for standard output, for standard error */
	read_all(fd, (char *)reply, sizeof reply);
	copy_out(fd, STDOUT_FILENO, reply[1]);
	copy_out(fd, STDERR_FILENO, reply[2]);
	if (reply[0] >= STATUS_SIGNAL) {
		signal((int)(reply[0] - STATUS_SIGNAL), SIG_DFL);
		raise((int)(reply[0] - STATUS_SIGNAL));
	}
	return (int)reply[0];
}

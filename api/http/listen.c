/* Owns the making of listening sockets; the server owns what comes of them. */
#include "api/http/listen.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

static int unix_address(const char *path, struct sockaddr_un *ret_address, struct nel_err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t size = strlen(path);
	if (size == 0 || size >= sizeof address.sun_path)
		return err_set(err, NEL_INVALID, "unix:%s: a socket's path has 1 to %zu bytes", path,
			       sizeof address.sun_path - 1);
	memcpy(address.sun_path, path, size);
	*ret_address = address;
	return 0;
}

/* Removes a socket that nobody listens on any more. */
static int remove_stale(const char *path, const struct sockaddr_un *address, struct nel_err *err)
{
	struct stat st;
	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : err_sys(err, NEL_INVALID, errno, "unix:%s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, NEL_CONFLICT, "unix:%s: there is a file, and it is not a socket", path);
	CLEANUP(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, NEL_INTERNAL, errno, "unix:%s", path);
	if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno != ECONNREFUSED)
		return err_set(err, NEL_CONFLICT, "unix:%s: another process listens there", path);
	if (unlink(path) != 0)
		return err_sys(err, NEL_INVALID, errno, "unix:%s: removing the old socket", path);
	return 0;
}

int listen_unix(const char *path, mode_t mode, int *ret_fd, struct nel_err *err)
{
	struct sockaddr_un address;
	if (unix_address(path, &address, err) != 0 || remove_stale(path, &address, err) != 0)
		return -1;
	CLEANUP(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* On Linux bind() gives the file the mode of the socket's inode, less the umask: it is never wider than that.
	 */
	if (fd < 0 || fchmod(fd, mode) != 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0)
		return err_sys(err, NEL_INVALID, errno, "unix:%s", path);
	if (chmod(path, mode) != 0 || listen(fd, SOMAXCONN) != 0)
		return err_sys(err, NEL_INVALID, errno, "unix:%s", path);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int bound_port(int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof address;
	if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
		return 0;
	if (address.ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)&address)->sin6_port);
	return ntohs(((const struct sockaddr_in *)&address)->sin_port);
}

static int bind_tcp(int fd, const struct addrinfo *info)
{
	const int on = 1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
		return -1;
	if (info->ai_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
		return -1;
	return bind(fd, info->ai_addr, info->ai_addrlen) == 0 ? listen(fd, SOMAXCONN) : -1;
}

static int resolve(const char *address, int port, struct addrinfo **ret_info)
{
	const struct addrinfo hints = {
	    .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
	    .ai_socktype = SOCK_STREAM,
	};
	char service[16];
	snprintf(service, sizeof service, "%d", port);
	return getaddrinfo(address, service, &hints, ret_info);
}

int listen_tcp(const char *address, int port, int *ret_fd, int *ret_port, struct nel_err *err)
{
	struct addrinfo *info = NULL;
	int code = resolve(address, port, &info);
	if (code != 0)
		return err_set(err, NEL_INVALID, "%s:%d: %s", address, port, gai_strerror(code));
	CLEANUP(fd_closep) int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int result = fd < 0 ? -1 : bind_tcp(fd, info);
	int sys = errno;
	freeaddrinfo(info);
	if (result != 0)
		return err_sys(err, sys == EADDRINUSE ? NEL_CONFLICT : NEL_INVALID, sys, "%s:%d", address, port);
	*ret_port = bound_port(fd);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

bool listen_is_unix(int fd, const char *path)
{
	return sd_is_socket_unix(fd, SOCK_STREAM, 1, path, 0) > 0;
}

bool listen_is_tcp(int fd, const char *address, int port)
{
	struct addrinfo *info = NULL;
	if (resolve(address, port, &info) != 0)
		return false;
	bool same = sd_is_socket_sockaddr(fd, SOCK_STREAM, info->ai_addr, info->ai_addrlen, 1) > 0;
	freeaddrinfo(info);
	return same;
}

int listen_adopt(int fd, int *ret_port, struct nel_err *err)
{
	int flags = fcntl(fd, F_GETFL);
	/* Several threads wait for connections, and only one gets each. */
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return err_sys(err, NEL_INTERNAL, errno, "the service manager's socket %d", fd);
	*ret_port = sd_is_socket(fd, AF_UNIX, 0, -1) > 0 ? 0 : bound_port(fd);
	return 0;
}

void listen_describe(int fd, char *ret_text, size_t size)
{
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof address - 1;
	char host[NI_MAXHOST];
	char port[NI_MAXSERV];
	if (getsockname(fd, (struct sockaddr *)&address, &length) != 0)
		snprintf(ret_text, size, "no socket");
	else if (address.ss_family == AF_UNIX)
		snprintf(ret_text, size, "unix:%s", ((const struct sockaddr_un *)&address)->sun_path);
	else if (getnameinfo((const struct sockaddr *)&address, length, host, sizeof host, port, sizeof port,
			     NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		snprintf(ret_text, size, "%s:%s", host, port);
	else
		snprintf(ret_text, size, "a socket of another kind");
}

/* Owns the text of proxy commands, and how they are started. */
#include "ssh/proxy_command.h"

#include "base/cleanup.h"
#include "ssh/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

int proxy_command_start(const char *text, int *ret_fd, int *ret_diag_fd, pid_t *ret_pid, struct nel_err *err)
{
	int ends[2], pipe_ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return err_sys(err, NEL_INTERNAL, errno, "cannot make a socket pair for proxy_command");
	CLEANUP(fd_closep) int ours = child_above_standard(ends[0]);
	CLEANUP(fd_closep) int theirs = child_above_standard(ends[1]);
	if (pipe2(pipe_ends, O_CLOEXEC) != 0)
		return err_sys(err, NEL_INTERNAL, errno, "cannot make a pipe for proxy_command");
	CLEANUP(fd_closep) int diag = child_above_standard(pipe_ends[0]);
	CLEANUP(fd_closep) int diag_theirs = child_above_standard(pipe_ends[1]);
	if (fcntl(ours, F_SETFL, O_NONBLOCK) != 0 || fcntl(diag, F_SETFL, O_NONBLOCK) != 0)
		return err_sys(err, NEL_INTERNAL, errno, "cannot prepare the ends of proxy_command");
	const char *const argv[] = {"/bin/sh", "-c", text, NULL};
	int rc = child_start(argv, theirs, theirs, diag_theirs, NULL, ret_pid);
	if (rc != 0)
		return err_sys(err, NEL_INTERNAL, rc, "cannot start proxy_command");
	*ret_fd = ours;
	*ret_diag_fd = diag;
	ours = -1;
	diag = -1;
	return 0;
}

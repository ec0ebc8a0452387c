/* Owns one run of a credential_command: its limits, and the reading of what it wrote. */
#include "ssh/credential_command.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mask.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "ssh/child.h"
#include "ssh/key_file.h"
#include "ssh/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAKE_MS 50
#define DIAG_MAX 4096 /* bytes of standard error that are kept: the last ones */
#define DIAG_SHOWN 300
#define KEY_NAME "of credential_command"
#define CERTIFICATE_NAME "the certificate of credential_command"
#define PEM_END "-----END "
#define PRIVATE_MARK "-----BEGIN "

/* One run. */
struct run {
	const struct credential_order *order;
	pid_t pid;
	int out, diag;
	char *output; /* CREDENTIAL_OUTPUT_MAX + 1 bytes of locked memory */
	size_t output_size;
	char said[DIAG_MAX + 1];
	size_t said_size;
	int64_t deadline_ms; /* monotonic */
};

void credential_done(struct credential *c)
{
	sodium_free(c->key);
	certificate_done(&c->certificate);
	*c = (struct credential){0};
}

static void run_done(struct run *run)
{
	fd_closep(&run->out);
	fd_closep(&run->diag);
	sodium_free(run->output);
	sodium_memzero(run->said, sizeof run->said);
}

static int start(struct run *run, struct nel_err *err)
{
	const struct credential_order *order = run->order;
	int out[2], diag[2];
	if (pipe2(out, O_CLOEXEC) != 0)
		return err_sys(err, NEL_INTERNAL, errno, "cannot make a pipe for credential_command");
	run->out = child_above_standard(out[0]);
	CLEANUP(fd_closep) int out_theirs = child_above_standard(out[1]);
	if (pipe2(diag, O_CLOEXEC) != 0)
		return err_sys(err, NEL_INTERNAL, errno, "cannot make a pipe for credential_command");
	run->diag = child_above_standard(diag[0]);
	CLEANUP(fd_closep) int diag_theirs = child_above_standard(diag[1]);
	CLEANUP(fd_closep) int nothing = child_above_standard(open("/dev/null", O_RDONLY | O_CLOEXEC));
	if (run->out < 0 || out_theirs < 0 || run->diag < 0 || diag_theirs < 0 || nothing < 0 ||
	    fcntl(run->out, F_SETFL, O_NONBLOCK) != 0 || fcntl(run->diag, F_SETFL, O_NONBLOCK) != 0)
		return err_sys(err, NEL_INTERNAL, errno, "cannot prepare the ends of credential_command");
	CLEANUP(mem_freep) char *cluster = mem_printf("NEL_CLUSTER=%s", order->cluster);
	CLEANUP(mem_freep) char *hostname = mem_printf("NEL_HOSTNAME=%s", order->hostname);
	CLEANUP(mem_freep) char *username = mem_printf("NEL_USERNAME=%s", order->username);
	const char *const more[] = {cluster, hostname, username, NULL};
	int rc = child_start(order->argv, nothing, out_theirs, diag_theirs, more, &run->pid);
	return rc == 0 ? 0 : err_sys(err, NEL_DENIED, rc, "credential_command %s cannot be run", order->argv[0]);
}

/* What is there now; *ret_open false at the end. -1: more than may be. */
static int read_output(struct run *run, bool *ret_open)
{
	for (;;) {
		size_t room = CREDENTIAL_OUTPUT_MAX - run->output_size;
		char spill;
		ssize_t n = read(run->out, room > 0 ? run->output + run->output_size : &spill, room > 0 ? room : 1);
		if (n > 0 && room == 0)
			return -1;
		if (n > 0)
			run->output_size += (size_t)n;
		else if (n == 0 || errno != EINTR) {
			*ret_open = n != 0 && errno == EAGAIN;
			return 0;
		}
	}
}

/* The same of standard error, of which the end is kept. */
static void read_said(struct run *run, bool *ret_open)
{
	char part[DIAG_MAX / 2];
	ssize_t n;
	while ((n = read(run->diag, part, sizeof part)) > 0 || (n < 0 && errno == EINTR)) {
		size_t size = n > 0 ? (size_t)n : 0;
		size_t over = run->said_size + size > DIAG_MAX ? run->said_size + size - DIAG_MAX : 0;
		memmove(run->said, run->said + over, run->said_size - over);
		run->said_size -= over;
		memcpy(run->said + run->said_size, part, size);
		run->said_size += size;
	}
	*ret_open = n < 0 && errno == EAGAIN;
	sodium_memzero(part, sizeof part);
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = {0};
	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid;
}

/* Until it has ended and its output is read. Who holds the pipes open beyond its end is not waited for. */
static int follow(struct run *run, struct nel_err *err)
{
	const struct credential_order *order = run->order;
	bool out_open = true, diag_open = true;
	for (;;) {
		bool ended = has_ended(run->pid);
		if (read_output(run, &out_open) != 0)
			return err_set(err, NEL_DENIED,
				       "credential_command %s wrote more than %d bytes, and was ended; it is to write "
				       "a private key and a certificate",
				       order->argv[0], CREDENTIAL_OUTPUT_MAX);
		read_said(run, &diag_open);
		if (ended)
			return 0;
		int64_t left_ms = run->deadline_ms - clock_mono_ms();
		if (transport_is_stopped(order->stop)) {
			err_set(err, NEL_REMOTE, "credential_command: given up, as asked");
			if (err != NULL)
				err->sys = ECANCELED;
			return -1;
		}
		if (left_ms <= 0)
			return err_set(err, NEL_DENIED,
				       "credential_command %s did not end within %lld s (credential_timeout_s), and "
				       "was ended with all that it had started",
				       order->argv[0], (long long)(order->timeout_ms / 1000));
		struct pollfd fds[] = {{.fd = out_open ? run->out : -1, .events = POLLIN},
				       {.fd = diag_open ? run->diag : -1, .events = POLLIN}};
		poll(fds, 2, left_ms < WAKE_MS ? (int)left_ms : WAKE_MS);
	}
}

/* Its last words on one line, without anything of the key: neither what it wrote to standard output, nor any other
 * key. */
static void append_said(const struct run *run, struct str *text)
{
	json_t *values = json_object();
	json_object_set_new(values, "output", json_stringn_nocheck(run->output, run->output_size));
	struct mask *mask = mask_new(values);
	char *said = mem_dup(run->said, run->said_size);
	mask_text(mask, said, true);
	char *key = strstr(said, PRIVATE_MARK);
	if (key != NULL)
		memset(key, '\0', strlen(key));
	size_t size = strlen(said);
	while (size > 0 && strchr(" \r\n\t", said[size - 1]) != NULL)
		said[--size] = '\0';
	const char *shown = size > DIAG_SHOWN ? said + size - DIAG_SHOWN : said;
	if (*shown != '\0')
		str_appendf(text, ": %s%s", shown != said ? "..." : "", shown);
	secret_free(said, run->said_size);
	mask_free(mask);
	secret_free_json(values);
}

/* What its end means. */
static int judge(const struct run *run, int status, struct nel_err *err)
{
	CLEANUP(str_done) struct str said = {0};
	const char *program = run->order->argv[0];
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	append_said(run, &said);
	if (WIFSIGNALED(status))
		return err_set(err, NEL_DENIED, "credential_command %s was ended by signal %d%s", program,
			       WTERMSIG(status), str_text(&said));
	return err_set(err, NEL_DENIED, "credential_command %s failed with exit status %d%s", program,
		       WEXITSTATUS(status), str_text(&said));
}

/* Where the private key begins, and where the rest behind it does; NULL when there is no whole one. */
static const char *find_key(const char *output, const char **ret_rest)
{
	const char *begin = strstr(output, PRIVATE_MARK);
	const char *end = begin == NULL ? NULL : strstr(begin, PEM_END);
	if (end == NULL)
		return NULL;
	end += strcspn(end, "\n");
	*ret_rest = *end == '\0' ? end : end + 1;
	return begin;
}

static int read_credential(const struct run *run, struct credential *c, struct nel_err *err)
{
	const char *program = run->order->argv[0];
	const char *rest = NULL;
	const char *key = strlen(run->output) == run->output_size ? find_key(run->output, &rest) : NULL;
	if (key == NULL)
		return err_set(err, NEL_DENIED,
			       "credential_command %s wrote no private key: it is to write one as ssh-keygen does "
			       "and, after it, a certificate line",
			       program);
	c->key_size = (size_t)(rest - key);
	c->key = sodium_malloc(c->key_size + 1);
	if (c->key == NULL)
		return err_set(err, NEL_NOMEM, "no memory for a key");
	memcpy(c->key, key, c->key_size);
	c->key[c->key_size] = '\0';
	if (key_file_check(c->key, "the key " KEY_NAME, err) != 0)
		return -1;
	rest += strspn(rest, " \t\r\n");
	CLEANUP(mem_freep) char *line = mem_strndup(rest, strcspn(rest, "\r\n"));
	if (*line == '\0')
		return err_set(err, NEL_DENIED,
			       "credential_command %s wrote a key and no certificate: a line as ssh-keygen -s writes "
			       "it is to follow the key",
			       program);
	if (certificate_parse(line, CERTIFICATE_NAME, &c->certificate, err) != 0 ||
	    certificate_check_time(&c->certificate, CERTIFICATE_NAME, clock_now_s(), err) != 0)
		return -1;
	return certificate_check_key(&c->certificate, CERTIFICATE_NAME, c->key, KEY_NAME, err);
}

int credential_command_run(const struct credential_order *order, struct credential *ret_credential, struct nel_err *err)
{
	CLEANUP(run_done)
	struct run run = {.order = order, .out = -1, .diag = -1, .deadline_ms = clock_mono_ms() + order->timeout_ms};
	CLEANUP(credential_done) struct credential c = {0};
	int status = 0;
	run.output = sodium_malloc(CREDENTIAL_OUTPUT_MAX + 1);
	if (run.output == NULL)
		return err_set(err, NEL_NOMEM, "no memory for a key");
	memset(run.output, 0, CREDENTIAL_OUTPUT_MAX + 1);
	if (start(&run, err) != 0)
		return -1;
	int rc = follow(&run, err);
	child_stop(run.pid, &status);
	if (rc != 0 || judge(&run, status, err) != 0 || read_credential(&run, &c, err) != 0)
		return -1;
	*ret_credential = c;
	c = (struct credential){0};
	return 0;
}

/* Owns the life of one SSH connection: connect, host key, login, keepalive, end. Commands are in session_exec.c. */
#include "ssh/session.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ssh/child.h"
#include "ssh/dial.h"
#include "ssh/host_key.h"
#include "ssh/kexinit.h"
#include "ssh/libssh2_leaks.h"
#include "ssh/login.h"
#include "ssh/proxy_command.h"
#include "ssh/session_internal.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECT_TIMEOUT_DEFAULT_MS 30000
#define KEEPALIVE_MS 15000     /* of silence before the server is asked whether it is there */
#define PROBE_TIMEOUT_MS 15000 /* for its answer */
#define FREE_TRIES 1000
#define OPEN_PAUSE_MS 5       /* before another try to open a channel; doubled each time */
#define OPEN_PAUSE_MAX_MS 160 /* the last one */

DEFINE_FREEP(struct ssh_session, session, ssh_session_close)

#if defined(__SANITIZE_THREAD__)
/* libcrypto, with which libssh2 1.11 is built, reads its tables under RCU: atomics of a library that is not built with
 * the thread sanitizer, which takes them for races. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:libcrypto.so\n";
}
#endif

int ssh_init(struct nel_err *err)
{
	int rc = libssh2_init(0);
	return rc == 0 ? 0 : err_set(err, NEL_INTERNAL, "libssh2 cannot be initialised (%d)", rc);
}

void ssh_done(void)
{
	libssh2_exit();
}

static int connect_transport(struct ssh_session *s, int64_t timeout_ms, const volatile bool *stop, struct nel_err *err)
{
	const struct ssh_target *t = &s->target;
	int fd = -1, diag_fd = -1;
	if (t->proxy_command == NULL) {
		if (dial(t->address, t->port, clock_mono_ms() + timeout_ms, stop, &fd, err) != 0)
			return -1;
	} else {
		CLEANUP(str_done) struct str text = {0};
		if (proxy_command_expand(t->proxy_command, t->address, t->port, t->username, &text, err) != 0 ||
		    proxy_command_start(str_text(&text), &fd, &diag_fd, &s->proxy, err) != 0)
			return -1;
	}
	transport_init(&s->transport, fd, diag_fd);
	return 0;
}

/* Sides that cannot agree: libssh2 says only that, and sshd closes the connection. */
static int handshake_failed(struct ssh_session *s, struct nel_err *err)
{
	char text[NEL_ERR_MSG_MAX - 128];
	struct transport *transport = &s->transport;
	transport_error(transport, s->ssh, s->target.hostname, "the SSH handshake", err);
	if (transport->fault != TRANSPORT_TIMEOUT && transport->fault != TRANSPORT_STOPPED &&
	    kexinit_explain(str_text(&transport->first_sent), transport->first_sent.len,
			    str_text(&transport->first_received), transport->first_received.len, text, sizeof text))
		err_set(err, NEL_REMOTE, "%s cannot be talked to: %s", s->target.hostname, text);
	return -1;
}

static int handshake(struct ssh_session *s, bool *ret_met, struct nel_err *err)
{
	const struct ssh_target *t = &s->target;
	s->ssh = libssh2_session_init_ex(NULL, NULL, NULL, NULL);
	if (s->ssh == NULL)
		return err_set(err, NEL_NOMEM, "libssh2 has no memory for a session");
	transport_attach(&s->transport, s->ssh);
	libssh2_session_set_blocking(s->ssh, 0);
	if (host_key_prefer_known(s->ssh, t->known_hosts_file, t->address, t->port, err) != 0)
		return err_because(err, NEL_DENIED, NEL_REASON_HOST_KEY);
	int rc;
	s->transport.recording = true;
	UNTIL_DONE(s, rc, LOSING(rc, libssh2_session_handshake(s->ssh, s->transport.fd)));
	s->transport.recording = false;
	if (rc != 0)
		return handshake_failed(s, err);
	str_done(&s->transport.first_sent);
	str_done(&s->transport.first_received);
	*ret_met = true;
	if (host_key_check(s->ssh, t->known_hosts_file, t->address, t->port, err) != 0)
		return err_because(err, NEL_DENIED, NEL_REASON_HOST_KEY);
	return 0;
}

int session_open(const struct ssh_target *target, const volatile bool *stop, struct ssh_session **ret_session,
		 bool *ret_met, struct nel_err *err)
{
	*ret_met = false;
	CLEANUP(login_done) struct login login = {0};
	if (login_prepare(target, stop, &login, err) != 0)
		return -1;
	CLEANUP(session_freep) struct ssh_session *s = mem_calloc(1, sizeof *s);
	s->target = *target;
	s->transport.fd = -1;
	s->transport.diag_fd = -1;
	int64_t timeout_ms = target->connect_timeout_ms > 0 ? target->connect_timeout_ms : CONNECT_TIMEOUT_DEFAULT_MS;
	int64_t start_ms = clock_mono_ms();
	int rc = connect_transport(s, timeout_ms, stop, err);
	if (rc == 0) {
		transport_set_deadline(&s->transport, timeout_ms - (clock_mono_ms() - start_ms), stop);
		rc = handshake(s, ret_met, err);
	}
	if (rc == 0 && login_run(s, &login, err) != 0)
		rc = err_because(err, NEL_DENIED, NEL_REASON_LOGIN);
	if (rc != 0)
		return -1;
	s->heard_ms = clock_mono_ms();
	*ret_session = TAKE(s);
	return 0;
}

int ssh_session_open(const struct ssh_target *target, struct ssh_session **ret_session, struct nel_err *err)
{
	bool met;
	return session_open(target, NULL, ret_session, &met, err);
}

void ssh_session_close(struct ssh_session *s)
{
	if (s == NULL)
		return;
	if (s->ssh != NULL) {
		/* A word to the server if it fits; nothing is waited for. From then on libssh2 finds the
		 * connection broken, so that freeing it does not end in waiting for channels to close. */
		if (s->transport.fault == TRANSPORT_OK) {
			libssh2_session_disconnect(s->ssh, "done");
			transport_flush(&s->transport);
		}
		s->transport.closing = true;
		for (int i = 0; i < FREE_TRIES && libssh2_session_free(s->ssh) == LIBSSH2_ERROR_EAGAIN; i++)
			;
	}
	transport_done(&s->transport);
	if (s->proxy != 0)
		child_stop(s->proxy, NULL);
	free(s);
}

/* The next channel, or NULL while it is not there yet; *ret_rc is then EAGAIN or what libssh2 said. */
static LIBSSH2_CHANNEL *try_open(struct ssh_session *s, int *ret_rc)
{
	LIBSSH2_CHANNEL *channel = libssh2_channel_open_session(s->ssh);
	*ret_rc = channel == NULL ? libssh2_session_last_errno(s->ssh) : 0;
	return channel;
}

static int try_close(struct ssh_session *s)
{
	int rc = libssh2_channel_free(s->channel);
	if (rc != LIBSSH2_ERROR_EAGAIN)
		s->channel = NULL;
	return rc;
}

int session_open_channel(struct ssh_session *s, LIBSSH2_CHANNEL **ret_channel, struct nel_err *err)
{
	int rc = 0;
	if (s->probe == PROBE_CLOSING)
		UNTIL_DONE(s, rc, try_close(s));
	/* A probe that is opening is the channel that is wanted. */
	if (rc == 0)
		UNTIL_DONE(s, rc, (*ret_channel = try_open(s, &rc), rc));
	/* sshd may find the channel before this one still open when this request comes right behind its end, and
	 * refuse one beyond MaxSessions: that passes. */
	for (long pause_ms = OPEN_PAUSE_MS; rc == LIBSSH2_ERROR_CHANNEL_FAILURE && pause_ms <= OPEN_PAUSE_MAX_MS;
	     pause_ms *= 2) {
		nanosleep(&(struct timespec){.tv_nsec = pause_ms * 1000000L}, NULL);
		UNTIL_DONE(s, rc, (*ret_channel = try_open(s, &rc), rc));
	}
	s->probe = PROBE_NONE;
	if (rc != 0)
		return transport_error(&s->transport, s->ssh, s->target.hostname, "the opening of a channel", err);
	s->heard_ms = clock_mono_ms();
	return 0;
}

/* One step of the keepalive; 0, EAGAIN, or libssh2's error. */
static int probe_step(struct ssh_session *s)
{
	int rc = 0;
	if (s->probe == PROBE_OPENING) {
		s->channel = try_open(s, &rc);
		if (rc != 0 && rc != LIBSSH2_ERROR_CHANNEL_FAILURE)
			return rc;
		s->heard_ms = clock_mono_ms();
		if (rc != 0) { /* a refusal is an answer, too */
			s->probe = PROBE_NONE;
			return 0;
		}
		s->probe = PROBE_CLOSING;
	}
	if (s->probe == PROBE_CLOSING) {
		rc = try_close(s);
		if (rc == 0)
			s->probe = PROBE_NONE;
	}
	return rc;
}

static bool has_input(const struct ssh_session *s)
{
	struct pollfd p = {.fd = s->transport.fd, .events = POLLIN};
	return poll(&p, 1, 0) > 0;
}

int ssh_session_keepalive(struct ssh_session *s, struct nel_err *err)
{
	int64_t now_ms = clock_mono_ms();
	if (s->probe == PROBE_NONE) {
		/* What the server says by itself wants to be read, too: its own keepalives, or that it goes. */
		if (now_ms - s->heard_ms < KEEPALIVE_MS && !has_input(s))
			return 0;
		s->probe = PROBE_OPENING;
		s->probe_until_ms = now_ms + PROBE_TIMEOUT_MS;
	}
	transport_set_deadline(&s->transport, s->probe_until_ms - now_ms, NULL);
	int rc = probe_step(s);
	transport_flush(&s->transport);
	if (rc == 0 || (rc == LIBSSH2_ERROR_EAGAIN && s->transport.fault == TRANSPORT_OK))
		return 0;
	return transport_error(&s->transport, s->ssh, s->target.hostname, "a keepalive", err);
}

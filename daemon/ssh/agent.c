/* Owns the exchange of messages with an ssh-agent. */
#include "ssh/agent.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "ssh/blob.h"
#include "ssh/certificate.h"
#include "ssh/key_file.h"
#include "ssh/transport.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define CONNECT_PAUSE_MS 20
#define REPLY_BYTES_MAX (256 * 1024) /* as OpenSSH's AGENT_MAX_LEN */
#define KEYS_MAX 64
#define WAKE_MS 100

/* draft-ietf-sshm-ssh-agent, 6.1 */
#define REQUEST_IDENTITIES 11
#define IDENTITIES_ANSWER 12
#define SIGN_REQUEST 13
#define SIGN_RESPONSE 14
#define RSA_SHA2_256 2
#define RSA_SHA2_512 4

/* One question to an agent. */
struct talk {
	const char *socket_path;
	int fd;
	int64_t deadline_ms; /* monotonic */
	const volatile bool *stop;
};

static void talk_done(struct talk *talk)
{
	fd_closep(&talk->fd);
}

void agent_keys_done(struct agent_keys *keys)
{
	for (size_t i = 0; i < keys->count; i++) {
		free(keys->items[i].blob);
		free(keys->items[i].type);
		free(keys->items[i].comment);
	}
	free(keys->items);
	*keys = (struct agent_keys){0};
}

static int deny_garbled(const struct talk *talk, struct nel_err *err)
{
	return err_set(err, NEL_DENIED, "the SSH agent at %s sent a reply that is none", talk->socket_path);
}

static int talk_goes_on(const struct talk *talk, struct nel_err *err)
{
	if (transport_is_stopped(talk->stop)) {
		err_set(err, NEL_REMOTE, "asking the SSH agent at %s: given up, as asked", talk->socket_path);
		if (err != NULL)
			err->sys = ECANCELED;
		return -1;
	}
	if (talk->deadline_ms <= clock_mono_ms())
		return err_set(err, NEL_DENIED, "the SSH agent at %s does not answer", talk->socket_path);
	return 0;
}

static int talk_connect(struct talk *talk, struct nel_err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t size = strlen(talk->socket_path);
	if (size >= sizeof address.sun_path)
		return err_set(err, NEL_DENIED, "the path of the SSH agent's socket is longer than %zu bytes: %s",
			       sizeof address.sun_path - 1, talk->socket_path);
	memcpy(address.sun_path, talk->socket_path, size);
	talk->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (talk->fd < 0)
		return err_sys(err, NEL_DENIED, errno, "cannot reach the SSH agent at %s", talk->socket_path);
	while (connect(talk->fd, (struct sockaddr *)&address, sizeof address) != 0) {
		/* unix(7) has no connection under way: many come at once, and there is room again soon. */
		if (errno != EAGAIN && errno != EINTR)
			return err_sys(err, NEL_DENIED, errno, "cannot reach the SSH agent at %s", talk->socket_path);
		if (talk_goes_on(talk, err) != 0)
			return -1;
		nanosleep(&(struct timespec){.tv_nsec = CONNECT_PAUSE_MS * 1000000L}, NULL);
	}
	return 0;
}

static int talk_wait(struct talk *talk, short events, struct nel_err *err)
{
	if (talk_goes_on(talk, err) != 0)
		return -1;
	int64_t left_ms = talk->deadline_ms - clock_mono_ms();
	if (left_ms < 0)
		left_ms = 0;
	struct pollfd p = {.fd = talk->fd, .events = events};
	if (poll(&p, 1, left_ms < WAKE_MS ? (int)left_ms : WAKE_MS) < 0 && errno != EINTR)
		return err_sys(err, NEL_DENIED, errno, "cannot wait for the SSH agent at %s", talk->socket_path);
	return 0;
}

static int talk_send(struct talk *talk, const struct str *message, struct nel_err *err)
{
	for (size_t done = 0; done < message->len;) {
		ssize_t n = send(talk->fd, message->data + done, message->len - done, MSG_NOSIGNAL);
		if (n >= 0)
			done += (size_t)n;
		else if (errno != EAGAIN && errno != EINTR)
			return err_sys(err, NEL_DENIED, errno, "cannot ask the SSH agent at %s", talk->socket_path);
		else if (talk_wait(talk, POLLOUT, err) != 0)
			return -1;
	}
	return 0;
}

static int talk_receive(struct talk *talk, void *buffer, size_t size, struct nel_err *err)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = recv(talk->fd, (char *)buffer + done, size - done, 0);
		if (n > 0)
			done += (size_t)n;
		else if (n == 0)
			return err_set(err, NEL_DENIED, "the SSH agent at %s hung up", talk->socket_path);
		else if (errno != EAGAIN && errno != EINTR)
			return err_sys(err, NEL_DENIED, errno, "cannot hear the SSH agent at %s", talk->socket_path);
		else if (talk_wait(talk, POLLIN, err) != 0)
			return -1;
	}
	return 0;
}

static void append_number(struct str *s, uint32_t n)
{
	const unsigned char bytes[] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16), (unsigned char)(n >> 8),
				       (unsigned char)n};
	str_append_n(s, bytes, sizeof bytes);
}

static void append_string(struct str *s, const void *data, size_t size)
{
	append_number(s, (uint32_t)size);
	str_append_n(s, data, size);
}

/* Sends one request and reads its reply (free()); *ret_blob is that without its type. */
static int ask(const char *socket_path, const volatile bool *stop, const struct str *request, unsigned char type,
	       unsigned char **ret_reply, struct blob *ret_blob, struct nel_err *err)
{
	CLEANUP(talk_done)
	struct talk talk = {socket_path, -1, clock_mono_ms() + AGENT_TIMEOUT_MS, stop};
	CLEANUP(str_done) struct str message = {0};
	unsigned char head[4];
	uint32_t size = 0;
	append_string(&message, request->data, request->len);
	if (talk_connect(&talk, err) != 0 || talk_send(&talk, &message, err) != 0 ||
	    talk_receive(&talk, head, sizeof head, err) != 0)
		return -1;
	struct blob number = {head, sizeof head};
	if (!blob_take_number(&number, &size) || size == 0 || size > REPLY_BYTES_MAX)
		return deny_garbled(&talk, err);
	CLEANUP(mem_freep) unsigned char *reply = mem_calloc(size, 1);
	if (talk_receive(&talk, reply, size, err) != 0)
		return -1;
	if (reply[0] != type)
		return err_set(err, NEL_DENIED, "the SSH agent at %s refused to %s", socket_path,
			       type == SIGN_RESPONSE ? "sign (is it locked, or does it want a confirmation?)"
						     : "list its keys");
	*ret_blob = (struct blob){reply + 1, size - 1};
	*ret_reply = TAKE(reply);
	return 0;
}

int agent_public_key_check(const char *line, struct nel_err *err)
{
	size_t size = 0;
	CLEANUP(mem_freep) unsigned char *data = blob_from_line(line, &size);
	struct blob blob = {data, size}, type;
	if (data == NULL || !blob_take_string(&blob, &type))
		return err_set(err, NEL_DENIED,
			       "what is given as the SSH agent's key is not a public key; give the line of its .pub "
			       "file: \"ssh-ed25519 AAAA...\"");
	return key_file_check_type(type, "the public key", err);
}

struct wanted {
	unsigned char *blob; /* NULL: any */
	size_t size;
};

static bool is_wanted(const struct wanted *wanted, struct blob blob)
{
	return wanted->blob == NULL || (wanted->size == blob.size && memcmp(wanted->blob, blob.data, blob.size) == 0);
}

static void add_key(struct agent_keys *keys, struct blob blob, struct blob type, struct blob comment)
{
	keys->items = mem_realloc(keys->items, keys->count + 1, sizeof *keys->items);
	keys->items[keys->count++] = (struct agent_key){.blob = (unsigned char *)mem_dup(blob.data, blob.size),
							.blob_size = blob.size,
							.type = mem_dup(type.data, type.size),
							.comment = mem_dup(comment.data, comment.size)};
}

/* Can it be logged in with, now? DENIED with the reason. */
static int check_usable(struct blob blob, struct blob type, const char *name, struct nel_err *err)
{
	if (!key_file_is_certificate(type))
		return key_file_check_type(type, name, err);
	CLEANUP(certificate_done) struct certificate certificate = {0};
	return certificate_read(blob, name, &certificate, err) != 0
		   ? -1
		   : certificate_check_time(&certificate, name, clock_now_s(), err);
}

/* Adds what is wanted and usable; *ret_reason (DENIED) why the last of the others is not. */
static int read_keys(struct blob reply, const struct wanted *wanted, struct agent_keys *keys,
		     struct nel_err *ret_reason)
{
	uint32_t count;
	if (!blob_take_number(&reply, &count))
		return -1;
	for (uint32_t i = 0; i < count && i < KEYS_MAX; i++) {
		struct blob blob, comment, inside, type;
		if (!blob_take_string(&reply, &blob) || !blob_take_string(&reply, &comment))
			return -1;
		inside = blob;
		if (!blob_take_string(&inside, &type) || !is_wanted(wanted, blob))
			continue;
		CLEANUP(mem_freep)
		char *name = mem_printf("its %s \"%.*s\"", key_file_is_certificate(type) ? "certificate" : "key",
					comment.size < 80 ? (int)comment.size : 80, (const char *)comment.data);
		if (check_usable(blob, type, name, ret_reason) == 0)
			add_key(keys, blob, type, comment);
	}
	return 0;
}

int agent_list(const char *socket_path, const char *public_key, const volatile bool *stop, struct agent_keys *ret_keys,
	       struct nel_err *err)
{
	struct wanted wanted = {0};
	CLEANUP(mem_freep) unsigned char *only = NULL;
	if (public_key != NULL) {
		if (agent_public_key_check(public_key, err) != 0)
			return -1;
		wanted.blob = only = blob_from_line(public_key, &wanted.size);
	}
	CLEANUP(mem_freep) unsigned char *reply = NULL;
	CLEANUP(str_done) struct str request = {0};
	CLEANUP(agent_keys_done) struct agent_keys keys = {0};
	struct nel_err reason = {0};
	struct blob blob;
	str_append_c(&request, REQUEST_IDENTITIES);
	if (ask(socket_path, stop, &request, IDENTITIES_ANSWER, &reply, &blob, err) != 0)
		return -1;
	if (read_keys(blob, &wanted, &keys, &reason) != 0)
		return deny_garbled(&(struct talk){.socket_path = socket_path}, err);
	if (keys.count == 0)
		return err_set(err, NEL_DENIED, "the SSH agent at %s has no %s%s%s", socket_path,
			       only == NULL ? "key to log in with (ssh-add adds one)"
					    : "key with the public half given",
			       reason.msg[0] == '\0' ? "" : ": ", reason.msg);
	*ret_keys = keys;
	keys = (struct agent_keys){0};
	return 0;
}

/* The algorithm of a signature as the data to be signed names it (RFC 4252, 7: session, message, user, service, method,
 * a true, algorithm): libssh2 chooses for an RSA key what the server takes (RFC 8332). */
static bool read_algorithm(struct blob data, struct blob *ret_algorithm)
{
	struct blob skipped;
	if (!blob_take_string(&data, &skipped) || data.size < 1)
		return false;
	data = (struct blob){data.data + 1, data.size - 1};
	if (!blob_take_string(&data, &skipped) || !blob_take_string(&data, &skipped) ||
	    !blob_take_string(&data, &skipped) || data.size < 1)
		return false;
	data = (struct blob){data.data + 1, data.size - 1};
	return blob_take_string(&data, ret_algorithm);
}

int agent_sign(const char *socket_path, const struct agent_key *key, const void *data, size_t size,
	       const volatile bool *stop, unsigned char **ret_signature, size_t *ret_size, struct nel_err *err)
{
	CLEANUP(mem_freep) unsigned char *reply = NULL;
	CLEANUP(str_done) struct str request = {0};
	struct blob blob, both, wanted, algorithm, signature;
	if (!read_algorithm((struct blob){data, size}, &wanted))
		return err_set(err, NEL_INTERNAL, "libssh2 asks for a signature of what is no login");
	wanted = key_file_plain_type(wanted);
	str_append_c(&request, SIGN_REQUEST);
	append_string(&request, key->blob, key->blob_size);
	append_string(&request, data, size);
	append_number(&request, blob_is(wanted, "rsa-sha2-512")   ? RSA_SHA2_512
				: blob_is(wanted, "rsa-sha2-256") ? RSA_SHA2_256
								  : 0);
	if (ask(socket_path, stop, &request, SIGN_RESPONSE, &reply, &blob, err) != 0)
		return -1;
	if (!blob_take_string(&blob, &both) || !blob_take_string(&both, &algorithm) || algorithm.size != wanted.size ||
	    memcmp(algorithm.data, wanted.data, wanted.size) != 0 || !blob_take_string(&both, &signature))
		return deny_garbled(&(struct talk){.socket_path = socket_path}, err);
	*ret_signature = (unsigned char *)mem_dup(signature.data, signature.size);
	*ret_size = signature.size;
	return 0;
}

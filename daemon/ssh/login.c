/* Owns the way in: which key, the questions to libssh2 and to the agent, and what a refusal is called. */
#include "ssh/login.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/secret.h"
#include "ssh/certificate.h"
#include "ssh/key_file.h"

#include <string.h>

#define DISCONNECT_NO_MORE_METHODS 14 /* RFC 4253, 11.1 */

/* What messages call the key. */
static const char *key_name(const struct ssh_target *t)
{
	if (t->key_name != NULL)
		return t->key_name;
	return t->key_file != NULL ? t->key_file : "given for this account";
}

int login_prepare(const struct ssh_target *t, const volatile bool *stop, struct login *ret_login, struct nel_err *err)
{
	if (t->agent_socket != NULL)
		return agent_list(t->agent_socket, t->agent_key, stop, &ret_login->agent, err);
	if (t->key == NULL) {
		if (t->certificate_file != NULL &&
		    certificate_load(t->certificate_file, clock_now_s(), &ret_login->certificate, err) != 0)
			return -1;
		return key_file_load(t->key_file, &ret_login->key, &ret_login->key_size, err);
	}
	char *copy = mem_dup(t->key, t->key_size);
	if (key_file_check(copy, key_name(t), err) != 0) {
		secret_free(copy, t->key_size);
		return -1;
	}
	ret_login->key = copy;
	ret_login->key_size = t->key_size;
	return 0;
}

void login_done(struct login *login)
{
	secret_free(login->key, login->key_size);
	free(login->certificate);
	agent_keys_done(&login->agent);
	*login = (struct login){0};
}

/* After a refusal sshd may also hang up: MaxAuthTries. It sends SSH2_MSG_DISCONNECT then with the reason PROTOCOL_ERROR
 * (2), which other faults have, too (auth_maxtries_exceeded() of its auth.c), so that only its text tells them apart.
 */
static const char too_many_tries[] = "Too many authentication failures";

static bool is_refusal(const struct ssh_session *s, int rc)
{
	if (rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED)
		return true;
	if (s->transport.disconnect_reason != 0)
		return s->transport.disconnect_reason == DISCONNECT_NO_MORE_METHODS ||
		       strstr(str_text(&s->transport.diag), too_many_tries) != NULL;
	return rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED;
}

/* What rc of a login means; `what` says which keys were tried. */
static int judge(struct ssh_session *s, int rc, const char *what, struct nel_err *err)
{
	const struct ssh_target *t = &s->target;
	/* So does sshd, without a word, when PAM refuses the account of a key that it has accepted. */
	if (rc == LIBSSH2_ERROR_EAGAIN && s->transport.fault == TRANSPORT_EOF)
		return err_set(
		    err, NEL_DENIED,
		    "%s closed the connection when user %s logged in with %s (has the account expired, or is "
		    "it locked?)",
		    t->hostname, t->username, what);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return transport_error(&s->transport, s->ssh, t->hostname, "the login", err);
	if (is_refusal(s, rc))
		return err_set(
		    err, NEL_DENIED, "%s refused %s for user %s (%s)%s", t->hostname, what, t->username,
		    t->certificate_file != NULL
			? "does it trust the authority that signed it, is it of this key, and is the user among "
			  "its principals?"
			: "add its public half to authorized_keys",
		    rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED && s->transport.disconnect_reason == 0
			? "; it knows the key, but asks for more or refuses the account"
			: "");
	if (rc == LIBSSH2_ERROR_FILE || rc == LIBSSH2_ERROR_KEYFILE_AUTH_FAILED ||
	    rc == LIBSSH2_ERROR_METHOD_NOT_SUPPORTED) {
		char *text = NULL;
		libssh2_session_last_error(s->ssh, &text, NULL, 0);
		return err_set(err, NEL_DENIED, "libssh2 cannot use %s: %s", what, text == NULL ? "" : text);
	}
	return transport_error(&s->transport, s->ssh, t->hostname, "the login", err);
}

static int run_key(struct ssh_session *s, const struct login *login, struct nel_err *err)
{
	const struct ssh_target *t = &s->target;
	const char *certificate = login->certificate;
	size_t certificate_size = certificate == NULL ? 0 : strlen(certificate);
	CLEANUP(mem_freep)
	char *what = certificate == NULL
			 ? mem_printf("the key %s", key_name(t))
			 : mem_printf("the key %s with the certificate %s", key_name(t), t->certificate_file);
	int rc;
	UNTIL_DONE(s, rc,
		   libssh2_userauth_publickey_frommemory(s->ssh, t->username, strlen(t->username), certificate,
							 certificate_size, login->key, login->key_size, NULL));
	return rc == 0 ? 0 : judge(s, rc, what, err);
}

/* What libssh2 hands to the function that signs. */
struct signer {
	const struct ssh_session *session;
	const struct agent_key *key;
	struct nel_err err;
	bool failed;
};

static int sign(LIBSSH2_SESSION *ssh, unsigned char **ret_signature, size_t *ret_size, const unsigned char *data,
		size_t size, void **abstract)
{
	(void)ssh;
	struct signer *signer = *abstract;
	const struct ssh_session *s = signer->session;
	int rc = agent_sign(s->target.agent_socket, signer->key, data, size, s->transport.stop, ret_signature, ret_size,
			    &signer->err);
	signer->failed = rc != 0;
	return rc;
}

/* The agent's keys one after the other, as ssh(1) does. */
static int run_agent(struct ssh_session *s, const struct login *login, struct nel_err *err)
{
	const struct ssh_target *t = &s->target;
	int rc = LIBSSH2_ERROR_AUTHENTICATION_FAILED;
	size_t tried = 0;
	while (tried < login->agent.count && rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED) {
		const struct agent_key *key = &login->agent.items[tried++];
		struct signer signer = {.session = s, .key = key};
		void *abstract = &signer;
		UNTIL_DONE(s, rc,
			   libssh2_userauth_publickey(s->ssh, t->username, key->blob, key->blob_size, sign, &abstract));
		if (signer.failed) {
			if (err != NULL)
				*err = signer.err;
			return -1;
		}
	}
	if (rc == 0)
		return 0;
	CLEANUP(mem_freep)
	char *what = tried == 1 ? mem_printf("the key \"%.200s\" of the SSH agent at %s", login->agent.items[0].comment,
					     t->agent_socket)
				: mem_printf("each of %zu keys of the SSH agent at %s", tried, t->agent_socket);
	return judge(s, rc, what, err);
}

int login_run(struct ssh_session *s, const struct login *login, struct nel_err *err)
{
	return login->key != NULL ? run_key(s, login, err) : run_agent(s, login, err);
}

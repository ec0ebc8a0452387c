/* Owns the way in: which key, the questions to libssh2 and to the agent, and what a refusal is called. */
#include "ssh/login.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/secret.h"
#include "ssh/key_file.h"
#include "ssh/libssh2_leaks.h"

#include <string.h>

#define DISCONNECT_NO_MORE_METHODS 14 /* RFC 4253, 11.1 */

/* What messages call the key. */
static const char *key_name(const struct ssh_target *t)
{
	if (t->credentials != NULL && ssh_credentials_are_handed_out(t->credentials))
		return "of credential_command";
	if (t->key_name != NULL)
		return t->key_name;
	return t->key_file != NULL ? t->key_file : "given for this account";
}

/* The certificate, when there is one; valid now. */
static int read_certificate(const struct ssh_target *t, struct certificate *ret_certificate, struct nel_err *err)
{
	CLEANUP(certificate_done) struct certificate certificate = {0};
	CLEANUP(mem_freep)
	char *name = t->certificate_file != NULL ? mem_printf("the certificate %s", t->certificate_file)
						 : mem_strdup("the certificate");
	int rc = t->certificate_file != NULL ? certificate_load(t->certificate_file, &certificate, err)
					     : certificate_parse(t->certificate, name, &certificate, err);
	if (rc != 0 || certificate_check_time(&certificate, name, clock_now_s(), err) != 0)
		return err_because(err, NEL_DENIED, NEL_REASON_CREDENTIAL);
	*ret_certificate = certificate;
	certificate = (struct certificate){0};
	return 0;
}

/* The agent's key that the certificate is of; what is logged in with is the certificate. */
static int pair_with_agent(const struct ssh_target *t, struct login *login, struct nel_err *err)
{
	for (size_t i = 0; i < login->agent.count; i++) {
		const struct agent_key *key = &login->agent.items[i];
		if (key->blob_size == login->certificate.key_size &&
		    memcmp(key->blob, login->certificate.key, key->blob_size) == 0) {
			login->agent_only = key;
			return 0;
		}
	}
	err_set(err, NEL_DENIED, "the SSH agent at %s has no key that the certificate %s is of", t->agent_socket,
		t->certificate_file);
	return err_because(err, NEL_DENIED, NEL_REASON_CREDENTIAL);
}

static int prepare_agent(const struct ssh_target *t, const volatile bool *stop, struct login *login,
			 struct nel_err *err)
{
	if (t->certificate_file != NULL && read_certificate(t, &login->certificate, err) != 0)
		return -1;
	if (agent_list(t->agent_socket, t->agent_key, stop, &login->agent, err) != 0)
		return -1;
	return t->certificate_file != NULL ? pair_with_agent(t, login, err) : 0;
}

static int prepare_key(const struct ssh_target *t, struct login *login, struct nel_err *err)
{
	if (t->key == NULL)
		return key_file_load(t->key_file, &login->key, &login->key_size, err);
	login->key = mem_dup(t->key, t->key_size);
	login->key_size = t->key_size;
	return key_file_check(login->key, key_name(t), err);
}

static int prepare(const struct ssh_target *t, const volatile bool *stop, struct login *login, struct nel_err *err)
{
	if (t->agent_socket != NULL)
		return prepare_agent(t, stop, login, err);
	if (t->credentials != NULL && ssh_credentials_are_handed_out(t->credentials))
		return ssh_credentials_take(t->credentials, stop, &login->handed_out, err) == 0
			   ? 0
			   : err_because(err, NEL_DENIED, NEL_REASON_CREDENTIAL);
	bool certified = t->key != NULL ? t->certificate != NULL : t->certificate_file != NULL;
	if (certified && read_certificate(t, &login->certificate, err) != 0)
		return -1;
	if (prepare_key(t, login, err) != 0)
		return -1;
	if (certified &&
	    certificate_check_key(&login->certificate, "the certificate", login->key, key_name(t), err) != 0)
		return err_because(err, NEL_DENIED, NEL_REASON_CREDENTIAL);
	return 0;
}

int login_prepare(const struct ssh_target *t, const volatile bool *stop, struct login *ret_login, struct nel_err *err)
{
	CLEANUP(login_done) struct login login = {0};
	if (prepare(t, stop, &login, err) != 0)
		return err != NULL && err->reason == NEL_REASON_CREDENTIAL
			   ? -1
			   : err_because(err, NEL_DENIED, NEL_REASON_LOGIN);
	*ret_login = login;
	login = (struct login){0};
	return 0;
}

void login_done(struct login *login)
{
	secret_free(login->key, login->key_size);
	certificate_done(&login->certificate);
	credential_done(&login->handed_out);
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

static bool is_certified(const struct ssh_target *t)
{
	return t->certificate_file != NULL || (t->key != NULL && t->certificate != NULL) ||
	       (t->credentials != NULL && ssh_credentials_are_handed_out(t->credentials));
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
		    is_certified(t)
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
	const struct credential *handed_out = &login->handed_out;
	const char *certificate = handed_out->key != NULL ? handed_out->certificate.line : login->certificate.line;
	size_t certificate_size = certificate == NULL ? 0 : strlen(certificate);
	const char *key = handed_out->key != NULL ? handed_out->key : login->key;
	size_t key_size = handed_out->key != NULL ? handed_out->key_size : login->key_size;
	CLEANUP(mem_freep)
	char *what = certificate == NULL ? mem_printf("the key %s", key_name(t))
		     : t->certificate_file != NULL
			 ? mem_printf("the key %s with the certificate %s", key_name(t), t->certificate_file)
			 : mem_printf("the key %s with its certificate", key_name(t));
	int rc;
	UNTIL_DONE(
	    s, rc,
	    LOSING(rc, libssh2_userauth_publickey_frommemory(s->ssh, t->username, strlen(t->username), certificate,
							     certificate_size, key, key_size, NULL)));
	if (handed_out->key != NULL && (rc == 0 || is_refusal(s, rc)))
		ssh_credentials_note_login(t->credentials, handed_out->certificate.id, rc != 0);
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
	const struct agent_key *only = login->agent_only;
	size_t count = only != NULL ? 1 : login->agent.count;
	while (tried < count && rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED) {
		const struct agent_key *key = only != NULL ? only : &login->agent.items[tried];
		const unsigned char *blob = only != NULL ? login->certificate.blob : key->blob;
		size_t size = only != NULL ? login->certificate.blob_size : key->blob_size;
		struct signer signer = {.session = s, .key = key};
		void *abstract = &signer;
		tried++;
		UNTIL_DONE(s, rc, libssh2_userauth_publickey(s->ssh, t->username, blob, size, sign, &abstract));
		if (signer.failed) {
			if (err != NULL)
				*err = signer.err;
			return -1;
		}
	}
	if (rc == 0)
		return 0;
	CLEANUP(mem_freep)
	char *what = tried > 1 ? mem_printf("each of %zu keys of the SSH agent at %s", tried, t->agent_socket)
			       : mem_printf("the key \"%.200s\" of the SSH agent at %s%s%s",
					    (only != NULL ? only : login->agent.items)->comment, t->agent_socket,
					    only != NULL ? " with the certificate " : "",
					    only != NULL ? t->certificate_file : "");
	return judge(s, rc, what, err);
}

int login_run(struct ssh_session *s, const struct login *login, struct nel_err *err)
{
	return login->agent.count > 0 ? run_agent(s, login, err) : run_key(s, login, err);
}

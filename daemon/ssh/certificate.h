/* OpenSSH's user certificates (PROTOCOL.certkeys): which one is of use, said before anything is connected to. */
#ifndef NEL_SSH_CERTIFICATE_H
#define NEL_SSH_CERTIFICATE_H

#include "base/err.h"
#include "ssh/blob.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define CERTIFICATE_LINE_MAX 16384 /* bytes */
#define CERTIFICATE_ID_SIZE 65     /* 64 hex digits and a NUL */

/* What one says. Zeroed: none. Texts have no control characters. */
struct certificate {
	char *line;          /* "type base64", as libssh2 wants it */
	unsigned char *blob; /* the same in bytes */
	size_t blob_size;
	unsigned char *key; /* the public key that it is of (RFC 4253, 6.6) */
	size_t key_size;
	char *type; /* "ecdsa-sha2-nistp256-cert-v01@openssh.com" */
	char *key_id;
	uint64_t serial;
	json_t *principals;  /* an array of texts */
	int64_t valid_after; /* UTC; 0: always was */
	int64_t expires_at;  /* UTC; 0: never */
	json_t *warnings; /* an array of texts: what may keep it from being of use, which only the login node knows */
	char id[CERTIFICATE_ID_SIZE]; /* another one for another certificate */
};

void certificate_done(struct certificate *certificate);

/* Reads a line as ssh-keygen -s writes it; messages call it `name`, as "the certificate /etc/keys/a-cert.pub", here and
 * below. DENIED when it is no user's certificate, or is of a
 * type that the libssh2 here cannot log in with. */
int certificate_parse(const char *line, const char *name, struct certificate *ret_certificate, struct nel_err *err);

/* The same of its bytes. */
int certificate_read(struct blob blob, const char *name, struct certificate *ret_certificate, struct nel_err *err);

/* The same of a file's first line; DENIED also when the file cannot be read. */
int certificate_load(const char *path, struct certificate *ret_certificate, struct nel_err *err);

/* Is it valid at that time (UTC)? DENIED when not, with its bounds. */
int certificate_check_time(const struct certificate *certificate, const char *name, int64_t now_s, struct nel_err *err);

/* Is it of the private key in `text` (as ssh-keygen writes it)? DENIED when not. What is in PEM has no public half to
 * compare with: the login node says so then. */
int certificate_check_key(const struct certificate *certificate, const char *name, const char *text,
			  const char *key_name, struct nel_err *err);

/* Does it name the account among its principals? When it does not, the login node has to know them otherwise
 * (AuthorizedPrincipalsFile). */
bool certificate_names(const struct certificate *certificate, const char *username);

#endif

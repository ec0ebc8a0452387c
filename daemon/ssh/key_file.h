/* Private key files: what can be used, said before anything is connected to. */
#ifndef NEL_SSH_KEY_FILE_H
#define NEL_SSH_KEY_FILE_H

#include "base/err.h"
#include "ssh/blob.h"

#include <stdbool.h>
#include <stddef.h>

/* Reads the key at path. DENIED when it cannot be read, is open to others (as ssh(1) has it), needs a passphrase, or is
 * of a kind that the libssh2 here cannot log in with. *ret_text is NUL-terminated; give it to secret_free() with its
 * size.
 */
int key_file_load(const char *path, char **ret_text, size_t *ret_size, struct nel_err *err);

/* Is this text of a private key (OpenSSH's own format or PEM) one to log in with? DENIED with the reason; `path` is for
 * the message. */
int key_file_check(const char *text, const char *path, struct nel_err *err);

/* The public half (RFC 4253, 6.6; free()) of a private key in OpenSSH's own format, which has it in the clear; NULL for
 * any other text. */
unsigned char *key_file_public_half(const char *text, size_t *ret_size);

/* As key_file_check() for the type of a key ("ssh-ed25519") or of a user certificate
 * ("ssh-ed25519-cert-v01@openssh.com"), which is called `name` in the message. */
int key_file_check_type(struct blob type, const char *name, struct nel_err *err);

bool key_file_is_certificate(struct blob type);

/* The type without the end that makes it a certificate's: what signatures are called (PROTOCOL.certkeys). */
struct blob key_file_plain_type(struct blob type);

/* Can the libssh2 here log in with RSA keys? */
bool key_file_takes_rsa(void);

#endif

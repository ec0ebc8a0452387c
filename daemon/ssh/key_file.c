/* Owns the reading of private key files and the reasons for which one is not usable. */
#include "ssh/key_file.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <libssh2.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#define KEY_BYTES_MAX (64 * 1024)
#define PEM_MARK "-----BEGIN "
#define USE_OTHERS "use an ed25519 or ECDSA key"

bool key_file_takes_rsa(void)
{
	return libssh2_version(0x010b00) != NULL;
}

/* RSA keys are for libssh2 1.11 and later, which sign with SHA-2 (RFC 8332). */
static int check_rsa(const char *path, struct nel_err *err)
{
	if (key_file_takes_rsa())
		return 0;
	return err_set(
	    err, NEL_DENIED,
	    "%s is an RSA key: libssh2 %s signs RSA with SHA-1 only, which OpenSSH 8.8 and later refuse; " USE_OTHERS
	    " (or libssh2 1.11)",
	    path, libssh2_version(0));
}

static int deny_passphrase(const char *path, struct nel_err *err)
{
	return err_set(err, NEL_DENIED, "%s is encrypted: passphrases are not supported; use a key without one", path);
}

static int deny_unknown(const char *path, struct nel_err *err)
{
	return err_set(err, NEL_DENIED, "%s is not a private key in OpenSSH or PEM format", path);
}

#define CERTIFICATE "-cert-v01@openssh.com"

bool key_file_is_certificate(struct blob type)
{
	size_t end = strlen(CERTIFICATE);
	return type.size > end && memcmp(type.data + type.size - end, CERTIFICATE, end) == 0;
}

struct blob key_file_plain_type(struct blob type)
{
	return key_file_is_certificate(type) ? (struct blob){type.data, type.size - strlen(CERTIFICATE)} : type;
}

/* Found with 1.10 and 1.11.1: the older one sends a signature by the certificate's type, which is right for ECDSA. */
static int check_certificate(struct blob type, const char *name, struct nel_err *err)
{
	struct blob plain = key_file_plain_type(type);
	if (key_file_takes_rsa() || blob_is(plain, "ecdsa-sha2-nistp256") || blob_is(plain, "ecdsa-sha2-nistp384") ||
	    blob_is(plain, "ecdsa-sha2-nistp521"))
		return 0;
	return err_set(err, NEL_DENIED,
		       "%s is of type %.*s, with which libssh2 %s cannot log in; use a certificate of an ECDSA key, or "
		       "libssh2 1.11",
		       name, type.size < 64 ? (int)type.size : 64, (const char *)type.data, libssh2_version(0));
}

int key_file_check_type(struct blob type, const char *name, struct nel_err *err)
{
	struct blob plain = key_file_plain_type(type);
	bool rsa = blob_is(plain, "ssh-rsa");
	if (!rsa && !blob_is(plain, "ssh-ed25519") && !blob_is(plain, "ecdsa-sha2-nistp256") &&
	    !blob_is(plain, "ecdsa-sha2-nistp384") && !blob_is(plain, "ecdsa-sha2-nistp521"))
		return err_set(err, NEL_DENIED, "%s is a key of type %.*s, which is not supported; " USE_OTHERS, name,
			       type.size < 64 ? (int)type.size : 64, (const char *)type.data);
	if (key_file_is_certificate(type))
		return check_certificate(type, name, err);
	return rsa ? check_rsa(name, err) : 0;
}

/* OpenSSH's PROTOCOL.key: magic, cipher, kdf, kdf options, number of keys, public key (a string that begins with its
 * type), private part. */
static bool read_openssh(struct blob key, struct blob *ret_cipher, struct blob *ret_public)
{
	static const char magic[] = "openssh-key-v1"; /* with its NUL */
	struct blob kdf, options;
	uint32_t keys;
	if (key.size < sizeof magic || memcmp(key.data, magic, sizeof magic) != 0)
		return false;
	key.data += sizeof magic;
	key.size -= sizeof magic;
	return blob_take_string(&key, ret_cipher) && blob_take_string(&key, &kdf) && blob_take_string(&key, &options) &&
	       blob_take_number(&key, &keys) && blob_take_string(&key, ret_public);
}

static int check_openssh(struct blob key, const char *path, struct nel_err *err)
{
	struct blob cipher, public_key, type;
	if (!read_openssh(key, &cipher, &public_key) || !blob_take_string(&public_key, &type))
		return deny_unknown(path, err);
	if (key_file_is_certificate(type))
		return err_set(err, NEL_DENIED,
			       "%s has a certificate within, which is not supported; give it beside the key", path);
	if (key_file_check_type(type, path, err) != 0)
		return -1;
	if (!blob_is(cipher, "none"))
		return deny_passphrase(path, err);
	return 0;
}

/* PKCS#8: the algorithm is an object identifier near the start. */
static int check_pkcs8(struct blob key, const char *path, struct nel_err *err)
{
	static const unsigned char rsa[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
	static const unsigned char ec[] = {0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
	size_t near = key.size < 40 ? key.size : 40;
	if (memmem(key.data, near, rsa, sizeof rsa) != NULL)
		return check_rsa(path, err);
	if (memmem(key.data, near, ec, sizeof ec) == NULL)
		return err_set(
		    err, NEL_DENIED,
		    "%s is a PKCS#8 key that is neither RSA nor ECDSA; " USE_OTHERS " as ssh-keygen makes it", path);
	return 0;
}

/* What is between the marks, as bytes; NULL when it is no base64. For secret_free() with a size of end - body. */
static unsigned char *read_body(const char *body, const char *end, size_t *ret_size)
{
	size_t room = (size_t)(end - body);
	unsigned char *data = mem_calloc(room + 1, 1);
	if (sodium_base642bin(data, room, body, room, " \r\n\t", ret_size, NULL, sodium_base64_VARIANT_ORIGINAL) == 0)
		return data;
	secret_free((char *)data, room);
	return NULL;
}

unsigned char *key_file_public_half(const char *text, size_t *ret_size)
{
	const char *begin = strstr(text, PEM_MARK "OPENSSH PRIVATE KEY-----");
	const char *body = begin == NULL ? NULL : strchr(begin, '\n');
	const char *end = body == NULL ? NULL : strstr(body, "-----END ");
	size_t size = 0;
	unsigned char *data = end == NULL ? NULL : read_body(body, end, &size);
	unsigned char *half = NULL;
	struct blob cipher, public_key;
	if (data == NULL)
		return NULL;
	if (read_openssh((struct blob){data, size}, &cipher, &public_key)) {
		half = (unsigned char *)mem_dup(public_key.data, public_key.size);
		*ret_size = public_key.size;
	}
	secret_free((char *)data, (size_t)(end - body));
	return half;
}

static int check_body(const char *kind, const char *body, const char *end, const char *path, struct nel_err *err)
{
	size_t room = (size_t)(end - body), size = 0;
	unsigned char *data = read_body(body, end, &size);
	int rc;
	if (data == NULL)
		return deny_unknown(path, err);
	if (str_starts_with(kind, "OPENSSH "))
		rc = check_openssh((struct blob){data, size}, path, err);
	else
		rc = check_pkcs8((struct blob){data, size}, path, err);
	secret_free((char *)data, room);
	return rc;
}

int key_file_check(const char *text, const char *path, struct nel_err *err)
{
	const char *begin = strstr(text, PEM_MARK);
	if (begin == NULL)
		return deny_unknown(path, err);
	const char *kind = begin + strlen(PEM_MARK);
	const char *body = strchr(kind, '\n');
	const char *end = body == NULL ? NULL : strstr(body, "-----END ");
	if (end == NULL)
		return deny_unknown(path, err);
	bool rsa = str_starts_with(kind, "RSA PRIVATE KEY-----");
	if (rsa && check_rsa(path, err) != 0)
		return -1;
	if (str_starts_with(kind, "DSA PRIVATE KEY-----"))
		return err_set(err, NEL_DENIED, "%s is a DSA key, which OpenSSH refuses; " USE_OTHERS, path);
	const char *encrypted = strstr(body, "Proc-Type: 4,ENCRYPTED");
	if (str_starts_with(kind, "ENCRYPTED PRIVATE KEY-----") || (encrypted != NULL && encrypted < end))
		return deny_passphrase(path, err);
	if (rsa || str_starts_with(kind, "EC PRIVATE KEY-----"))
		return 0;
	if (str_starts_with(kind, "OPENSSH PRIVATE KEY-----") || str_starts_with(kind, "PRIVATE KEY-----"))
		return check_body(kind, body, end, path, err);
	return deny_unknown(path, err);
}

static int check_mode(int fd, const char *path, struct nel_err *err)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return err_sys(err, NEL_DENIED, errno, "cannot read the key file %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, NEL_DENIED, "the key file %s is not a file", path);
	/* As ssh(1): a file of somebody else's is that one's business. */
	if (st.st_uid == geteuid() && (st.st_mode & 077) != 0)
		return err_set(err, NEL_DENIED, "the key file %s is open to others (mode %04o): it must be 0600", path,
			       (unsigned)(st.st_mode & 07777));
	if (st.st_size > KEY_BYTES_MAX)
		return err_set(err, NEL_DENIED, "the key file %s is larger than %d bytes", path, KEY_BYTES_MAX);
	return 0;
}

int key_file_load(const char *path, char **ret_text, size_t *ret_size, struct nel_err *err)
{
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return err_sys(err, NEL_DENIED, errno, "cannot read the key file %s", path);
	if (check_mode(fd, path, err) != 0)
		return -1;
	char *text = mem_calloc(KEY_BYTES_MAX + 1, 1);
	ssize_t size = file_read(fd, text, KEY_BYTES_MAX);
	int rc = size < 0 ? err_sys(err, NEL_DENIED, errno, "cannot read the key file %s", path)
			  : key_file_check(text, path, err);
	if (rc != 0) {
		secret_free(text, KEY_BYTES_MAX + 1);
		return -1;
	}
	*ret_text = text;
	*ret_size = (size_t)size;
	return 0;
}

/* Owns the decision whether the server that answered is the one that the known_hosts file means. */
#include "ssh/host_key.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "ssh/key_file.h"
#include "ssh/known_hosts.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#define KNOWN_HOSTS_BYTES_MAX (4 * 1024 * 1024)
#define HOST_KEY_BYTES_MAX (16 * 1024)
#define SHA256_BYTES 32

/* The whole file; "" when there is none, so that the message about an unknown host can say what to write into it. */
static int read_text(const char *path, char **ret_text, struct nel_err *err)
{
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	if (fd < 0 && errno == ENOENT) {
		*ret_text = mem_strdup("");
		return 0;
	}
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(err, NEL_DENIED, errno, "cannot read the known_hosts file %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > KNOWN_HOSTS_BYTES_MAX)
		return err_set(err, NEL_DENIED, "the known_hosts file %s is not a file, or larger than %d bytes", path,
			       KNOWN_HOSTS_BYTES_MAX);
	CLEANUP(mem_freep) char *text = mem_calloc((size_t)st.st_size + 1, 1);
	if (file_read(fd, text, (size_t)st.st_size) < 0)
		return err_sys(err, NEL_DENIED, errno, "cannot read the known_hosts file %s", path);
	*ret_text = TAKE(text);
	return 0;
}

struct host_key {
	char *type;
	char *base64;
	char fingerprint[64]; /* as ssh-keygen -l shows it */
};

static void host_key_done(struct host_key *key)
{
	mem_freep(&key->type);
	mem_freep(&key->base64);
}

/* The type is the first string of the key's blob (RFC 4253, 6.6). */
static int read_key(LIBSSH2_SESSION *session, struct host_key *ret_key, struct nel_err *err)
{
	size_t size = 0;
	int libssh2_type = 0;
	const char *blob = libssh2_session_hostkey(session, &size, &libssh2_type);
	const char *hash = libssh2_hostkey_hash(session, LIBSSH2_HOSTKEY_HASH_SHA256);
	const unsigned char *b = (const unsigned char *)blob;
	if (blob == NULL || hash == NULL || size < 4 || size > HOST_KEY_BYTES_MAX)
		return err_set(err, NEL_REMOTE, "the server showed no host key");
	size_t type_size = ((size_t)b[0] << 24) | ((size_t)b[1] << 16) | ((size_t)b[2] << 8) | b[3];
	if (type_size > size - 4)
		return err_set(err, NEL_REMOTE, "the server's host key is malformed");
	ret_key->type = mem_strndup(blob + 4, type_size);
	size_t room = sodium_base64_ENCODED_LEN(size, sodium_base64_VARIANT_ORIGINAL);
	ret_key->base64 = mem_calloc(room, 1);
	sodium_bin2base64(ret_key->base64, room, b, size, sodium_base64_VARIANT_ORIGINAL);
	memcpy(ret_key->fingerprint, "SHA256:", 7);
	sodium_bin2base64(ret_key->fingerprint + 7, sizeof ret_key->fingerprint - 7, (const unsigned char *)hash,
			  SHA256_BYTES, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
	return 0;
}

int host_key_check(LIBSSH2_SESSION *session, const char *known_hosts_file, const char *address, int port,
		   struct nel_err *err)
{
	CLEANUP(host_key_done) struct host_key key = {0};
	CLEANUP(mem_freep) char *text = NULL;
	CLEANUP(str_done) struct str name = {0};
	CLEANUP(str_done) struct str types = {0};
	if (read_key(session, &key, err) != 0 || read_text(known_hosts_file, &text, err) != 0)
		return -1;
	known_hosts_name(address, port, &name);
	int line = 0;
	switch (known_hosts_find(session, text, address, port, key.type, key.base64, &line)) {
	case KNOWN_HOSTS_MATCH: return 0;
	case KNOWN_HOSTS_REVOKED:
		return err_set(err, NEL_DENIED, "the host key of %s (%s) is revoked by line %d of %s", str_text(&name),
			       key.fingerprint, line, known_hosts_file);
	case KNOWN_HOSTS_CHANGED:
		return err_set(
		    err, NEL_DENIED,
		    "the host key of %s has changed, or somebody else answers: its fingerprint is now %s; if "
		    "that is right, replace line %d of %s by this one: %s %s %s",
		    str_text(&name), key.fingerprint, line, known_hosts_file, str_text(&name), key.type, key.base64);
	case KNOWN_HOSTS_UNKNOWN: break;
	}
	known_hosts_types(session, text, address, port, &types);
	const char *others = str_text(&types);
	return err_set(
	    err, NEL_DENIED,
	    "the host key of %s is unknown%s%s%s: if its fingerprint %s is right, add this line to %s: %s %s %s",
	    str_text(&name), *others == '\0' ? "" : " (there are only keys of type ", others,
	    *others == '\0' ? "" : ")", key.fingerprint, known_hosts_file, str_text(&name), key.type, key.base64);
}

int host_key_prefer_known(LIBSSH2_SESSION *session, const char *known_hosts_file, const char *address, int port,
			  struct nel_err *err)
{
	/* What libssh2 can check, ssh-dss aside; ed25519 first because its line is the shortest to add. For one kind of
	 * key RSA has three names (SHA-2: RFC 8332), of which libssh2 1.10 knows one: it would cut the others out of
	 * the list by copying it over itself with memcpy(). */
	const struct {
		const char *type, *methods;
	} supported[] = {
	    {"ssh-ed25519", "ssh-ed25519"},
	    {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"},
	    {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"},
	    {"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"},
	    {"ssh-rsa", key_file_takes_rsa() ? "rsa-sha2-512,rsa-sha2-256,ssh-rsa" : "ssh-rsa"},
	};
	CLEANUP(mem_freep) char *text = NULL;
	CLEANUP(str_done) struct str known = {0};
	CLEANUP(str_done) struct str order = {0};
	if (read_text(known_hosts_file, &text, err) != 0)
		return -1;
	known_hosts_types(session, text, address, port, &known);
	str_append_c(&known, ',');
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < sizeof supported / sizeof *supported; i++) {
			CLEANUP(mem_freep) char *word = mem_printf("%s,", supported[i].type);
			if ((strstr(str_text(&known), word) != NULL) == (pass == 0))
				str_appendf(&order, "%s%s", order.len == 0 ? "" : ",", supported[i].methods);
		}
	if (libssh2_session_method_pref(session, LIBSSH2_METHOD_HOSTKEY, str_text(&order)) != 0)
		return err_set(err, NEL_INTERNAL, "libssh2 does not take the order of host key types %s",
			       str_text(&order));
	return 0;
}

int host_key_check_listed(const char *known_hosts_file, const char *address, int port, struct nel_err *err)
{
	CLEANUP(mem_freep) char *text = NULL;
	CLEANUP(str_done) struct str name = {0};
	CLEANUP(str_done) struct str types = {0};
	if (read_text(known_hosts_file, &text, err) != 0)
		return -1;
	LIBSSH2_SESSION *session = libssh2_session_init(); /* for hashed names; NULL only without memory */
	if (session == NULL)
		return err_set(err, NEL_INTERNAL, "libssh2 cannot begin a session");
	known_hosts_types(session, text, address, port, &types);
	libssh2_session_free(session);
	if (types.len != 0)
		return 0;
	known_hosts_name(address, port, &name);
	return err_set(
	    err, NEL_DENIED,
	    "the known_hosts file %s has no key of %s; `ssh-keyscan -p %d %s` gives its lines, to be compared",
	    known_hosts_file, str_text(&name), port, address);
}

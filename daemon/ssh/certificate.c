/* Owns the reading of user certificates and the reasons for which one is not usable. */
#include "ssh/certificate.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "ssh/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#define OF_A_USER 1              /* SSH_CERT_TYPE_USER */
#define LAST_SECOND 253402300799 /* of the year 9999; what lasts longer lasts for ever (UINT64_MAX is OpenSSH's) */
#define BASE64 sodium_base64_VARIANT_ORIGINAL
#define TEXT_MAX 256       /* of a name within, as it is shown */
#define PRINCIPALS_MAX 256 /* as OpenSSH's SSHKEY_CERT_MAX_PRINCIPALS */

void certificate_done(struct certificate *c)
{
	free(c->line);
	free(c->blob);
	free(c->key);
	free(c->type);
	free(c->key_id);
	json_decref(c->principals);
	json_decref(c->warnings);
	*c = (struct certificate){0};
}

static bool take_number64(struct blob *from, uint64_t *ret)
{
	uint32_t high, low;
	struct blob rest = *from;
	if (!blob_take_number(&rest, &high) || !blob_take_number(&rest, &low))
		return false;
	*ret = (uint64_t)high << 32 | low;
	*from = rest;
	return true;
}

/* Somebody else's bytes as a text to be shown; free(). */
static char *show(struct blob text)
{
	char *shown = mem_dup(text.data, text.size < TEXT_MAX ? text.size : TEXT_MAX);
	for (char *p = shown; *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	return shown;
}

static json_t *show_json(struct blob text)
{
	CLEANUP(mem_freep) char *shown = show(text);
	return json_string(shown);
}

/* The public key within: one string of ed25519, two of the others, under the name without the certificate's end. */
static bool take_key(struct blob *rest, struct blob type, struct certificate *c)
{
	struct blob plain = key_file_plain_type(type);
	const unsigned char *begin = rest->data;
	struct blob part;
	if (!blob_take_string(rest, &part) || (!blob_is(plain, "ssh-ed25519") && !blob_take_string(rest, &part)))
		return false;
	size_t size = (size_t)(rest->data - begin);
	c->key_size = 4 + plain.size + size;
	c->key = mem_calloc(c->key_size, 1);
	c->key[2] = (unsigned char)(plain.size >> 8);
	c->key[3] = (unsigned char)plain.size;
	memcpy(c->key + 4, plain.data, plain.size);
	memcpy(c->key + 4 + plain.size, begin, size);
	return true;
}

static bool take_principals(struct blob principals, struct certificate *c)
{
	struct blob principal;
	c->principals = json_array();
	while (principals.size > 0) {
		if (!blob_take_string(&principals, &principal) || json_array_size(c->principals) == PRINCIPALS_MAX)
			return false;
		json_array_append_new(c->principals, show_json(principal));
	}
	return true;
}

static void warn(struct certificate *c, const char *text)
{
	json_array_append_new(c->warnings, json_string(text));
}

static void warn_of_option(struct certificate *c, struct blob name, struct blob data)
{
	struct blob value = {0};
	blob_take_string(&data, &value);
	CLEANUP(mem_freep) char *option = show(name);
	CLEANUP(mem_freep) char *shown = show(value);
	CLEANUP(mem_freep) char *text = NULL;
	if (blob_is(name, "force-command"))
		text = mem_printf("it forces the command \"%s\" (force-command): the login node runs that in the place "
				  "of every command of the daemon, which cannot work unless it runs them",
				  shown);
	else if (blob_is(name, "source-address"))
		text = mem_printf("it is good from the addresses %s only (source-address)", shown);
	else
		text = mem_printf("it has the critical option %s: a login node that does not know it refuses the "
				  "certificate",
				  option);
	warn(c, text);
}

static bool take_options(struct blob options, struct certificate *c)
{
	c->warnings = json_array();
	if (json_array_size(c->principals) == 0)
		warn(c, "it names no principal (ssh-keygen -n ACCOUNT): sshd takes none such for TrustedUserCAKeys");
	while (options.size > 0) {
		struct blob name, data;
		if (!blob_take_string(&options, &name) || !blob_take_string(&options, &data))
			return false;
		warn_of_option(c, name, data);
	}
	return true;
}

/* All of it behind the type. */
static bool read_fields(struct blob rest, struct blob type, struct certificate *c, uint32_t *ret_kind)
{
	struct blob nonce, key_id, principals, options, extensions, reserved, authority, signature;
	uint64_t after, before;
	if (!blob_take_string(&rest, &nonce) || !take_key(&rest, type, c) || !take_number64(&rest, &c->serial) ||
	    !blob_take_number(&rest, ret_kind) || !blob_take_string(&rest, &key_id) ||
	    !blob_take_string(&rest, &principals) || !take_number64(&rest, &after) || !take_number64(&rest, &before) ||
	    !blob_take_string(&rest, &options) || !blob_take_string(&rest, &extensions) ||
	    !blob_take_string(&rest, &reserved) || !blob_take_string(&rest, &authority) ||
	    !blob_take_string(&rest, &signature) || rest.size != 0 || !take_principals(principals, c) ||
	    !take_options(options, c))
		return false;
	c->key_id = show(key_id);
	c->valid_after = after < LAST_SECOND ? (int64_t)after : LAST_SECOND;
	c->expires_at = before <= LAST_SECOND ? (int64_t)before : 0;
	return true;
}

static int deny_other(const char *name, struct nel_err *err)
{
	return err_set(err, NEL_DENIED,
		       "%s is not one of OpenSSH's: `ssh-keygen -s CA -I NAME -n ACCOUNT KEY.pub` writes KEY-cert.pub",
		       name);
}

int certificate_read(struct blob blob, const char *name, struct certificate *ret_certificate, struct nel_err *err)
{
	CLEANUP(certificate_done) struct certificate c = {0};
	struct blob rest = blob, type;
	uint32_t kind = 0;
	unsigned char hash[crypto_hash_sha256_BYTES];
	if (blob.size > CERTIFICATE_LINE_MAX)
		return err_set(err, NEL_DENIED, "%s is longer than %d bytes", name, CERTIFICATE_LINE_MAX);
	if (!blob_take_string(&rest, &type) || !key_file_is_certificate(type))
		return deny_other(name, err);
	if (key_file_check_type(type, name, err) != 0)
		return -1;
	if (!read_fields(rest, type, &c, &kind))
		return err_set(err, NEL_DENIED, "%s is cut off", name);
	if (kind != OF_A_USER)
		return err_set(err, NEL_DENIED, "%s is of a host, not of a user", name);
	CLEANUP(mem_freep) char *base64 = mem_calloc(sodium_base64_encoded_len(blob.size, BASE64), 1);
	sodium_bin2base64(base64, sodium_base64_encoded_len(blob.size, BASE64), blob.data, blob.size, BASE64);
	c.type = mem_dup(type.data, type.size);
	c.line = mem_printf("%s %s", c.type, base64);
	c.blob = (unsigned char *)mem_dup(blob.data, blob.size);
	c.blob_size = blob.size;
	crypto_hash_sha256(hash, blob.data, blob.size);
	sodium_bin2hex(c.id, sizeof c.id, hash, sizeof hash);
	*ret_certificate = c;
	c = (struct certificate){0};
	return 0;
}

int certificate_parse(const char *line, const char *name, struct certificate *ret_certificate, struct nel_err *err)
{
	size_t size = 0;
	CLEANUP(mem_freep) unsigned char *blob = blob_from_line(line, &size);
	if (blob == NULL)
		return deny_other(name, err);
	return certificate_read((struct blob){blob, size}, name, ret_certificate, err);
}

int certificate_load(const char *path, struct certificate *ret_certificate, struct nel_err *err)
{
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	CLEANUP(mem_freep) char *name = mem_printf("the certificate %s", path);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(err, NEL_DENIED, errno, "cannot read %s", name);
	if (!S_ISREG(st.st_mode) || st.st_size > CERTIFICATE_LINE_MAX)
		return err_set(err, NEL_DENIED, "%s is not a file, or larger than %d bytes", name,
			       CERTIFICATE_LINE_MAX);
	CLEANUP(mem_freep) char *text = mem_calloc(CERTIFICATE_LINE_MAX + 1, 1);
	if (file_read(fd, text, CERTIFICATE_LINE_MAX) < 0)
		return err_sys(err, NEL_DENIED, errno, "cannot read %s", name);
	text[strcspn(text, "\r\n")] = '\0';
	return certificate_parse(text, name, ret_certificate, err);
}

int certificate_check_time(const struct certificate *c, const char *name, int64_t now_s, struct nel_err *err)
{
	char at[CLOCK_RFC3339_SIZE];
	bool early = now_s < c->valid_after;
	if (!early && (c->expires_at == 0 || now_s < c->expires_at))
		return 0;
	clock_rfc3339(early ? c->valid_after : c->expires_at, at);
	return err_set(err, NEL_DENIED, "%s %s %s", name, early ? "is not valid before" : "expired at", at);
}

int certificate_check_key(const struct certificate *c, const char *name, const char *text, const char *key_name,
			  struct nel_err *err)
{
	size_t size = 0;
	CLEANUP(mem_freep) unsigned char *key = key_file_public_half(text, &size);
	if (key == NULL || (size == c->key_size && memcmp(key, c->key, size) == 0))
		return 0;
	return err_set(err, NEL_DENIED, "%s is not of the key %s: have that one's public half signed", name, key_name);
}

bool certificate_names(const struct certificate *c, const char *username)
{
	for (size_t i = 0; i < json_array_size(c->principals); i++)
		if (strcmp(json_string_value(json_array_get(c->principals, i)), username) == 0)
			return true;
	return false;
}

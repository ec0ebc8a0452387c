/* Owns the reading of user certificates and the reasons for which one is not usable. */
#include "ssh/certificate.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "ssh/blob.h"
#include "ssh/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define CERTIFICATE_BYTES_MAX (64 * 1024)
#define OF_A_USER 1 /* SSH_CERT_TYPE_USER */

static bool take_number64(struct blob *from, uint64_t *ret)
{
	uint32_t high, low;
	if (!blob_take_number(from, &high) || !blob_take_number(from, &low))
		return false;
	*ret = (uint64_t)high << 32 | low;
	return true;
}

/* What stands between the nonce and the serial number is the public key: one string of ed25519, two of the others. */
static bool read_validity(struct blob rest, struct blob type, uint32_t *ret_kind, uint64_t *ret_after,
			  uint64_t *ret_before)
{
	struct blob skipped;
	uint64_t serial;
	bool one = blob_is(type, "ssh-ed25519-cert-v01@openssh.com");
	return blob_take_string(&rest, &skipped) && blob_take_string(&rest, &skipped) &&
	       (one || blob_take_string(&rest, &skipped)) && take_number64(&rest, &serial) &&
	       blob_take_number(&rest, ret_kind) && blob_take_string(&rest, &skipped) &&
	       blob_take_string(&rest, &skipped) && take_number64(&rest, ret_after) && take_number64(&rest, ret_before);
}

static int check(const char *line, const char *path, int64_t now_s, struct nel_err *err)
{
	size_t size = 0;
	CLEANUP(mem_freep) unsigned char *data = blob_from_line(line, &size);
	struct blob rest = {data, size}, type;
	uint32_t kind = 0;
	uint64_t after = 0, before = 0;
	if (data == NULL || !blob_take_string(&rest, &type) || !key_file_is_certificate(type))
		return err_set(
		    err, NEL_DENIED,
		    "%s is not a certificate: `ssh-keygen -s CA -I NAME -n ACCOUNT KEY.pub` writes KEY-cert.pub", path);
	if (key_file_check_type(type, path, err) != 0)
		return -1;
	if (!read_validity(rest, type, &kind, &after, &before))
		return err_set(err, NEL_DENIED, "the certificate %s is cut off", path);
	if (kind != OF_A_USER)
		return err_set(err, NEL_DENIED, "%s is a host's certificate, not a user's", path);
	bool early = (uint64_t)now_s < after;
	if (!early && (uint64_t)now_s < before)
		return 0;
	char at[CLOCK_RFC3339_SIZE];
	uint64_t bound = early ? after : before;
	clock_rfc3339(bound < INT64_MAX ? (int64_t)bound : INT64_MAX, at);
	return err_set(err, NEL_DENIED, "the certificate %s %s %s", path, early ? "is not valid before" : "expired at",
		       at);
}

int certificate_load(const char *path, int64_t now_s, char **ret_line, struct nel_err *err)
{
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(err, NEL_DENIED, errno, "cannot read the certificate %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > CERTIFICATE_BYTES_MAX)
		return err_set(err, NEL_DENIED, "the certificate %s is not a file, or larger than %d bytes", path,
			       CERTIFICATE_BYTES_MAX);
	CLEANUP(mem_freep) char *text = mem_calloc(CERTIFICATE_BYTES_MAX + 1, 1);
	if (file_read(fd, text, CERTIFICATE_BYTES_MAX) < 0)
		return err_sys(err, NEL_DENIED, errno, "cannot read the certificate %s", path);
	text[strcspn(text, "\r\n")] = '\0';
	if (check(text, path, now_s, err) != 0)
		return -1;
	*ret_line = TAKE(text);
	return 0;
}

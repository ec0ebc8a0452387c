#define SD_JOURNAL_SUPPRESS_LOCATION
#include "base/log.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#include <ctype.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#define FIELDS_MAX 16

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const int syslog_priorities[] = {3, 4, 6, 7};
static _Atomic int max_level = LOG_LEVEL_INFO;
static bool to_journal;

/* systemd sets JOURNAL_STREAM to the device and inode of the socket it gave as standard error (systemd.exec(5)). */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device = 0;
	unsigned long long inode = 0;
	struct stat st;
	return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
	       st.st_dev == device && st.st_ino == inode;
}

void log_init(enum log_level max)
{
	to_journal = stderr_is_journal();
	log_set_level(max);
}

void log_set_level(enum log_level max)
{
	atomic_store(&max_level, (int)max);
}

int log_level_from_name(const char *name, enum log_level *ret_level)
{
	for (int i = 0; i < 4; i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -1;
}

static void append_value(struct str *line, const char *text)
{
	bool plain = *text != '\0';
	for (const char *p = text; *p != '\0' && plain; p++)
		plain = (unsigned char)*p > ' ' && *p != '"' && *p != '=' && *p != 0x7f;
	if (plain) {
		str_append(line, text);
		return;
	}
	str_append_c(line, '"');
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			str_appendf(line, "\\%c", *p);
		else if (*p < 0x20 || *p == 0x7f)
			str_appendf(line, "\\x%02x", *p);
		else
			str_append_c(line, (char)*p);
	}
	str_append_c(line, '"');
}

static void append_fields(struct str *line, const struct log_field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		str_appendf(line, " %s=", fields[i].key);
		if (fields[i].text != NULL)
			append_value(line, fields[i].text);
		else
			str_appendf(line, "%lld", (long long)fields[i].number);
	}
}

void log_append_message(struct str *s, const char *message, const struct log_field *fields, size_t count)
{
	str_append(s, message);
	append_fields(s, fields, count);
}

static void write_stderr(enum log_level level, const char *message, const struct log_field *fields, size_t count)
{
	char at[CLOCK_RFC3339_SIZE];
	struct str line = {0};
	str_appendf(&line, "%s level=%s msg=", clock_rfc3339(clock_now_s(), at), level_names[level]);
	append_value(&line, message);
	append_fields(&line, fields, count);
	str_append_c(&line, '\n');
	/* One write, so that lines of several threads do not mix. A full disk must not stop the daemon. */
	ssize_t written = write(STDERR_FILENO, line.data, line.len);
	(void)written;
	str_done(&line);
}

static void write_journal(enum log_level level, const char *message, const struct log_field *fields, size_t count)
{
	struct str parts[FIELDS_MAX] = {0};
	struct iovec iov[FIELDS_MAX];
	size_t n = 0;
	str_append(&parts[n], "MESSAGE=");
	log_append_message(&parts[n++], message, fields, count); /* journalctl shows nothing else by itself */
	str_appendf(&parts[n++], "PRIORITY=%d", syslog_priorities[level]);
	for (size_t i = 0; i < count && n < FIELDS_MAX; i++, n++) {
		str_append(&parts[n], "NEL_");
		for (const char *p = fields[i].key; *p != '\0'; p++)
			str_append_c(&parts[n], (char)toupper((unsigned char)*p));
		if (fields[i].text != NULL)
			str_appendf(&parts[n], "=%s", fields[i].text);
		else
			str_appendf(&parts[n], "=%lld", (long long)fields[i].number);
	}
	for (size_t i = 0; i < n; i++)
		iov[i] = (struct iovec){.iov_base = parts[i].data, .iov_len = parts[i].len};
	sd_journal_sendv(iov, (int)n);
	for (size_t i = 0; i < n; i++)
		str_done(&parts[i]);
}

void log_write(enum log_level level, const char *message, const struct log_field *fields, size_t count)
{
	if ((int)level > atomic_load(&max_level))
		return;
	if (to_journal)
		write_journal(level, message, fields, count);
	else
		write_stderr(level, message, fields, count);
}

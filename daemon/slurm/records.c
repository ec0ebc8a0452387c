#include "slurm/records.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"

#include <string.h>

#define BEGIN_MARK "nel|begin|1\n"

/* memmem() that demands the start of a line. */
static const char *find_line(const char *text, size_t size, const char *line)
{
	size_t length = strlen(line);
	for (const char *at = text; size != 0; at++) {
		at = memmem(at, size - (size_t)(at - text), line, length);
		if (at == NULL || at == text || at[-1] == '\n')
			return at;
	}
	return NULL;
}

int records_begin(const char *text, size_t size, struct records *ret_records, struct nel_err *err)
{
	const char *mark = find_line(text, size, BEGIN_MARK);
	if (mark == NULL)
		return err_set(err, NEL_REMOTE, "the cluster gave no answer that can be read");
	*ret_records = (struct records){.at = mark + strlen(BEGIN_MARK), .end = text + size};
	return 0;
}

bool records_next(struct records *records, struct record *ret_record)
{
	size_t left = (size_t)(records->end - records->at);
	const char *newline = left == 0 ? NULL : memchr(records->at, '\n', left);
	if (newline == NULL)
		return false;
	size_t length = (size_t)(newline - records->at);
	if (length >= sizeof ret_record->line)
		length = sizeof ret_record->line - 1;
	memcpy(ret_record->line, records->at, length);
	ret_record->line[length] = '\0';
	ret_record->fields[0] = ret_record->line;
	ret_record->count = 1;
	records->at = newline + 1;
	return true;
}

static void add_to_line(struct record_stream *stream, const char *data, size_t size)
{
	size_t room = sizeof stream->record.line - 1 - stream->used;
	size_t taken = size < room ? size : room;
	memcpy(stream->record.line + stream->used, data, taken);
	stream->used += taken;
}

void record_stream_feed(struct record_stream *stream, const char *data, size_t size,
			void (*take)(struct record *record, void *arg), void *arg)
{
	struct record *record = &stream->record;
	const char *end = data + size;
	while (data < end) {
		const char *newline = memchr(data, '\n', (size_t)(end - data));
		add_to_line(stream, data, (size_t)((newline != NULL ? newline : end) - data));
		if (newline == NULL)
			return;
		record->line[stream->used] = '\0';
		record->fields[0] = record->line;
		record->count = 1;
		if (stream->begun)
			take(record, arg);
		else
			stream->begun = stream->used == strlen(BEGIN_MARK) - 1 &&
					memcmp(record->line, BEGIN_MARK, stream->used) == 0;
		stream->used = 0;
		data = newline + 1;
	}
}

bool record_split(struct record *record, size_t min, size_t max)
{
	if (max > RECORD_FIELDS_MAX)
		max = RECORD_FIELDS_MAX;
	record->count = 1;
	for (char *at = record->line; record->count < max && (at = strchr(at, '|')) != NULL;) {
		*at++ = '\0';
		record->fields[record->count++] = at;
	}
	return record->count >= min;
}

bool record_is(const struct record *record, const char *kind)
{
	size_t length = strlen(kind);
	return strncmp(record->line, kind, length) == 0 &&
	       (record->line[length] == '\0' || record->line[length] == '|');
}

bool records_take(struct records *records, size_t size, const char **ret_data)
{
	size_t left = (size_t)(records->end - records->at);
	if (size >= left || records->at[size] != '\n')
		return false;
	*ret_data = records->at;
	records->at += size + 1;
	return true;
}

int record_error(struct record *record, struct nel_err *err)
{
	static const struct {
		const char *name;
		enum nel_err_kind kind;
	} kinds[] = {{"invalid", NEL_INVALID}, {"notfound", NEL_NOTFOUND}, {"denied", NEL_DENIED}, {"busy", NEL_BUSY}};
	enum nel_err_kind kind = NEL_REMOTE;
	char text[512];
	if (!record_split(record, 3, 3))
		return err_set(err, NEL_REMOTE, "the cluster gave an error that cannot be read");
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(record->fields[1], kinds[i].name) == 0)
			kind = kinds[i].kind;
	record_text(record->fields[2], text, sizeof text);
	return err_set(err, kind, "%s", text[strspn(text, " ")] == '\0' ? "the cluster gave no reason" : text);
}

int records_truncated(struct nel_err *err)
{
	return err_set(err, NEL_REMOTE, "the cluster's answer was cut off");
}

int64_t record_number(const char *text, int64_t max, int64_t fallback)
{
	long long value = 0;
	return str_to_int(text, 0, max, &value) ? value : fallback;
}

int64_t record_time(const char *text)
{
	return record_number(text, 99999999999, 0);
}

/* Writes at most max bytes of cleaned text to out; returns how many. */
static size_t clean(const char *data, size_t size, bool keep_lines, char *out, size_t max)
{
	size_t used = 0;
	for (size_t i = 0; i < size;) {
		uint32_t code = 0;
		size_t length = utf8_decode(data + i, size - i, &code);
		size_t step = length == 0 ? 1 : length;
		if (used + step > max)
			break;
		if (length == 0)
			out[used] = '?';
		else if ((code < 0x20 && !(keep_lines && (code == '\n' || code == '\t'))) || code == 0x7f)
			out[used] = ' ';
		else
			memcpy(out + used, data + i, length);
		used += step;
		i += step;
	}
	return used;
}

void record_text(const char *text, char *buf, size_t size)
{
	buf[clean(text, strlen(text), false, buf, size - 1)] = '\0';
}

char *record_text_block(const char *data, size_t size)
{
	char *copy = mem_calloc(size + 1, 1);
	copy[clean(data, size, true, copy, size)] = '\0';
	return copy;
}

bool record_is_clean(const char *text)
{
	size_t size = strlen(text);
	for (size_t i = 0, length = 0; i < size; i += length) {
		uint32_t code = 0;
		length = utf8_decode(text + i, size - i, &code);
		if (length == 0)
			return false;
	}
	return !str_has_control(text);
}

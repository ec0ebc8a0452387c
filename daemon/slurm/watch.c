#include "slurm/watch.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "slurm/records.h"
#include "slurm/remote.h"

#include <string.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define WHY_SIZE 512
#define OUTPUT_MAX_PER_WATCH (WATCH_ENTRIES_MAX * (WATCH_NAME_MAX + WHY_SIZE))

void watch_reply_done(struct watch_reply *reply)
{
	for (size_t i = 0; i < reply->count; i++) {
		free(reply->entries[i].name);
		free(reply->entries[i].why);
	}
	free(reply->entries);
	free(reply->why);
	*reply = (struct watch_reply){0};
}

bool watch_name_ok(const char *name)
{
	size_t size = strlen(name);
	return size > 0 && size <= WATCH_NAME_MAX && strchr(LETTERS DIGITS, name[0]) != NULL &&
	       strspn(name, LETTERS DIGITS "._=+-") == size;
}

bool watch_pattern_ok(const char *pattern)
{
	size_t size = strlen(pattern);
	return size > 0 && size <= WATCH_NAME_MAX && strchr(LETTERS DIGITS "*?[", pattern[0]) != NULL &&
	       strspn(pattern, LETTERS DIGITS "._=+-*?[]") == size;
}

static bool is_signature(const char *text)
{
	return strlen(text) == WATCH_SIGNATURE_SIZE - 1 && strspn(text, DIGITS "abcdef") == WATCH_SIGNATURE_SIZE - 1;
}

static char *one_text(const char *text)
{
	char clean[WHY_SIZE];
	record_text(text, clean, sizeof clean);
	return mem_strdup(clean);
}

/* <c, i or o>|<watch>|<signature or why>|<name> */
static void read_entry(struct watch_reply *reply, const struct record *record, size_t *room)
{
	char *const *f = record->fields;
	struct watch_entry entry = {.state = f[0][0] == 'c'   ? WATCH_COMPLETE
					     : f[0][0] == 'i' ? WATCH_INCOMPLETE
							      : WATCH_LEFT_ALONE};
	if (reply->count == WATCH_ENTRIES_MAX) {
		reply->more = true;
		return;
	}
	if ((entry.state == WATCH_COMPLETE && !is_signature(f[2])) ||
	    (entry.state != WATCH_LEFT_ALONE && !watch_name_ok(f[3])))
		return;
	if (entry.state == WATCH_COMPLETE)
		memcpy(entry.signature, f[2], sizeof entry.signature);
	else
		entry.why = one_text(f[2]);
	entry.name = one_text(f[3]);
	if (reply->count == *room) {
		*room = *room == 0 ? 16 : *room * 2;
		reply->entries = mem_realloc(reply->entries, *room, sizeof *reply->entries);
	}
	reply->entries[reply->count++] = entry;
}

bool watch_reader_take(struct watch_reader *reader, struct record *record)
{
	char kind = record->fields[0][0];
	if (kind == '\0' || strchr("dhcxiot", kind) == NULL || record->fields[0][1] != '|')
		return false;
	size_t fields = strchr("hxt", kind) != NULL ? 2 : kind == 'd' ? 3 : 4;
	if (!record_split(record, fields, fields))
		return true;
	int64_t i = record_number(record->fields[1], WATCHES_MAX, -1);
	if (i < 0 || (size_t)i >= reader->count)
		return true;
	struct watch_reply *reply = &reader->replies[i];
	switch (kind) {
	case 'd':
		free(reply->why);
		reply->why = record->fields[2][0] != '\0' ? one_text(record->fields[2]) : NULL;
		break;
	case 'h': reply->slow = true; break;
	case 'x': reply->more = true; break;
	case 't': reader->progress[i].told = true; break;
	default: read_entry(reply, record, &reader->progress[i].room);
	}
	return true;
}

void watch_reader_end(struct watch_reader *reader)
{
	for (size_t i = 0; i < reader->count; i++) {
		if (reader->progress[i].told)
			continue;
		free(reader->replies[i].why);
		reader->replies[i].why = mem_strdup("there was no time to look at all that it holds");
		reader->replies[i].slow = true;
	}
}

int watch_parse(const char *text, size_t size, struct watch_reply *replies, size_t count, struct nel_err *err)
{
	struct records records;
	struct record record;
	struct watch_reader reader = {.replies = replies, .count = count};
	if (records_begin(text, size, &records, err) != 0)
		return -1;
	while (records_next(&records, &record)) {
		if (record_is(&record, "error"))
			return record_error(&record, err);
		if (record_is(&record, "end")) {
			for (size_t i = 0; i < count; i++)
				if (!reader.progress[i].told)
					return records_truncated(err);
			return 0;
		}
		watch_reader_take(&reader, &record);
	}
	return records_truncated(err);
}

void watch_render(const struct watch_look *look, struct str *data)
{
	CLEANUP(str_done) struct str known = {0};
	remote_set_number(data, "NEL_SHARED", look->shared);
	remote_array_begin(data, "NEL_DIRECTORIES");
	for (size_t i = 0; i < look->count; i++)
		remote_array_add(data, look->orders[i].directory);
	remote_array_end(data);
	remote_array_begin(data, "NEL_PATTERNS");
	for (size_t i = 0; i < look->count; i++)
		remote_array_add(data, look->orders[i].pattern);
	remote_array_end(data);
	remote_array_begin(data, "NEL_MARKERS");
	for (size_t i = 0; i < look->count; i++)
		remote_array_add(data, look->orders[i].marker != NULL ? look->orders[i].marker : "");
	remote_array_end(data);
	remote_array_begin(data, "NEL_KNOWN");
	for (size_t i = 0; i < look->count; i++) {
		for (size_t k = 0; k < look->orders[i].known_count; k++) {
			known.len = 0;
			str_appendf(&known, "%zu|%s", i, look->orders[i].known[k]);
			remote_array_add(data, str_text(&known));
		}
	}
	remote_array_end(data);
}

size_t watch_output_max(const struct watch_look *look)
{
	return look->count * OUTPUT_MAX_PER_WATCH;
}

int slurm_watch(struct ssh_pool *pool, struct watch_look *look, int64_t timeout_ms, struct nel_err *err)
{
	CLEANUP(str_done) struct str data = {0};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	watch_render(look, &data);
	struct remote_call call = {.script = "watch",
				   .looks_into_directories = true,
				   .data = str_text(&data),
				   .output_max = watch_output_max(look),
				   .timeout_ms = timeout_ms};
	if (remote_run(pool, &call, &result, err) != 0)
		return -1;
	return watch_parse(result.output, result.output_size, look->replies, look->count, err);
}

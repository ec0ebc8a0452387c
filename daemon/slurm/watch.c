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

/* What is known of one watch while its answers come. */
struct progress {
	bool told;
	size_t room;
};

/* A line that makes no sense is passed over. */
static void read_line(struct record *record, struct watch_reply *replies, struct progress *progress, size_t count)
{
	char kind = record->fields[0][0];
	if (kind == '\0' || strchr("dmcio", kind) == NULL || record->fields[0][1] != '|')
		return;
	size_t fields = kind == 'm' ? 2 : kind == 'd' ? 3 : 4;
	if (!record_split(record, fields, fields))
		return;
	int64_t i = record_number(record->fields[1], WATCHES_MAX, -1);
	if (i < 0 || (size_t)i >= count)
		return;
	if (kind == 'd') {
		progress[i].told = true;
		free(replies[i].why);
		replies[i].why = record->fields[2][0] != '\0' ? one_text(record->fields[2]) : NULL;
	} else if (kind == 'm') {
		replies[i].more = true;
	} else {
		read_entry(&replies[i], record, &progress[i].room);
	}
}

int watch_parse(const char *text, size_t size, struct watch_reply *replies, size_t count, struct nel_err *err)
{
	struct records records;
	struct record record;
	struct progress progress[WATCHES_MAX] = {0};
	if (records_begin(text, size, &records, err) != 0)
		return -1;
	while (records_next(&records, &record)) {
		if (record_is(&record, "error"))
			return record_error(&record, err);
		if (record_is(&record, "end")) {
			for (size_t i = 0; i < count; i++)
				if (!progress[i].told)
					return records_truncated(err);
			return 0;
		}
		read_line(&record, replies, progress, count);
	}
	return records_truncated(err);
}

int slurm_watch(struct ssh_pool *pool, const struct watch_order *orders, size_t count, bool shared, int64_t timeout_ms,
		struct watch_reply *replies, struct nel_err *err)
{
	CLEANUP(str_done) struct str data = {0};
	CLEANUP(str_done) struct str known = {0};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	if (count > WATCHES_MAX)
		return err_set(err, NEL_INTERNAL, "more than %d directories at once", WATCHES_MAX);
	remote_set_number(&data, "NEL_SHARED", shared);
	remote_array_begin(&data, "NEL_DIRECTORIES");
	for (size_t i = 0; i < count; i++)
		remote_array_add(&data, orders[i].directory);
	remote_array_end(&data);
	remote_array_begin(&data, "NEL_PATTERNS");
	for (size_t i = 0; i < count; i++)
		remote_array_add(&data, orders[i].pattern);
	remote_array_end(&data);
	remote_array_begin(&data, "NEL_MARKERS");
	for (size_t i = 0; i < count; i++)
		remote_array_add(&data, orders[i].marker != NULL ? orders[i].marker : "");
	remote_array_end(&data);
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < orders[i].known_count; k++)
			str_appendf(&known, "%zu|%s\n", i, orders[i].known[k]);
	struct remote_call call = {.script = "watch",
				   .asks_mounts = true,
				   .data = str_text(&data),
				   .payload = str_text(&known),
				   .payload_size = known.len,
				   .output_max = count * OUTPUT_MAX_PER_WATCH,
				   .timeout_ms = timeout_ms};
	if (remote_run(pool, &call, &result, err) != 0)
		return -1;
	return watch_parse(result.output, result.output_size, replies, count, err);
}

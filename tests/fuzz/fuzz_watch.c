/* slurm/watch: whatever a cluster answers, names of checkpoints are plain, texts are clean, and nothing is without
 * bound.
 */
#include "fuzz.h"
#include "slurm/watch.h"

#define WATCHES 3

static void check_reply(const struct watch_reply *reply, size_t size)
{
	FUZZ_CHECK(reply->count <= WATCH_ENTRIES_MAX && reply->count <= size);
	FUZZ_CHECK(reply->why == NULL || (fuzz_is_utf8(reply->why) && !str_has_control(reply->why)));
	for (size_t i = 0; i < reply->count; i++) {
		const struct watch_entry *entry = &reply->entries[i];
		bool complete = entry->state == WATCH_COMPLETE;
		FUZZ_CHECK(fuzz_is_utf8(entry->name) && !str_has_control(entry->name));
		FUZZ_CHECK((entry->why == NULL) == complete);
		FUZZ_CHECK(strlen(entry->signature) == (complete ? WATCH_SIGNATURE_SIZE - 1 : 0));
		if (entry->state != WATCH_LEFT_ALONE)
			FUZZ_CHECK(strpbrk(entry->name, "/ '\"\\$`*?[]{}~|&;<>()!#") == NULL && entry->name[0] != '.');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct watch_reply replies[WATCHES] = {0};
	struct nel_err err = {0};
	if (watch_parse((const char *)data, size, replies, WATCHES, &err) != 0) {
		FUZZ_CHECK(err.kind != NEL_OK && err.kind != NEL_INTERNAL);
		fuzz_check_error(&err, err.kind);
		FUZZ_CHECK(fuzz_is_utf8(err.msg));
	}
	for (size_t i = 0; i < WATCHES; i++) {
		check_reply(&replies[i], size);
		watch_reply_done(&replies[i]);
	}
	return 0;
}

#include "service/campaign_finds.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/campaign_watches.h"
#include "service/campaign_events.h"
#include "service/campaign_step.h"

#include <string.h>

_Static_assert(CAMPAIGN_SIGNATURE_SIZE == WATCH_SIGNATURE_SIZE, "one is kept in the other");

/* What one look means. */
struct finds {
	struct campaign_row campaign;
	struct campaign_watch watch;
	struct campaign_value_list values;
	struct campaign_entry_list before;
	struct campaign_entry_list after;
	struct campaign_value *found; /* in the order of their steps */
	size_t found_count;
};

static void finds_done(struct finds *f)
{
	for (size_t i = 0; i < f->found_count; i++)
		campaign_value_done(&f->found[i]);
	free(f->found);
	campaign_entry_list_done(&f->before);
	campaign_entry_list_done(&f->after);
	campaign_value_list_done(&f->values);
	campaign_watch_done(&f->watch);
	campaign_row_done(&f->campaign);
}

static const struct campaign_entry *find_before(const struct finds *f, const char *name)
{
	for (size_t i = 0; i < f->before.count; i++)
		if (strcmp(f->before.items[i].name, name) == 0)
			return &f->before.items[i];
	return NULL;
}

static bool is_value(const struct finds *f, const char *value)
{
	for (size_t i = 0; i < f->values.count; i++)
		if (strcmp(f->values.items[i].value, value) == 0)
			return true;
	return false;
}

static void add_entry(struct finds *f, const struct watch_entry *entry, enum campaign_entry_state state,
		      const char *why, int64_t since)
{
	f->after.items = mem_realloc(f->after.items, f->after.count + 1, sizeof *f->after.items);
	struct campaign_entry *added = &f->after.items[f->after.count++];
	*added = (struct campaign_entry){
	    .name = mem_strdup(entry->name), .state = state, .why = mem_strdup(why), .since = since};
	memcpy(added->signature, entry->signature, sizeof added->signature);
}

/* One that has its marker: unchanged since the same signature was first told. */
static void judge_complete(struct finds *f, const struct watch_entry *entry, int64_t sent_s, int64_t now_s)
{
	CLEANUP(mem_freep) char *value = mem_printf("%s/%s", f->watch.directory, entry->name);
	const struct campaign_entry *before = find_before(f, entry->name);
	bool same = before != NULL && before->state == CAMPAIGN_ENTRY_SETTLING && before->since <= now_s &&
		    strcmp(before->signature, entry->signature) == 0;
	if (is_value(f, value))
		return;
	if (!same || sent_s - before->since < f->watch.quiet_s) {
		add_entry(f, entry, CAMPAIGN_ENTRY_SETTLING, "its files have not been unchanged for quiet_s yet",
			  same ? before->since : now_s);
		return;
	}
	f->found = mem_realloc(f->found, f->found_count + 1, sizeof *f->found);
	f->found[f->found_count++] =
	    (struct campaign_value){.value = TAKE(value), .step = campaign_step_of(entry->name)};
}

static int compare_steps(const void *a, const void *b)
{
	const struct campaign_value *left = a;
	const struct campaign_value *right = b;
	return left->step != right->step ? (left->step > right->step) - (left->step < right->step)
					 : strcmp(left->value, right->value);
}

static void judge(struct finds *f, const struct watch_reply *reply, int64_t sent_s, int64_t now_s)
{
	for (size_t i = 0; i < reply->count; i++) {
		const struct watch_entry *entry = &reply->entries[i];
		switch (entry->state) {
		case WATCH_COMPLETE: judge_complete(f, entry, sent_s, now_s); break;
		case WATCH_INCOMPLETE: add_entry(f, entry, CAMPAIGN_ENTRY_INCOMPLETE, entry->why, 0); break;
		case WATCH_LEFT_ALONE: add_entry(f, entry, CAMPAIGN_ENTRY_LEFT_ALONE, entry->why, 0); break;
		}
	}
	if (f->found_count > 1)
		qsort(f->found, f->found_count, sizeof *f->found, compare_steps);
}

static bool is_changed(const struct finds *f)
{
	if (f->found_count > 0 || f->before.count != f->after.count)
		return true;
	for (size_t i = 0; i < f->after.count; i++) {
		const struct campaign_entry *now = &f->after.items[i];
		const struct campaign_entry *before = find_before(f, now->name);
		if (before == NULL || before->state != now->state || before->since != now->since ||
		    strcmp(before->why, now->why) != 0 || strcmp(before->signature, now->signature) != 0)
			return true;
	}
	return false;
}

/* Those that still find room. *ret_full: not all did. */
static int insert_values(struct db *db, struct finds *f, int64_t now_s, bool *ret_full, struct nel_err *err)
{
	int64_t position = f->values.count > 0 ? f->values.items[f->values.count - 1].position + 1 : 0;
	for (size_t i = 0; i < f->found_count; i++) {
		struct campaign_value *value = &f->found[i];
		*ret_full = f->values.count + i >= CAMPAIGN_VALUES_MAX;
		if (*ret_full)
			return 0;
		value->position = position + (int64_t)i;
		if (campaign_values_insert(db, f->campaign.seq, value, err) != 0 ||
		    campaign_log_value_found(db, &f->campaign, value, now_s, err) != 0)
			return -1;
	}
	return 0;
}

static int store(struct db *db, struct finds *f, const struct watch_reply *reply, int64_t now_s, struct nel_err *err)
{
	char reason[128] = "";
	bool full = false;
	if (insert_values(db, f, now_s, &full, err) != 0 ||
	    (is_changed(f) && campaign_entries_replace(db, f->campaign.seq, &f->after, err) != 0))
		return -1;
	if (full)
		snprintf(reason, sizeof reason, "it has %d values, the most: what comes now wants another campaign",
			 CAMPAIGN_VALUES_MAX);
	else if (reply->more)
		snprintf(reason, sizeof reason, "more than %d entries match the pattern: narrow it", WATCH_ENTRIES_MAX);
	return campaign_watches_note(db, f->campaign.seq, now_s, reason[0] != '\0' ? reason : NULL, err);
}

int campaign_take_look(struct db *db, const char *id, const struct watch_reply *reply, const char *why, int64_t sent_s,
		       bool *ret_changed, bool *ret_found, struct nel_err *err)
{
	CLEANUP(finds_done) struct finds f = {0};
	int64_t now_s = clock_now_s();
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0 || campaigns_get(db, id, &f.campaign, err) != 0 ||
	    campaign_watches_get(db, f.campaign.seq, &f.watch, err) != 0)
		return -1;
	if (f.campaign.state != CAMPAIGN_ACTIVE || f.watch.cluster == NULL)
		return 0;
	if (reply == NULL || reply->why != NULL) {
		if (campaign_watches_note(db, f.campaign.seq, 0, reply != NULL ? reply->why : why, err) != 0)
			return -1;
		return db_commit(db, err);
	}
	if (campaign_values_list(db, f.campaign.seq, &f.values, err) != 0 ||
	    campaign_entries_list(db, f.campaign.seq, &f.before, err) != 0)
		return -1;
	judge(&f, reply, sent_s, now_s);
	if (store(db, &f, reply, now_s, err) != 0 || db_commit(db, err) != 0)
		return -1;
	if (f.found_count > 0)
		log_info("checkpoints found", LOG_S("campaign", id), LOG_N("count", (int64_t)f.found_count));
	*ret_changed = is_changed(&f);
	*ret_found = f.found_count > 0;
	return 0;
}

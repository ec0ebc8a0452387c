/* Owns the tables campaign_watches and campaign_entries. */
#include "db/campaign_watches.h"

#include "base/mem.h"
#include "db/statement.h"

#include <string.h>

static const char *const entry_state_names[] = {"incomplete", "settling", "left_alone"};

const char *campaign_entry_state_name(enum campaign_entry_state state)
{
	return entry_state_names[state];
}

void campaign_watch_done(struct campaign_watch *watch)
{
	free(watch->cluster);
	free(watch->directory);
	free(watch->pattern);
	free(watch->ready_file);
	free(watch->reason);
	*watch = (struct campaign_watch){0};
}

void campaign_entry_list_done(struct campaign_entry_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].name);
		free(list->items[i].why);
	}
	free(list->items);
	*list = (struct campaign_entry_list){0};
}

static struct statement insert_watch = {
    .sql = "INSERT INTO campaign_watches (campaign, cluster, directory, pattern, ready_file, quiet_s)"
	   " VALUES (?, ?, ?, ?, ?, ?)",
};

int campaign_watches_insert(struct db *db, int64_t campaign, const struct campaign_watch *watch, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &insert_watch);
	query_bind_int(&q, campaign);
	query_bind_text(&q, watch->cluster);
	query_bind_text(&q, watch->directory);
	query_bind_text(&q, watch->pattern);
	query_bind_text(&q, watch->ready_file);
	query_bind_int(&q, watch->quiet_s);
	return query_run(&q, err);
}

static struct statement watch_of = {
    .sql = "SELECT cluster, directory, pattern, ready_file, quiet_s, looked_at, reason FROM campaign_watches"
	   " WHERE campaign = ?",
};

int campaign_watches_get(struct db *db, int64_t campaign, struct campaign_watch *ret_watch, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &watch_of);
	bool found = false;
	query_bind_int(&q, campaign);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return 0;
	ret_watch->cluster = query_text(&q);
	ret_watch->directory = query_text(&q);
	ret_watch->pattern = query_text(&q);
	ret_watch->ready_file = query_text(&q);
	ret_watch->quiet_s = query_int(&q);
	ret_watch->looked_at = query_int(&q);
	ret_watch->reason = query_text(&q);
	return 0;
}

static struct statement note_look = {
    .sql = "UPDATE campaign_watches SET looked_at = coalesce(?2, looked_at), reason = ?3"
	   " WHERE campaign = ?1 AND (?2 IS NOT NULL OR reason IS NOT ?3)",
};

int campaign_watches_note(struct db *db, int64_t campaign, int64_t looked_at, const char *reason, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &note_look);
	query_bind_int(&q, campaign);
	query_bind_int_or_null(&q, looked_at, 0);
	query_bind_text(&q, reason);
	return query_run(&q, err);
}

static struct statement list_entries = {
    .sql = "SELECT name, state, why, signature, since FROM campaign_entries WHERE campaign = ? ORDER BY name",
};

static enum campaign_entry_state read_state(struct query *q)
{
	char name[16];
	query_text_into(q, name, sizeof name);
	for (int i = CAMPAIGN_ENTRY_INCOMPLETE; i < CAMPAIGN_ENTRY_LEFT_ALONE; i++)
		if (strcmp(name, entry_state_names[i]) == 0)
			return (enum campaign_entry_state)i;
	return CAMPAIGN_ENTRY_LEFT_ALONE;
}

int campaign_entries_list(struct db *db, int64_t campaign, struct campaign_entry_list *ret_list, struct nel_err *err)
{
	CLEANUP(campaign_entry_list_done) struct campaign_entry_list list = {0};
	CLEANUP(query_done) struct query q = query_start(db, &list_entries);
	query_bind_int(&q, campaign);
	while (query_next(&q, err)) {
		struct campaign_entry *entry = ROW_ADD(list.items, list.count);
		entry->name = query_text(&q);
		entry->state = read_state(&q);
		entry->why = query_text(&q);
		query_text_into(&q, entry->signature, sizeof entry->signature);
		entry->since = query_int(&q);
	}
	if (query_failed(&q))
		return -1;
	*ret_list = list;
	list = (struct campaign_entry_list){0};
	return 0;
}

static struct statement forget_entries = {.sql = "DELETE FROM campaign_entries WHERE campaign = ?"};
static struct statement insert_entry = {
    .sql = "INSERT OR REPLACE INTO campaign_entries (campaign, name, state, why, signature, since)"
	   " VALUES (?, ?, ?, ?, ?, ?)",
};

int campaign_entries_replace(struct db *db, int64_t campaign, const struct campaign_entry_list *list,
			     struct nel_err *err)
{
	CLEANUP(query_done) struct query forget = query_start(db, &forget_entries);
	CLEANUP(query_done) struct query q = query_start(db, &insert_entry);
	query_bind_int(&forget, campaign);
	if (query_run(&forget, err) != 0)
		return -1;
	for (size_t i = 0; i < list->count; i++) {
		const struct campaign_entry *entry = &list->items[i];
		query_again(&q);
		query_bind_int(&q, campaign);
		query_bind_text(&q, entry->name);
		query_bind_text(&q, campaign_entry_state_name(entry->state));
		query_bind_text(&q, entry->why);
		query_bind_text(&q, entry->signature[0] != '\0' ? entry->signature : NULL);
		query_bind_int_or_null(&q, entry->since, 0);
		if (query_run(&q, err) != 0)
			return -1;
	}
	return 0;
}

struct statement *const campaign_watches_statements[] = {&insert_watch,   &watch_of,     &note_look, &list_entries,
							 &forget_entries, &insert_entry, NULL};

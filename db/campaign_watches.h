/* Tables campaign_watches and campaign_entries: the directories that campaigns watch, and what lies in them that is no
 * value (yet). */
#ifndef NEL_DB_CAMPAIGN_WATCHES_H
#define NEL_DB_CAMPAIGN_WATCHES_H

#include "db/db.h"

#define CAMPAIGN_SIGNATURE_SIZE 65

struct campaign_watch {
	char *cluster; /* NULL: the campaign watches nothing */
	char *directory;
	char *pattern;
	char *ready_file; /* NULL: none */
	int64_t quiet_s;
	int64_t looked_at; /* when it last could be; 0: never */
	char *reason;      /* what keeps it from being looked at, or from more values; NULL: nothing */
};

enum campaign_entry_state {
	CAMPAIGN_ENTRY_INCOMPLETE,
	CAMPAIGN_ENTRY_SETTLING, /* has its marker, but has not been unchanged for long enough */
	CAMPAIGN_ENTRY_LEFT_ALONE
};

const char *campaign_entry_state_name(enum campaign_entry_state state);

struct campaign_entry {
	char *name;
	enum campaign_entry_state state;
	char *why;
	char signature[CAMPAIGN_SIGNATURE_SIZE]; /* of a settling one, else "" */
	int64_t since;                           /* when it first had this signature; else 0 */
};

struct campaign_entry_list {
	struct campaign_entry *items;
	size_t count;
};

void campaign_watch_done(struct campaign_watch *watch);
void campaign_entry_list_done(struct campaign_entry_list *list);

int campaign_watches_insert(struct db *db, int64_t campaign, const struct campaign_watch *watch, struct nel_err *err);
/* ret_watch->cluster stays NULL when the campaign watches nothing. */
int campaign_watches_get(struct db *db, int64_t campaign, struct campaign_watch *ret_watch, struct nel_err *err);
/* looked_at 0: it could not be looked at, the last time stays. Writes nothing when nothing is different. */
int campaign_watches_note(struct db *db, int64_t campaign, int64_t looked_at, const char *reason, struct nel_err *err);

/* By name. */
int campaign_entries_list(struct db *db, int64_t campaign, struct campaign_entry_list *ret_list, struct nel_err *err);
/* These and no others; of several with one name, the last. Within a transaction. */
int campaign_entries_replace(struct db *db, int64_t campaign, const struct campaign_entry_list *list,
			     struct nel_err *err);

#endif

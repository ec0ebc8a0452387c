/* Table audit: who did what, when, from where, and with what outcome. Apart from events: it tells of refusals too, and
 * is pruned by a setting of its own. Never a secret. */
#ifndef NEL_DB_AUDIT_H
#define NEL_DB_AUDIT_H

#include "db/db.h"

#define AUDIT_TARGET_MAX 160 /* bytes; longer texts are cut */
#define AUDIT_DETAIL_MAX 400

enum audit_outcome { AUDIT_OK, AUDIT_REFUSED, AUDIT_FAILED };

const char *audit_outcome_name(enum audit_outcome outcome);

/* What happened; all borrowed, NULL where there is nothing to say. */
struct audit_entry {
	const char *actor;
	const char *role;
	const char *source;  /* an address, "uid N", "command line", "daemon" */
	const char *sign_in; /* how the actor was known: sign_in_name() of service/service.h */
	const char *request; /* its id */
	const char *action;  /* an operationId, or which command on a cluster */
	const char *target;
	const char *cluster;
	enum audit_outcome outcome;
	int status; /* HTTP; 0: none, or not known when it was stored */
	const char *detail;
	int64_t keep_s; /* older rows go, a few with every new one; 0: they stay */
};

/* Stores a row, within the open transaction if there is one. */
int audit_insert(struct db *db, const struct audit_entry *entry, int64_t now_s, struct nel_err *err);

/* The same for what is done again and again: when the newest row of this action and target says the same and began less
 * than an hour ago, it counts (counted) or nothing is written at all (not counted). */
int audit_insert_hourly(struct db *db, const struct audit_entry *entry, bool counted, int64_t now_s,
			struct nel_err *err);

/* From now on the connection's next db_commit() of a write stores this row in the same transaction, as AUDIT_OK. entry
 * is kept until audit_detach(). */
void audit_attach(struct db *db, const struct audit_entry *entry);
/* Has the row been stored? The connection is without one again. */
bool audit_detach(struct db *db);

/* What the attached row says, if there is one: copied, and in place of what entry has. */
void audit_say(struct db *db, const char *target, const char *detail); /* NULL: as it is */

/* db_commit() alone calls these: the first stores what is attached within the transaction that is about to end, the
 * second when that went well. */
int audit_store_attached(struct db *db, struct nel_err *err);
void audit_attached_is_stored(struct db *db);

struct audit_row {
	int64_t seq;
	int64_t at;
	int64_t last_at;
	int64_t count;
	char *actor;
	char *role; /* NULL: none */
	char *source;
	char *sign_in; /* NULL: by no request, or from before this was noted */
	char *request;
	char *action;
	char *target;
	char *cluster;
	char *outcome;
	int64_t status; /* 0: none */
	char *detail;
};

struct audit_list {
	struct audit_row *items;
	size_t count;
};

void audit_list_done(struct audit_list *list);

/* NULL or 0: no such filter. */
struct audit_filter {
	const char *actor;
	const char *action;
	const char *target;
	int64_t since_s;
	int64_t until_s;
	int64_t after_seq; /* the cursor: rows that come after this one in the order */
	int limit;
};

/* Newest first. */
int audit_list(struct db *db, const struct audit_filter *filter, struct audit_list *ret_list, struct nel_err *err);

#endif

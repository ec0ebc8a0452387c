/* Table events: one log of what happened, for streams, dashboards and webhooks.
 *
 * A reader that has seen number N never has to look below it again. SQLite lets one transaction write at a time, from
 * its first write to its commit, and AUTOINCREMENT takes the number after the greatest committed one within it. So the
 * numbers are given out in the order of the commits; those of a transaction become visible together; and those of one
 * that is rolled back were visible to nobody and are given out again. What a snapshot shows is the whole log up to its
 * greatest number, without holes: only pruning removes events, and it removes them from the beginning on. */
#ifndef NEL_DB_EVENTS_H
#define NEL_DB_EVENTS_H

#include "base/notifier.h"
#include "db/db.h"

/* Every kind there is, NULL-terminated. */
extern const char *const event_kinds[];

struct event_row {
	int64_t seq;
	int64_t at;
	char *kind;
	char *user;       /* whose it is; NULL: nobody's */
	char *evaluation; /* or NULL */
	char *job;        /* or NULL */
	char *data;       /* a JSON object */
};

struct event_list {
	struct event_row *items;
	size_t count;
};

/* NULL: no such filter. */
struct event_filter {
	const char *evaluation;
	const char *job;
	const char *user;
	const char *cluster; /* data's member */
	const char *state;   /* data's member "to" */
	const char *kinds;   /* the kinds that are wanted: ",job.state,evaluation.ended," */
	bool own;            /* with user: also those that are nobody's */
};

void event_row_done(struct event_row *row);
void event_list_done(struct event_list *list);

/* kind: of event_kinds; user, evaluation and job may be NULL; data is a JSON object's text. Within the transaction of
 * what it tells of; events_notifier() tells once that is committed. */
int events_insert(struct db *db, int64_t now_s, const char *kind, const char *user, const char *evaluation,
		  const char *job, const char *data, struct nel_err *err);

/* The notifier of all events that this process commits. */
struct notifier *events_notifier(void);

/* The events after number `after` that the filter lets through, oldest first, at most `limit` of them. *ret_settled:
 * the number up to which nothing was left out; give it as the next `after`. It may be less than the last number
 * although there are fewer than `limit` events, since a call looks at EVENTS_SCAN_MAX events at most, and ends with the
 * one whose data makes EVENTS_PAGE_BYTES full. */
#define EVENTS_SCAN_MAX 5000
#define EVENTS_PAGE_BYTES (1024 * 1024)
int events_read(struct db *db, const struct event_filter *filter, int64_t after, int limit, struct event_list *ret_list,
		int64_t *ret_settled, struct nel_err *err);

/* *ret_last: the greatest number ever given out (0: none); *ret_first: the smallest that is still kept, or
 * *ret_last + 1 when none is. */
int events_bounds(struct db *db, int64_t *ret_first, int64_t *ret_last, struct nel_err *err);

/* The event with that number; NOTFOUND when it was pruned. */
int events_get(struct db *db, int64_t seq, struct event_row *ret_row, struct nel_err *err);

/* Was the cluster last said to be reachable? True when nothing was ever said. */
int events_cluster_reachable(struct db *db, const char *cluster, bool *ret_reachable, struct nel_err *err);

/* Has the end of that certificate (its id) been told of already? */
int events_expiry_told(struct db *db, const char *cluster, const char *certificate, bool *ret_told,
		       struct nel_err *err);

/* Removes the oldest events as far as they are from before that time, at most `limit` of them. */
int events_prune(struct db *db, int64_t before_s, int limit, int *ret_count, struct nel_err *err);

#endif

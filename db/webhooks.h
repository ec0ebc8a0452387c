/* Table webhooks: who wants to be told of which events, and where. Table webhook_deliveries: what was sent and what
 * became of it. */
#ifndef NEL_DB_WEBHOOKS_H
#define NEL_DB_WEBHOOKS_H

#include "base/ids.h"
#include "db/db.h"

#define WEBHOOKS_LIST_MAX 10000     /* in one list */
#define WEBHOOK_DELIVERIES_KEPT 200 /* of each webhook */

struct webhook_row {
	char id[IDS_EVALUATION_SIZE]; /* 16 hex digits */
	char *user;
	char *url;
	char *kinds;                  /* ",job.state,"; "": every kind */
	bool all;                     /* everybody's events, not only the user's and those of clusters */
	unsigned char *sealed_secret; /* under the label "webhook:<id>" */
	size_t sealed_secret_size;
	int64_t position;
	int64_t created_at;
	int64_t failing_since; /* 0: not failing */
	int64_t disabled_at;   /* 0: active */
	char *disabled_reason; /* or NULL */
};

struct webhook_list {
	struct webhook_row *items;
	size_t count;
};

void webhook_row_done(struct webhook_row *row);
void webhook_list_done(struct webhook_list *list);

int webhooks_insert(struct db *db, const struct webhook_row *row, struct nel_err *err);
int webhooks_get(struct db *db, const char *id, struct webhook_row *ret_row, struct nel_err *err); /* NOTFOUND */
/* By id. user NULL: everybody's. */
int webhooks_list(struct db *db, const char *user, struct webhook_list *ret_list, struct nel_err *err);
/* Those that are not disabled. */
int webhooks_list_active(struct db *db, const char *after_id, struct webhook_list *ret_list, struct nel_err *err);
int webhooks_count(struct db *db, const char *user, int64_t *ret_count, struct nel_err *err);
int webhooks_delete(struct db *db, const char *id, struct nel_err *err); /* and its deliveries; NOTFOUND */

/* Events up to this number are settled. */
int webhooks_set_position(struct db *db, const char *id, int64_t position, struct nel_err *err);
/* A try went well (0), or it did not, at that time: the first failure in a row is kept. */
int webhooks_set_failing(struct db *db, const char *id, int64_t at_s, struct nel_err *err);
int webhooks_disable(struct db *db, const char *id, int64_t now_s, const char *reason, struct nel_err *err);

enum delivery_state { DELIVERY_PENDING, DELIVERY_DELIVERED, DELIVERY_FAILED };

const char *delivery_state_name(enum delivery_state state);

struct delivery_row {
	int64_t seq;
	char webhook[IDS_EVALUATION_SIZE];
	int64_t event; /* 0: a test */
	char *kind;
	enum delivery_state state;
	int64_t happened_at;
	int tries;
	int64_t next_at; /* while pending; 0: none */
	int64_t last_at; /* 0: not tried yet */
	int status;      /* HTTP's, of the last try; 0: there was no answer */
	char *error;     /* of the last try, or NULL */
	int64_t took_ms; /* -1: not tried yet */
};

struct delivery_list {
	struct delivery_row *items;
	size_t count;
};

void delivery_row_done(struct delivery_row *row);
void delivery_list_done(struct delivery_list *list);

/* Stores a pending one, due at once, and forgets the oldest of the webhook's that are not pending. Sets row->seq. */
int deliveries_insert(struct db *db, struct delivery_row *row, int64_t now_s, struct nel_err *err);
/* What became of a try: all members from state on. Nothing when the webhook is gone. */
int deliveries_update(struct db *db, const struct delivery_row *row, struct nel_err *err);
/* Oldest first. */
int deliveries_pending(struct db *db, const char *webhook, struct delivery_list *ret_list, struct nel_err *err);
int deliveries_pending_count(struct db *db, int64_t *ret_count, struct nel_err *err);
/* Newest first; before_seq 0: from the newest on. */
int deliveries_list(struct db *db, const char *webhook, int64_t before_seq, int limit, struct delivery_list *ret_list,
		    struct nel_err *err);

#endif

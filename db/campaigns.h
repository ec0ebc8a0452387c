/* Tables campaigns and campaign_values: one config over many values of one of its keys, and which evaluation each value
 * has. */
#ifndef NEL_DB_CAMPAIGNS_H
#define NEL_DB_CAMPAIGNS_H

#include "base/ids.h"
#include "db/db.h"

#define CAMPAIGN_VALUES_MAX 1000 /* of one campaign */
#define CAMPAIGN_NO_STEP (-1)

enum campaign_state { CAMPAIGN_ACTIVE, CAMPAIGN_PAUSED, CAMPAIGN_ENDED, CAMPAIGN_CANCELLED };
enum campaign_order { CAMPAIGN_NEWEST_FIRST, CAMPAIGN_LISTED };

const char *campaign_state_name(enum campaign_state state);
const char *campaign_order_name(enum campaign_order order);
int campaign_order_from_name(const char *name, enum campaign_order *ret_order); /* 0 or -1 */

struct campaign_row {
	int64_t seq;
	char id[IDS_EVALUATION_SIZE]; /* 16 hex digits */
	char *user;
	bool account; /* made by an account of the machine that is an admin by that alone */
	char *name;
	enum campaign_state state;
	char *reason; /* why it is paused, or NULL: somebody asked */
	char *parameter;
	enum campaign_order order;
	int live;        /* values at once whose conversion or evaluation lives */
	bool reuse;      /* jobs may be answered with the scores of equal ones */
	char *convert;   /* a JSON object: what converts a value before its evaluation; NULL: nothing */
	bool json;       /* the config is JSON, not YAML */
	char *overrides; /* a JSON array */
	char *labels;    /* a JSON object */
	int64_t created_at;
	int64_t updated_at;
	/* Set by campaigns_get_texts() only. */
	char *config;
	unsigned char *sealed_env; /* an object of secrets, under campaigns_env_label(); NULL: none */
	size_t sealed_env_size;
};

struct campaign_list {
	struct campaign_row *items;
	size_t count;
};

struct campaign_value {
	int64_t position;
	char *value;
	int64_t step;                         /* CAMPAIGN_NO_STEP: none */
	char evaluation[IDS_EVALUATION_SIZE]; /* "": none yet */
	int64_t submitted_at;                 /* 0: not yet */
	char *error;                          /* why it was refused, or NULL */
	char *state;                          /* the evaluation's; NULL: there is none, or it was pruned */
	char conversion[IDS_EVALUATION_SIZE]; /* the evaluation that converts it (plan_convert.h); "": none yet */
	/* Of its one job; NULL: there is none, or it was pruned. */
	char *conversion_state;
	char *conversion_reason;
	char *conversion_waiting_on;
	char *conversion_rundir;
};

/* waiting, refused, pruned; while it has no evaluation and its conversion has not succeeded converting, or as which
 * that ended; converted until it has an evaluation; then that's state. Static text, or the value's. */
const char *campaign_value_state(const struct campaign_value *value);

/* Nothing more is to be expected of it. */
bool campaign_value_is_over(const struct campaign_value *value);

struct campaign_value_list {
	struct campaign_value *items;
	size_t count;
};

void campaign_row_done(struct campaign_row *row);
void campaign_list_done(struct campaign_list *list);
void campaign_value_done(struct campaign_value *value);
void campaign_value_list_done(struct campaign_value_list *list);

/* Under which a campaign's secrets are sealed (secret_seal()); free()d by the caller. */
char *campaigns_env_label(const char *id);

/* With its texts. Sets row->seq. */
int campaigns_insert(struct db *db, struct campaign_row *row, struct nel_err *err);
int campaigns_get(struct db *db, const char *id, struct campaign_row *ret_row, struct nel_err *err); /* NOTFOUND */
int campaigns_get_texts(struct db *db, struct campaign_row *row, struct nel_err *err);
/* Newest first, those with a number below before_seq (0: all); user NULL: everybody's. */
int campaigns_list(struct db *db, const char *user, int64_t before_seq, int limit, struct campaign_list *ret_list,
		   struct nel_err *err);
/* The first one after after_seq that is active or paused; *ret_found false: there is none. */
int campaigns_next_open(struct db *db, int64_t after_seq, struct campaign_row *ret_row, bool *ret_found,
			struct nel_err *err);
/* Those of the user that are active or paused. */
int campaigns_count_open(struct db *db, const char *user, int64_t *ret_count, struct nel_err *err);
/* reason may be NULL. CONFLICT when it is not in state `from` any more. One that ends or is cancelled forgets its
 * secrets. */
int campaigns_set_state(struct db *db, int64_t seq, enum campaign_state from, enum campaign_state to,
			const char *reason, int64_t now_s, struct nel_err *err);

/* Forgets up to `limit` that ended or were cancelled before that time and have no evaluation in the store any more. */
int campaigns_prune(struct db *db, int64_t ended_before_s, int limit, int *ret_count, struct nel_err *err);

/* CONFLICT: the campaign has that value or position already. */
int campaign_values_insert(struct db *db, int64_t campaign, const struct campaign_value *value, struct nel_err *err);
/* By position. */
int campaign_values_list(struct db *db, int64_t campaign, struct campaign_value_list *ret_list, struct nel_err *err);
/* How many wait, and how many have a conversion or an evaluation that has not ended. */
int campaign_values_count(struct db *db, int64_t campaign, int64_t *ret_waiting, int64_t *ret_live,
			  struct nel_err *err);
/* The one that is to be submitted next: by newest_first the greatest step, those without one last, and of equals the
 * one listed last. *ret_found false: none waits. */
int campaign_values_next(struct db *db, int64_t campaign, enum campaign_order order, struct campaign_value *ret_value,
			 bool *ret_found, struct nel_err *err);
/* One that is converted and has no evaluation yet. */
int campaign_values_converted(struct db *db, int64_t campaign, struct campaign_value *ret_value, bool *ret_found,
			      struct nel_err *err);
/* Within the transaction that stores the evaluation, or the conversion. CONFLICT when the value does not wait for it
 * any more, or the campaign is not active. */
int campaign_values_converting(struct db *db, int64_t campaign, int64_t position, const char *conversion,
			       struct nel_err *err);
int campaign_values_submitted(struct db *db, int64_t campaign, int64_t position, const char *evaluation, int64_t now_s,
			      struct nel_err *err);
/* CONFLICT when the value does not wait any more. */
int campaign_values_refused(struct db *db, int64_t campaign, int64_t position, const char *error, struct nel_err *err);

#endif

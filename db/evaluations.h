/* Tables evaluations, evaluation_texts and labels: one row an evaluation, as submitted and as resolved. */
#ifndef NEL_DB_EVALUATIONS_H
#define NEL_DB_EVALUATIONS_H

#include "base/ids.h"
#include "db/db.h"

struct label {
	char *key;
	char *value;
};

/* All strings owned. Reads of lists leave the texts (submitted_text, resolved, sealed_env) NULL. */
struct evaluation_row {
	int64_t seq;
	char id[IDS_EVALUATION_SIZE];
	char *user;
	char *cluster;  /* the settings' name */
	char *identity; /* the account on the cluster */
	char *state;    /* queued running succeeded failed cancelled */
	char *model;
	char *rundir;
	char *submitted_text;
	char *submitted_type;      /* "application/yaml" or "application/json" */
	char *overrides;           /* a JSON array of strings */
	char *resolved;            /* JSON */
	char *config_hash;         /* equal for evaluations that are alike (config/plan/likeness.h) */
	char *images;              /* a JSON array of strings */
	char *warnings;            /* a JSON array of problems */
	char *placement;           /* how the choice of its cluster stands (placements.h): JSON; NULL: there is none */
	bool reuse;                /* its jobs may be answered with the scores of equal ones */
	unsigned char *sealed_env; /* the submission's env, sealed under the label "env:<id>"; NULL: none */
	size_t sealed_env_size;
	int64_t created_at;
	int64_t updated_at;
	int64_t ended_at; /* 0: not ended */
	int64_t version;  /* grows with every change of the evaluation or its jobs */
	struct label *labels;
	size_t label_count;
};

/* NULL or 0: no such filter. */
struct evaluation_filter {
	const char *id_start; /* the first digits of its id */
	const char *state;
	const char *user;
	const char *cluster;
	const char *task;
	const char *model;
	const char *config_hash;
	const char *label_key; /* with label_value */
	const char *label_value;
	const char *search; /* search_parse() */
	int64_t since_s;    /* created_at >= */
	int64_t until_s;    /* created_at < */
	int64_t position;   /* of seq_list, with the same sort; 0: from the beginning */
	enum list_sort sort;
	int limit;
};

void evaluation_row_done(struct evaluation_row *row);

/* Inserts row, its texts and its labels; sets row->seq and row->version. Within a transaction. CONFLICT when the id is
 * taken. */
int evaluations_insert(struct db *db, struct evaluation_row *row, struct nel_err *err);

/* with_texts false leaves the long texts NULL. NOTFOUND. */
int evaluations_get(struct db *db, const char *id, bool with_texts, struct evaluation_row *ret_row,
		    struct nel_err *err);

/* The same by number, without the long texts. */
int evaluations_get_at(struct db *db, int64_t seq, struct evaluation_row *ret_row, struct nel_err *err);

/* At most DB_LIST_MAX. */
int evaluations_list(struct db *db, const struct evaluation_filter *filter, struct seq_list *ret_list,
		     struct nel_err *err);
/* How many there are on all pages together. *ret_capped: so many or more; counting on would take too long. */
int evaluations_total(struct db *db, const struct evaluation_filter *filter, int64_t *ret_total, bool *ret_capped,
		      struct nel_err *err);

/* Sets state (and ended_at when it is an end state, NULL again when not), updated_at, version + 1. */
int evaluations_set_state(struct db *db, int64_t seq, const char *state, int64_t now_s, bool ended,
			  struct nel_err *err);

/* version + 1, updated_at. */
int evaluations_touch(struct db *db, int64_t seq, int64_t now_s, struct nel_err *err);

/* version + 1. */
int evaluations_set_hash(struct db *db, int64_t seq, const char *config_hash, struct nel_err *err);

/* Removes evaluations that ended before that time, with their jobs and everything that is theirs, at most `limit` of
 * them. One stays while a job of it is not collected, or while somebody wants it to go on. Events stay: they have their
 * own time. */
int evaluations_prune(struct db *db, int64_t ended_before_s, int limit, int *ret_count, struct nel_err *err);

/* The sealed env alone; NULL: none. */
int evaluations_get_env(struct db *db, int64_t seq, unsigned char **ret_sealed, size_t *ret_size, struct nel_err *err);

/* Another one in its place. NOTFOUND. */
int evaluations_set_env(struct db *db, int64_t seq, const unsigned char *sealed, size_t size, struct nel_err *err);

/* Forgets the sealed envs of evaluations that have succeeded, and of those that ended otherwise before that time, at
 * most `limit` of them. One stays while a job of it is not collected, or while somebody wants it to go on. */
int evaluations_clear_envs(struct db *db, int64_t ended_before_s, int limit, int *ret_count, struct nel_err *err);

/* Has it the label "KEY:VALUE"? A key has no colon. */
int evaluations_has_label(struct db *db, int64_t seq, const char *label, bool *ret_has, struct nel_err *err);

#endif

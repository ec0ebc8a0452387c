/* Table day_counts: how many evaluations and jobs there are by day, cluster, person and state, which the store counts
 * itself; and why jobs failed. */
#ifndef NEL_DB_SUMMARY_H
#define NEL_DB_SUMMARY_H

#include "db/db.h"

#define SUMMARY_ROWS_MAX 10000     /* of one summary */
#define SUMMARY_FAILURES_MAX 10000 /* failed jobs that are looked at, the latest ones of all */
#define SUMMARY_DAY_S 86400

struct summary_filter {
	bool by_day;
	bool by_cluster;
	bool by_user;
	bool by_state;
	bool ended;        /* days are of ends; else of submissions */
	int64_t first_day; /* days since 1970-01-01, UTC; from this one */
	int64_t last_day;  /* to this one */
	const char *cluster;
	const char *user; /* NULL: any */
};

/* What it is not by is NULL, or -1. */
struct summary_row {
	int64_t day;
	char *cluster;
	char *user;
	char *state; /* of an evaluation or a job: they share some */
	int64_t evaluations;
	int64_t jobs;
};

struct summary_list {
	struct summary_row *items;
	size_t count; /* SUMMARY_ROWS_MAX + 1 when there are more than that */
};

struct failure_count {
	char *cause; /* Slurm's state of the last attempt in lower case, budget_exhausted, or not_submitted */
	int64_t jobs;
};

struct failure_count_list {
	struct failure_count *items;
	size_t count;
	bool capped; /* so many failed then, of everybody, that earlier ones were not looked at */
};

void summary_list_done(struct summary_list *list);
void failure_count_list_done(struct failure_count_list *list);

/* In the order of day, cluster, user, state. */
int summary_count(struct db *db, const struct summary_filter *filter, struct summary_list *ret_list,
		  struct nel_err *err);

/* Of jobs that ended in those days, most frequent first. */
int summary_failures(struct db *db, const struct summary_filter *filter, struct failure_count_list *ret_list,
		     struct nel_err *err);

#endif

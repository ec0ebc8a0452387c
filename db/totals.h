/* Table totals: sums that only grow. Table job_counts: how many jobs are in which state, which the store counts. Both
 * for GET /metrics: a few rows, whatever is stored. */
#ifndef NEL_DB_TOTALS_H
#define NEL_DB_TOTALS_H

#include "db/db.h"

struct total_row {
	char *name;
	char *cluster;
	char *label; /* a state */
	int64_t value;
};

struct total_list {
	struct total_row *items;
	size_t count;
};

void total_list_done(struct total_list *list);

/* Within the transaction of what is counted. */
int totals_add(struct db *db, const char *name, const char *cluster, const char *label, int64_t value,
	       struct nel_err *err);

/* By name, cluster and label. */
int totals_list(struct db *db, struct total_list *ret_list, struct nel_err *err);

/* The jobs of each cluster in each state, as totals with the name "jobs". */
int totals_jobs(struct db *db, struct total_list *ret_list, struct nel_err *err);

#endif

/* Owns what filters by time have in common. */
#include "db/created.h"

static struct statement first_since = {
    .sql = "SELECT seq FROM evaluations INDEXED BY evaluations_created_high WHERE created_high >= ?"
	   " ORDER BY created_high, seq LIMIT 1",
};
static struct statement last_until = {
    .sql = "SELECT seq FROM evaluations INDEXED BY evaluations_created_high WHERE created_high < ?"
	   " ORDER BY created_high DESC, seq DESC LIMIT 1",
};

static int bound_at(struct db *db, const struct statement *statement, int64_t at_s, int64_t if_none, int64_t *ret_seq,
		    struct nel_err *err)
{
	bool found = false;
	if (at_s == 0)
		return 0;
	CLEANUP(query_done) struct query q = query_start(db, statement);
	query_bind_int(&q, at_s);
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_seq = found ? query_int(&q) : if_none;
	return 0;
}

int created_bounds_find(struct db *db, int64_t since_s, int64_t until_s, struct created_bounds *ret_bounds,
			struct nel_err *err)
{
	*ret_bounds = (struct created_bounds){0};
	return bound_at(db, &first_since, since_s, INT64_MAX, &ret_bounds->first, err) != 0 ||
		       bound_at(db, &last_until, until_s, 0, &ret_bounds->last, err) != 0
		   ? -1
		   : 0;
}

void created_add_postings(struct postings *postings, struct db *db, const struct statement *statement, int64_t bound,
			  int64_t at_s)
{
	if (at_s == 0)
		return;
	struct query q = query_start(db, statement);
	query_bind_int(&q, bound);
	query_bind_int(&q, at_s);
	postings_add(postings, q);
}

struct statement *const created_statements[] = {&first_since, &last_until, NULL};

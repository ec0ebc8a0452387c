/* Reads versions of evaluations and jobs; owns no table. */
#include "db/revisions.h"

#include "db/statement.h"

#define WAITS "j.state IN ('queued', 'resuming')"

static struct statement of_evaluation = {
    .sql = "SELECT e.version, e.updated_at, sum(j.version), max(j.observed_at), max(" WAITS ")"
	   " FROM evaluations e JOIN jobs j ON j.evaluation_seq = e.seq WHERE e.id = ? GROUP BY e.seq",
};
static struct statement of_job = {
    .sql = "SELECT e.version, e.updated_at, j.version, j.observed_at, " WAITS
	   " FROM jobs j JOIN evaluations e ON e.seq = j.evaluation_seq WHERE j.id = ?",
};

static int read_one(struct db *db, const struct statement *statement, const char *id, struct revision *ret_revision,
		    struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, statement);
	bool found = false;
	query_bind_text(&q, id);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_NOTFOUND, "there is no %s", id);
	ret_revision->version = query_int(&q);
	ret_revision->updated_at = query_int(&q);
	ret_revision->jobs = query_int(&q);
	ret_revision->observed_at = query_int(&q);
	ret_revision->waits = query_int(&q) != 0;
	return 0;
}

int revisions_evaluation(struct db *db, const char *id, struct revision *ret_revision, struct nel_err *err)
{
	return read_one(db, &of_evaluation, id, ret_revision, err);
}

int revisions_job(struct db *db, const char *id, struct revision *ret_revision, struct nel_err *err)
{
	return read_one(db, &of_job, id, ret_revision, err);
}

struct statement *const revisions_statements[] = {&of_evaluation, &of_job, NULL};

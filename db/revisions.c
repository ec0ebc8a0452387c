/* Reads versions of evaluations and jobs; owns no table. */
#include "db/revisions.h"

#include "db/observations.h"
#include "db/statement.h"

#include <string.h>

#define WAITS "j.state IN ('queued', 'resuming')"

#define COLUMNS "e.seq, e.id, e.version, e.updated_at"
#define ALL_JOBS \
	"sum(j.version), max(" OBSERVED_AT("j") "), max(" WAITS \
						") FROM evaluations e JOIN jobs j ON j.evaluation_seq = e.seq"

static struct statement of_evaluation = {.sql = "SELECT " COLUMNS ", " ALL_JOBS " WHERE e.id = ? GROUP BY e.seq"};
static struct statement of_evaluation_at = {.sql = "SELECT " COLUMNS ", " ALL_JOBS " WHERE e.seq = ? GROUP BY e.seq"};
static struct statement of_job = {
    .sql = "SELECT " COLUMNS ", j.version, " OBSERVED_AT(
	"j") ", " WAITS " FROM jobs j JOIN evaluations e ON e.seq = j.evaluation_seq WHERE j.id = ?",
};

struct revision revision_of(const struct evaluation_row *row, const struct job_list *jobs)
{
	struct revision revision = {.seq = row->seq, .version = row->version, .updated_at = row->updated_at};
	memcpy(revision.id, row->id, sizeof revision.id);
	for (size_t i = 0; i < jobs->count; i++) {
		const struct job_row *job = &jobs->items[i];
		revision.jobs += job->version;
		if (job->observed_at > revision.observed_at)
			revision.observed_at = job->observed_at;
		revision.waits = revision.waits || job->state == CHAIN_QUEUED || job->state == CHAIN_RESUMING;
	}
	return revision;
}

bool revision_equal(const struct revision *a, const struct revision *b)
{
	return a->seq == b->seq && strcmp(a->id, b->id) == 0 && a->version == b->version &&
	       a->updated_at == b->updated_at && a->jobs == b->jobs && a->observed_at == b->observed_at &&
	       a->waits == b->waits;
}

/* Steps the query, whose parameter is bound. */
static int read_one(struct query *q, struct revision *ret_revision, struct nel_err *err)
{
	bool found = false;
	if (query_step(q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_NOTFOUND, "there is no such row");
	ret_revision->seq = query_int(q);
	query_text_into(q, ret_revision->id, sizeof ret_revision->id);
	ret_revision->version = query_int(q);
	ret_revision->updated_at = query_int(q);
	ret_revision->jobs = query_int(q);
	ret_revision->observed_at = query_int(q);
	ret_revision->waits = query_int(q) != 0;
	return 0;
}

int revisions_evaluation(struct db *db, const char *id, struct revision *ret_revision, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &of_evaluation);
	query_bind_text(&q, id);
	return read_one(&q, ret_revision, err);
}

int revisions_evaluation_at(struct db *db, int64_t seq, struct revision *ret_revision, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &of_evaluation_at);
	query_bind_int(&q, seq);
	return read_one(&q, ret_revision, err);
}

int revisions_job(struct db *db, const char *id, struct revision *ret_revision, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &of_job);
	query_bind_text(&q, id);
	return read_one(&q, ret_revision, err);
}

struct statement *const revisions_statements[] = {&of_evaluation, &of_evaluation_at, &of_job, NULL};

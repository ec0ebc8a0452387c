#include "db/job_postings.h"

/* Jobs have the order of their evaluations, and within one of their indexes (jobs.c, check_order()). */
#define EVALUATION_AT(job) "(SELECT evaluation_seq FROM jobs WHERE seq <= " job " ORDER BY seq DESC LIMIT 1)"

struct statement job_postings_state = {
    .sql = "SELECT seq FROM jobs INDEXED BY jobs_state WHERE state = ?1 AND seq <= ?2 ORDER BY seq DESC",
};
struct statement job_postings_evaluation = {
    .sql = "SELECT seq FROM jobs WHERE evaluation_seq = (SELECT seq FROM evaluations WHERE id = ?1) AND seq <= ?2"
	   " ORDER BY idx DESC",
};
struct statement job_postings_user = {
    .sql = "SELECT seq FROM jobs INDEXED BY jobs_user WHERE user = ?1 AND seq <= ?2 ORDER BY seq DESC",
};
struct statement job_postings_cluster = {
    .sql = "SELECT seq FROM jobs INDEXED BY jobs_cluster WHERE cluster = ?1 AND seq <= ?2 ORDER BY seq DESC",
};
struct statement job_postings_model = {
    .sql = "SELECT seq FROM jobs INDEXED BY jobs_model WHERE model = ?1 AND seq <= ?2 ORDER BY seq DESC",
};
struct statement job_postings_task = {
    .sql = "SELECT seq FROM jobs INDEXED BY jobs_task_evaluation WHERE task = ?1 AND evaluation_seq <= " EVALUATION_AT(
	"?2") " AND seq <= ?2 ORDER BY evaluation_seq DESC, seq DESC",
};
static struct statement list_label = {
    .sql = "SELECT j.seq FROM labels l INDEXED BY labels_value CROSS JOIN jobs j ON j.evaluation_seq = l.evaluation"
	   " WHERE l.key = ?1 AND l.value = ?2 AND l.evaluation <= " EVALUATION_AT(
	       "?3") " AND j.seq <= ?3 ORDER BY l.evaluation DESC, j.idx DESC",
};

/* Times (db/created.h): up to the last evaluation whose created_high is below `until` all jobs are old
 * enough, above it only those of late evaluations can be. */
static struct statement list_since = {
    .sql = "SELECT seq FROM jobs WHERE evaluation_seq >= ?1 AND created_at >= ?2"
	   " AND evaluation_seq <= " EVALUATION_AT("?3") " AND seq <= ?3 ORDER BY evaluation_seq DESC, idx DESC",
};
static struct statement list_until = {
    .sql = "SELECT j.seq, e.seq, j.idx FROM evaluations e INDEXED BY evaluations_late"
	   " CROSS JOIN jobs j ON j.evaluation_seq = e.seq"
	   " WHERE e.created_at < e.created_high AND e.seq > ?1 AND e.created_at < ?2"
	   " AND e.seq <= " EVALUATION_AT("?3") " AND j.seq <= ?3"
						" UNION ALL SELECT seq, evaluation_seq, idx FROM jobs"
						" WHERE evaluation_seq <= min(?1, " EVALUATION_AT(
						    "?3") ") AND seq <= ?3 ORDER BY 2 DESC, 3 DESC",
};

void job_postings_add_label(struct postings *postings, struct db *db, const char *key, const char *value)
{
	if (key == NULL)
		return;
	struct query q = query_start(db, &list_label);
	query_bind_text(&q, key);
	query_bind_text(&q, value);
	postings_add(postings, q);
}

void job_postings_add_span(struct postings *postings, struct db *db, const struct created_bounds *bounds,
			   int64_t since_s, int64_t until_s)
{
	created_add_postings(postings, db, &list_since, bounds->first, since_s);
	created_add_postings(postings, db, &list_until, bounds->last, until_s);
}

struct statement *const job_postings_statements[] = {&job_postings_state, &job_postings_evaluation,
						     &job_postings_user,  &job_postings_cluster,
						     &job_postings_model, &job_postings_task,
						     &list_label,         &list_since,
						     &list_until,         NULL};

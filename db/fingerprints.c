/* Owns the table fingerprints. */
#include "db/fingerprints.h"

#include "db/statement.h"

#include <string.h>

static struct statement put = {
    .sql = "INSERT INTO fingerprints (job, checkpoints, fingerprint) VALUES (?1, ?2, ?3) ON CONFLICT (job) DO UPDATE"
	   " SET fingerprint = CASE WHEN fingerprint = excluded.fingerprint THEN fingerprint ELSE '' END",
};

int fingerprints_put(struct db *db, int64_t job_seq, const char *checkpoints, const char *fingerprint,
		     struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &put);
	query_bind_int(&q, job_seq);
	query_bind_text(&q, checkpoints);
	query_bind_text(&q, fingerprint);
	return query_run(&q, err);
}

static struct statement unsettled = {
    .sql = "SELECT checkpoints FROM fingerprints WHERE job = ? AND settled IS NULL AND fingerprint <> ''",
};

int fingerprints_unsettled(struct db *db, int64_t job_seq, char **ret_checkpoints, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &unsettled);
	bool found = false;
	query_bind_int(&q, job_seq);
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_checkpoints = found ? query_text(&q) : NULL;
	return 0;
}

static struct statement settle = {
    .sql = "UPDATE fingerprints SET settled = (fingerprint = ?2) WHERE job = ?1 AND settled IS NULL",
};

int fingerprints_settle(struct db *db, int64_t job_seq, const char *fingerprint, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &settle);
	query_bind_int(&q, job_seq);
	query_bind_text(&q, fingerprint);
	return query_run(&q, err);
}

static struct statement forget = {.sql = "DELETE FROM fingerprints WHERE job = ?"};

int fingerprints_forget(struct db *db, int64_t job_seq, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &forget);
	query_bind_int(&q, job_seq);
	return query_run(&q, err);
}

static struct statement copy = {
    .sql = "INSERT INTO fingerprints (job, checkpoints, fingerprint, settled)"
	   " SELECT ?2, checkpoints, fingerprint, settled FROM fingerprints WHERE job = ?1"
	   " ON CONFLICT (job) DO UPDATE SET checkpoints = excluded.checkpoints, fingerprint = excluded.fingerprint,"
	   " settled = excluded.settled",
};

int fingerprints_copy(struct db *db, int64_t from_seq, int64_t to_seq, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &copy);
	query_bind_int(&q, from_seq);
	query_bind_int(&q, to_seq);
	return query_run(&q, err);
}

static struct statement equal = {
    .sql = "SELECT j.seq, f.fingerprint FROM job_likenesses l INDEXED BY job_likenesses_subject"
	   " CROSS JOIN jobs j ON j.seq = l.job CROSS JOIN fingerprints f ON f.job = j.seq"
	   " WHERE l.subject = (SELECT seq FROM likenesses WHERE hash = ?1)"
	   " AND l.protocol = (SELECT seq FROM likenesses WHERE hash = ?2) AND j.task = ?3 AND j.model = ?4"
	   " AND j.cluster = ?5 AND j.identity = ?6 AND j.seq <> ?7 AND j.state = 'succeeded'"
	   " AND f.settled = 1 AND f.fingerprint <> '' AND EXISTS (SELECT 1 FROM results r WHERE r.job = j.seq)"
	   " AND (j.reused_from IS NULL OR NOT EXISTS (SELECT 1 FROM jobs o WHERE o.id = j.reused_from))"
	   " ORDER BY l.job DESC LIMIT ?8",
};

int64_t fingerprints_find(const struct fingerprint_candidates *candidates, const char *fingerprint)
{
	for (size_t i = 0; i < candidates->count; i++)
		if (strcmp(candidates->items[i].fingerprint, fingerprint) == 0)
			return candidates->items[i].job_seq;
	return 0;
}

int fingerprints_candidates(struct db *db, const struct fingerprint_question *question,
			    struct fingerprint_candidates *ret_candidates, struct nel_err *err)
{
	struct fingerprint_candidates found = {.count = 0};
	CLEANUP(query_done) struct query q = query_start(db, &equal);
	query_bind_text(&q, question->subject_hash);
	query_bind_text(&q, question->protocol_hash);
	query_bind_text(&q, question->task);
	query_bind_text(&q, question->model);
	query_bind_text(&q, question->cluster);
	query_bind_text(&q, question->identity);
	query_bind_int(&q, question->but);
	query_bind_int(&q, FINGERPRINTS_LOOKED_AT_MAX);
	while (found.count < FINGERPRINTS_CANDIDATES_MAX && query_next(&q, err)) {
		struct fingerprint_candidate one = {.job_seq = query_int(&q)};
		query_text_into(&q, one.fingerprint, sizeof one.fingerprint);
		if (fingerprints_find(&found, one.fingerprint) == 0)
			found.items[found.count++] = one;
	}
	if (query_failed(&q))
		return -1;
	*ret_candidates = found;
	return 0;
}

struct statement *const fingerprints_statements[] = {&put, &unsettled, &settle, &forget, &copy, &equal, NULL};

/* Owns the tables likenesses, job_likenesses and likeness_backlog. */
#include "db/likenesses.h"

#include "db/statement.h"

#include <stdlib.h>

static struct statement add = {
    .sql = "INSERT INTO likenesses (hash, parts) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING",
};
static struct statement find = {.sql = "SELECT seq FROM likenesses WHERE hash = ?"};

static int intern(struct db *db, const struct likeness_row *row, int64_t *ret_seq, struct nel_err *err)
{
	bool found = false;
	CLEANUP(query_done) struct query insert = query_start(db, &add);
	query_bind_text(&insert, row->hash);
	query_bind_text(&insert, row->parts);
	if (query_run(&insert, err) != 0)
		return -1;
	CLEANUP(query_done) struct query q = query_start(db, &find);
	query_bind_text(&q, row->hash);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_DB, "a likeness was not stored");
	*ret_seq = query_int(&q);
	return 0;
}

static struct statement delete_of_job = {.sql = "DELETE FROM job_likenesses WHERE job = ?"};
static struct statement insert_of_job = {
    .sql = "INSERT INTO job_likenesses (job, subject, protocol) VALUES (?, ?, ?)",
};
static struct statement mark_results = {.sql = "UPDATE results SET subject = ?2, protocol = ?3 WHERE job = ?1"};

static int run_of_job(struct db *db, const struct statement *statement, int64_t job_seq, int64_t subject,
		      int64_t protocol, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, statement);
	query_bind_int(&q, job_seq);
	query_bind_int(&q, subject);
	query_bind_int(&q, protocol);
	return query_run(&q, err);
}

int likenesses_set(struct db *db, int64_t job_seq, const struct likeness_row *subject,
		   const struct likeness_row *protocol, struct nel_err *err)
{
	int64_t of = 0;
	int64_t how = 0;
	CLEANUP(query_done) struct query q = query_start(db, &delete_of_job);
	query_bind_int(&q, job_seq);
	if (query_run(&q, err) != 0 || intern(db, subject, &of, err) != 0 || intern(db, protocol, &how, err) != 0 ||
	    run_of_job(db, &insert_of_job, job_seq, of, how, err) != 0)
		return -1;
	return run_of_job(db, &mark_results, job_seq, of, how, err);
}

static struct statement basis_of = {
    .sql = "SELECT l.subject, l.protocol, s.hash, p.hash, s.parts, p.parts, json_extract(s.parts, '$.checkpoint'),"
	   " json_extract(p.parts, '$.harness'), json_extract(p.parts, '$.image'), json_extract(p.parts, '$.params'),"
	   " json_extract(p.parts, '$.params_hash') FROM job_likenesses l JOIN likenesses s ON s.seq = l.subject"
	   " JOIN likenesses p ON p.seq = l.protocol WHERE l.job = ?",
};

int likenesses_basis(struct db *db, int64_t job_seq, struct job_basis *ret_basis, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &basis_of);
	bool found = false;
	query_bind_int(&q, job_seq);
	*ret_basis = (struct job_basis){0};
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return 0;
	ret_basis->subject = query_int(&q);
	ret_basis->protocol = query_int(&q);
	char **const texts[] = {&ret_basis->subject_hash,   &ret_basis->protocol_hash, &ret_basis->subject_parts,
				&ret_basis->protocol_parts, &ret_basis->checkpoint,    &ret_basis->harness,
				&ret_basis->image,          &ret_basis->params,        &ret_basis->params_hash};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		*texts[i] = query_text(&q);
	return 0;
}

void job_basis_done(struct job_basis *basis)
{
	if (basis == NULL)
		return;
	free(basis->subject_hash);
	free(basis->protocol_hash);
	free(basis->subject_parts);
	free(basis->protocol_parts);
	free(basis->checkpoint);
	free(basis->harness);
	free(basis->image);
	free(basis->params);
	free(basis->params_hash);
	*basis = (struct job_basis){0};
}

static struct statement durations = {
    .sql = "SELECT j.ended_at - j.started_at FROM job_likenesses l INDEXED BY job_likenesses_subject"
	   " CROSS JOIN jobs j ON j.seq = l.job WHERE l.subject = (SELECT seq FROM likenesses WHERE hash = ?1)"
	   " AND l.protocol = (SELECT seq FROM likenesses WHERE hash = ?2) AND j.task = ?3 AND j.state = 'succeeded'"
	   " AND j.ended_at > j.started_at ORDER BY l.job DESC LIMIT ?4",
};

static int compare_durations(const void *a, const void *b)
{
	const int64_t *left = a;
	const int64_t *right = b;
	return (*left > *right) - (*left < *right);
}

int likenesses_duration(struct db *db, const char *task, const char *subject_hash, const char *protocol_hash,
			int64_t *ret_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &durations);
	int64_t found_s[LIKENESSES_DURATIONS_MAX];
	size_t count = 0;
	bool more = false;
	query_bind_text(&q, subject_hash);
	query_bind_text(&q, protocol_hash);
	query_bind_text(&q, task);
	query_bind_int(&q, LIKENESSES_DURATIONS_MAX);
	while (count < LIKENESSES_DURATIONS_MAX) {
		if (query_step(&q, &more, err) != 0)
			return -1;
		if (!more)
			break;
		found_s[count++] = query_int(&q);
	}
	qsort(found_s, count, sizeof *found_s, compare_durations);
	*ret_s = count > 0 ? found_s[count / 2] : 0;
	return 0;
}

static struct statement next = {
    .sql = "SELECT id FROM evaluations WHERE seq = (SELECT max(evaluation) FROM likeness_backlog)",
};
static struct statement delete_next = {.sql = "DELETE FROM likeness_backlog WHERE evaluation = ?"};

int likenesses_next(struct db *db, char ret_evaluation[IDS_EVALUATION_SIZE], struct nel_err *err)
{
	bool found = false;
	CLEANUP(query_done) struct query q = query_start(db, &next);
	if (query_step(&q, &found, err) != 0)
		return -1;
	ret_evaluation[0] = '\0';
	if (found)
		query_text_into(&q, ret_evaluation, IDS_EVALUATION_SIZE);
	return 0;
}

int likenesses_settle(struct db *db, int64_t evaluation_seq, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &delete_next);
	query_bind_int(&q, evaluation_seq);
	return query_run(&q, err);
}

struct statement *const likenesses_statements[] = {&add,  &find,        &delete_of_job, &insert_of_job, &mark_results,
						   &next, &delete_next, &basis_of,      &durations,     NULL};

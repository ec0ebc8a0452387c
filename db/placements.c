/* Owns the table placement_plans. */
#include "db/placements.h"

#include "base/mem.h"
#include "db/fingerprints.h"
#include "db/statement.h"

#include <inttypes.h>

void placement_plan_done(struct placement_plan *plan)
{
	free(plan->cluster);
	free(plan->identity);
	free(plan->rundir);
	free(plan->resolved);
	*plan = (struct placement_plan){0};
}

static struct statement insert_plan = {
    .sql = "INSERT INTO placement_plans (evaluation, cluster, identity, rundir, resolved) VALUES (?, ?, ?, ?, ?)",
};
static struct statement open_one = {.sql = "UPDATE evaluations SET placing = 1 WHERE seq = ?"};

int placements_insert(struct db *db, int64_t evaluation_seq, const struct placement_plan *plans, size_t count,
		      struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &insert_plan);
	CLEANUP(query_done) struct query update = query_start(db, &open_one);
	for (size_t i = 0; i < count; i++) {
		query_bind_int(&q, evaluation_seq);
		query_bind_text(&q, plans[i].cluster);
		query_bind_text(&q, plans[i].identity);
		query_bind_text(&q, plans[i].rundir);
		query_bind_text(&q, plans[i].resolved);
		if (query_run(&q, err) != 0)
			return -1;
		query_again(&q);
	}
	query_bind_int(&update, evaluation_seq);
	return query_run(&update, err);
}

static struct statement get_open = {.sql = "SELECT placement FROM evaluations WHERE seq = ? AND placing = 1"};

int placements_get(struct db *db, int64_t evaluation_seq, char **ret_document, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &get_open);
	bool found = false;
	query_bind_int(&q, evaluation_seq);
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_document = found ? query_text(&q) : NULL;
	return 0;
}

static struct statement get_plan = {
    .sql = "SELECT cluster, identity, rundir, resolved FROM placement_plans WHERE evaluation = ? AND cluster = ?",
};

int placements_plan(struct db *db, int64_t evaluation_seq, const char *cluster, struct placement_plan *ret_plan,
		    struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &get_plan);
	bool found = false;
	query_bind_int(&q, evaluation_seq);
	query_bind_text(&q, cluster);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_NOTFOUND, "evaluation number %" PRId64 " has no plan for cluster %s",
			       evaluation_seq, cluster);
	ret_plan->cluster = query_text(&q);
	ret_plan->identity = query_text(&q);
	ret_plan->rundir = query_text(&q);
	ret_plan->resolved = query_text(&q);
	return 0;
}

static struct statement set_document = {
    .sql = "UPDATE evaluations SET placement = ?2, placing = ?3, updated_at = ?4, version = version + 1 WHERE seq = ?1",
};

static struct statement forget_plans = {.sql = "DELETE FROM placement_plans WHERE evaluation = ?"};

int placements_set(struct db *db, int64_t evaluation_seq, const char *document, bool placing, int64_t now_s,
		   struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_document);
	query_bind_int(&q, evaluation_seq);
	query_bind_text(&q, document);
	query_bind_int(&q, placing);
	query_bind_int(&q, now_s);
	if (query_run(&q, err) != 0)
		return -1;
	CLEANUP(query_done) struct query forget = query_start(db, &forget_plans);
	query_bind_int(&forget, evaluation_seq);
	return placing ? 0 : query_run(&forget, err);
}

static struct statement move_evaluation = {
    .sql = "UPDATE evaluations SET cluster = ?2, identity = ?3, rundir = ?4, updated_at = ?5, version = version + 1"
	   " WHERE seq = ?1",
};
static struct statement move_texts = {.sql = "UPDATE evaluation_texts SET resolved = ?2 WHERE evaluation = ?1"};

int placements_move(struct db *db, int64_t evaluation_seq, const struct placement_plan *plan, int64_t now_s,
		    struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &move_evaluation);
	CLEANUP(query_done) struct query texts = query_start(db, &move_texts);
	query_bind_int(&q, evaluation_seq);
	query_bind_text(&q, plan->cluster);
	query_bind_text(&q, plan->identity);
	query_bind_text(&q, plan->rundir);
	query_bind_int(&q, now_s);
	query_bind_int(&texts, evaluation_seq);
	query_bind_text(&texts, plan->resolved);
	return query_run(&q, err) != 0 ? -1 : query_run(&texts, err);
}

static struct statement move_job = {
    .sql = "UPDATE jobs SET cluster = ?2, identity = ?3, job_dir = ?4, partition = ?5, account = ?6, gpus = ?7,"
	   " updated_at = ?8 WHERE seq = ?1",
};
static struct statement tell_job = {
    .sql = "INSERT INTO history (job, at, from_state, to_state, reason) SELECT seq, ?2, state, state, ?3 FROM jobs"
	   " WHERE seq = ?1",
};

static struct statement touch_job = {
    .sql = "UPDATE jobs SET updated_at = ?2, version = version + 1 WHERE seq = ?1",
};

int placements_tell_job(struct db *db, int64_t job_seq, const char *reason, int64_t now_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &tell_job);
	CLEANUP(query_done) struct query touch = query_start(db, &touch_job);
	query_bind_int(&q, job_seq);
	query_bind_int(&q, now_s);
	query_bind_text(&q, reason);
	query_bind_int(&touch, job_seq);
	query_bind_int(&touch, now_s);
	return query_run(&q, err) != 0 ? -1 : query_run(&touch, err);
}

int placements_move_job(struct db *db, const struct job_row *job, const char *reason, int64_t now_s,
			struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &move_job);
	query_bind_int(&q, job->seq);
	query_bind_text(&q, job->cluster);
	query_bind_text(&q, job->identity);
	query_bind_text(&q, job->job_dir);
	query_bind_text(&q, job->partition);
	query_bind_text(&q, job->account);
	query_bind_int_or_null(&q, job->gpus, -1);
	query_bind_int(&q, now_s);
	if (query_run(&q, err) != 0 || fingerprints_forget(db, job->seq, err) != 0)
		return -1;
	return placements_tell_job(db, job->seq, reason, now_s, err);
}

struct statement *const placements_statements[] = {&insert_plan,  &open_one,        &get_open,   &get_plan,
						   &set_document, &move_evaluation, &move_texts, &move_job,
						   &forget_plans, &tell_job,        &touch_job,  NULL};

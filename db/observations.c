/* Owns the table observations, and which jobs have joined it. */
#include "db/observations.h"

#include "db/statement.h"

static struct statement set_observation = {
    .sql = "INSERT INTO observations (cluster, identity, at) VALUES (?1, ?2, ?3)"
	   " ON CONFLICT (cluster, identity) DO UPDATE SET at = ?3 RETURNING id",
};

int observations_set(struct db *db, const char *cluster, const char *identity, int64_t at_s, int64_t *ret_id,
		     struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_observation);
	bool found = false;
	query_bind_text(&q, cluster);
	query_bind_text(&q, identity);
	query_bind_int(&q, at_s);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_DB, "the observation of %s was not stored", cluster);
	int64_t id = query_int(&q);
	if (query_run(&q, err) != 0) /* to its end: only then is it done */
		return -1;
	*ret_id = id;
	return 0;
}

static struct statement join = {.sql = "UPDATE jobs SET observation = ?1 WHERE seq = ?2"};

int observations_join(struct db *db, int64_t job_seq, int64_t id, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &join);
	query_bind_int(&q, id);
	query_bind_int(&q, job_seq);
	return query_run(&q, err);
}

static struct statement leave = {.sql = "UPDATE jobs SET observation = NULL, observed_at = ?1 WHERE seq = ?2"};

int observations_leave(struct db *db, int64_t job_seq, int64_t observed_at, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &leave);
	query_bind_int_or_null(&q, observed_at, 0);
	query_bind_int(&q, job_seq);
	return query_run(&q, err);
}

struct statement *const observations_statements[] = {&set_observation, &join, &leave, NULL};

/* Owns the table events. */
#include "db/events.h"

#include "db/statement.h"

static struct statement insert_event = {
    .sql = "INSERT INTO events (at, kind, user, evaluation, job, data) VALUES (?, ?, ?, ?, ?, ?)",
};

int events_insert(struct db *db, int64_t now_s, const char *kind, const char *user, const char *evaluation,
		  const char *job, const char *data, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &insert_event);
	query_bind_int(&q, now_s);
	query_bind_text(&q, kind);
	query_bind_text(&q, user);
	query_bind_text(&q, evaluation);
	query_bind_text(&q, job);
	query_bind_text(&q, data);
	return query_run(&q, err);
}

struct statement *const events_statements[] = {&insert_event, NULL};

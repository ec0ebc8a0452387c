/* Internal to db/: jobs by what lists of jobs and of scores are both filtered by; for postings_add_text(). */
#ifndef NEL_DB_JOB_POSTINGS_H
#define NEL_DB_JOB_POSTINGS_H

#include "db/created.h"
#include "db/postings.h"
#include "db/statement.h"

extern struct statement job_postings_state;
extern struct statement job_postings_evaluation;
extern struct statement job_postings_user;
extern struct statement job_postings_cluster;
extern struct statement job_postings_model;
extern struct statement job_postings_task;

/* Nothing when key is NULL. */
void job_postings_add_label(struct postings *postings, struct db *db, const char *key, const char *value);
/* Those created in that span (UTC; 0: no such bound), whose bounds created_bounds_find() has found. */
void job_postings_add_span(struct postings *postings, struct db *db, const struct created_bounds *bounds,
			   int64_t since_s, int64_t until_s);

#endif

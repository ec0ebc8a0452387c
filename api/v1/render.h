/* Rows of the store as the JSON that clients see (openapi.yaml's schemas Evaluation, Job, JobDetail, Score). Every
 * member is always there; what is not known is null. Pure. */
#ifndef NEL_API_V1_RENDER_H
#define NEL_API_V1_RENDER_H

#include "base/json_out.h"
#include "db/attempts.h"
#include "db/evaluations.h"
#include "db/failures.h"
#include "db/jobs.h"
#include "db/results.h"
#include "service/evidence.h"

#include <jansson.h>

/* ",a,b,", as the store has sets of words, as an array; "" as null. */
void render_comma_list(struct json_out *out, const char *name, const char *list);

/* jobs: all of the evaluation's, by index. */
void render_evaluation(struct json_out *out, const struct evaluation_row *row, const struct job_list *jobs);
/* The same, and the object is left open for more members. */
void render_evaluation_open(struct json_out *out, const struct evaluation_row *row, const struct job_list *jobs);

void render_job(struct json_out *out, const struct job_row *job);
void render_job_detail(struct json_out *out, const struct job_row *job, const struct attempt_list *attempts,
		       const struct history_list *history, const struct failure_row *failure, const char *placement);

/* Which job a score belongs to. */
struct render_score_of {
	const char *job;
	const char *evaluation;
	const char *user;
	const char *model;
	const char *state; /* of the job */
	int64_t ended_at;
	const struct job_basis *basis;
};
/* Borrows from both. */
struct render_score_of render_score_of_job(const struct job_row *job, const struct job_basis *basis);
void render_score(struct json_out *out, const struct render_score_of *of, const struct score *row);

/* [lo, hi], or null. */
void render_interval(struct json_out *out, const char *name, struct interval interval);

/* The members that say of what a score is, and how it came to be. */
void render_subject(struct json_out *out, const struct job_basis *basis);
void render_protocol(struct json_out *out, const struct job_basis *basis);

/* All that is known of both; an object, or null. */
void render_basis(struct json_out *out, const struct job_basis *basis);
void render_short_hash_csv(struct str *s, const char *hash);

/* CSV (RFC 4180) of the same, with its heading. */
void render_score_csv_heading(struct str *s);
void render_score_csv(struct str *s, const struct render_score_of *of, const struct score *row);

#endif

/* Reads of the store that several handlers share. */
#ifndef NEL_API_READ_H
#define NEL_API_READ_H

#include "api/request.h"
#include "db/evaluations.h"
#include "db/jobs.h"

/* NOTFOUND for an unknown id, and for what has not the shape of one. */
int read_evaluation(struct db *db, const char *id, bool with_texts, struct evaluation_row *ret_row,
		    struct nel_err *err);
int read_job(struct db *db, const char *id, struct job_row *ret_row, struct nel_err *err);

/* Appends the evaluation with its jobs. */
int read_render_evaluation(struct request *request, struct db *db, const struct evaluation_row *row, struct str *body,
			   struct nel_err *err);

/* Replies with the evaluation and its jobs. */
int read_reply_evaluation(struct request *request, struct db *db, int status, const char *id, struct nel_err *err);

#endif

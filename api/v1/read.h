/* Reads of the store that several handlers share. */
#ifndef NEL_API_V1_READ_H
#define NEL_API_V1_READ_H

#include "api/http/reply.h"
#include "api/http/request.h"
#include "db/evaluations.h"
#include "db/jobs.h"
#include "db/revisions.h"

/* NOTFOUND for an unknown id, and for what has not the shape of one. */
int read_evaluation(struct db *db, const char *id, bool with_texts, struct evaluation_row *ret_row,
		    struct nel_err *err);
int read_job(struct db *db, const char *id, struct job_row *ret_row, struct nel_err *err);

/* The query parameters "search" and "sort" of lists. *ret_match is the caller's; NULL without the parameter. Before
 * what is read for the reply: a read transaction that is open ends. */
int read_search(struct request *request, char **ret_match, struct nel_err *err);
int read_sort(const struct request *request, enum list_sort *ret_sort, struct nel_err *err);

/* Appends the evaluation with its jobs as JSON, from the cache of replies where that has it. By id, for the reply to a
 * GET: request->etag is filled, and nothing may be appended when the client has that text already; or by number. */
int read_evaluation_text(struct request *request, const char *id, struct str *text, struct nel_err *err);
int read_evaluation_text_at(struct request *request, struct db *db, int64_t seq, struct str *text, struct nel_err *err);

/* Replies with the evaluation and its jobs. */
int read_reply_evaluation(struct request *request, struct db *db, int status, const char *id, struct nel_err *err);

/* The same of one that was submitted now, with what it is expected to use (service/forecast.h). */
int read_reply_submission(struct request *request, struct db *db, const char *id, const json_t *forecast,
			  struct nel_err *err);

/* Has the client the present reply about that evaluation or job? Then it is 304, made without the body. Else the
 * request has the etag of the reply, which is to be made next, in the same read transaction. The tag is of versions, of
 * the places in the queue when a job may have one, and of this run of the daemon (another version of it may show more).
 */
bool read_is_known(struct request *request, const struct revision *revision, const char *id);

/* The same for a list or another reply that follows from the path, the query and what is stored. */
bool read_list_is_known(struct request *request);

#endif

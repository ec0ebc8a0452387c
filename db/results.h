/* Table results: the scores of a job. */
#ifndef NEL_DB_RESULTS_H
#define NEL_DB_RESULTS_H

#include "db/db.h"

struct result_row {
	char *task; /* as results.yml names it */
	bool group;
	char *metric;
	char *score;
	double value;
	double stderr_; /* NAN unknown */
	int64_t count;  /* -1 unknown */
};

struct result_list {
	struct result_row *items;
	size_t count;
};

void result_list_done(struct result_list *list);

/* Replaces the job's scores; of two with the same task, group, metric and score the later one counts. Within a
 * transaction. INVALID when a value is not finite; an error that is not finite is stored as unknown. */
int results_replace(struct db *db, int64_t job_seq, const struct result_row *rows, size_t count, int64_t now_s,
		    struct nel_err *err);
int results_of_job(struct db *db, int64_t job_seq, struct result_list *ret_list, struct nel_err *err);

/* Scores across evaluations, newest job first, of at most DB_LIST_MAX jobs. Each row comes with its job. NULL: no
 * filter. */
struct result_filter {
	const char *task;
	const char *metric;
	const char *model;
	const char *label_key;
	const char *label_value;
	int64_t before_seq; /* of the job */
	int limit;          /* jobs */
};

struct result_of_job {
	int64_t job_seq;
	char *job;
	char *evaluation;
	char *model;
	char *user;
	int64_t ended_at;
	struct result_row row;
};

struct result_of_job_list {
	struct result_of_job *items;
	size_t count;
	int64_t last_job_seq; /* of the last job here: the next before_seq; 0 when there are no more */
};

void result_of_job_list_done(struct result_of_job_list *list);
int results_list(struct db *db, const struct result_filter *filter, struct result_of_job_list *ret_list,
		 struct nel_err *err);

#endif

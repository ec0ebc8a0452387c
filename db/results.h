/* Table results: the scores of a job. */
#ifndef NEL_DB_RESULTS_H
#define NEL_DB_RESULTS_H

#include "base/score.h"
#include "db/likenesses.h"

struct result_list {
	struct score *items;
	size_t count;
};

void result_list_done(struct result_list *list);

/* Replaces the job's scores; of two with the same task, group, metric and score the later one counts. Within a
 * transaction. INVALID when a value is not finite; an error that is not finite is stored as unknown. */
int results_replace(struct db *db, int64_t job_seq, const struct score *rows, size_t count, int64_t now_s,
		    struct nel_err *err);
int results_of_job(struct db *db, int64_t job_seq, struct result_list *ret_list, struct nel_err *err);

/* Which scores. NULL or 0: no such filter. */
struct result_filter {
	const char *task;
	const char *metric;
	const char *score;
	const char *model;
	const char *user;
	const char *cluster;
	const char *evaluation;
	const char *state; /* of the job; results_newest() without one: succeeded */
	int64_t since_s;   /* the job's created_at >= */
	int64_t until_s;   /* created_at < */
	const char *label_key;
	const char *label_value;
	int64_t before_seq; /* of the job; for results_list() */
	int limit;          /* jobs; likewise */
};

#define RESULTS_NEWEST_MAX 20000

struct result_of_job {
	int64_t job_seq;
	char *job;
	char *evaluation;
	char *model;
	char *user;
	char *state; /* of the job: scores of one that has not succeeded may be of a part of the samples */
	int64_t ended_at;
	const struct job_basis *basis; /* the list's */
	struct score row;
};

struct result_of_job_list {
	struct result_of_job *items;
	size_t count;
	struct job_basis **bases;
	size_t basis_count;
	int64_t last_job_seq; /* of the last job here: the next before_seq; 0 when there are no more */
	bool truncated;       /* of results_newest() */
};

void result_of_job_list_done(struct result_of_job_list *list);

/* Scores across evaluations, newest job first, of at most DB_LIST_MAX jobs. Each row comes with its job. */
int results_list(struct db *db, const struct result_filter *filter, struct result_of_job_list *ret_list,
		 struct nel_err *err);

/* Of each model, subject, task (or group), metric and protocol the scores of the newest job that has succeeded (or has
 * the filter's state), among those that the filter lets through; by model, subject, tasks before groups within a name,
 * metric, protocol and score. The newest is the one submitted last, by the order of the store and no clock.
 * ret_list->truncated: there are more than RESULTS_NEWEST_MAX, and the rest is missing. */
int results_newest(struct db *db, const struct result_filter *filter, struct result_of_job_list *ret_list,
		   struct nel_err *err);

#endif

/* Is one run better than another? Their scores task by task, with tests and verdicts of daemon/stats/. HTTP threads. */
#ifndef NEL_SERVICE_EVIDENCE_H
#define NEL_SERVICE_EVIDENCE_H

#include "db/results.h"
#include "service/paired.h"

/* Whose scores: an evaluation, a job, or the newest of a model. */
struct evidence_side {
	char *evaluation; /* NULL: a model's */
	char *job;        /* NULL unless a job was named */
	char *model;      /* NULL when the evaluation's jobs have no scores */
	struct result_of_job_list stored;
	const struct result_of_job *
	    *scores; /* those of `stored` that count: by names, and of one name the newest first */
	size_t count;
};

/* A score that both sides have. */
struct evidence_item {
	const struct result_of_job *a; /* the sides' */
	const struct result_of_job *b;
	bool lower_is_better; /* as of a perplexity */
	bool sampled; /* both have samples: the comparison is by these, or says that none are of the same item */
	struct comparison comparison;
	struct flip_list flips;
	double p_adjusted;
	enum compare_verdict verdict; /* of b, the sense of the metric counted in */
};

struct evidence {
	struct evidence_side a;
	struct evidence_side b;
	struct evidence_item *items; /* in the order of score_compare_names() */
	size_t count;
	const struct result_of_job **only_a; /* scores that the other side lacks */
	const struct result_of_job **only_b;
	size_t only_a_count, only_b_count;
};

void evidence_done(struct evidence *evidence);

struct interval evidence_interval(const struct score *score); /* stats/estimate.h */

/* Two scores by value and standard error: what there is without samples in common. */
struct comparison evidence_compare_scores(const struct score *a, const struct score *b);

bool evidence_lower_is_better(const struct score *score); /* as a perplexity; by how the metric is called */

/* stats/compare.h, in the sense of the metric. */
enum compare_verdict evidence_verdict(const struct comparison *comparison, bool lower_is_better, double p_adjusted);

/* As service_compare() would read it, without what for; NOTFOUND, CONFLICT and INVALID likewise. */
int service_check_side(struct db *db, const char *what, struct nel_err *err);

/* Each of a and b is the id of an evaluation or job, or "model:NAME": the newest scores of that model, of what was
 * evaluated last under its name. Only of jobs that have succeeded. INVALID: it is none of these; NOTFOUND: there is no
 * such thing; CONFLICT: it has no scores (yet). flips_max: how many flips of each score are listed. */
int service_compare(struct db *db, const char *a, const char *b, size_t flips_max, struct evidence *ret_evidence,
		    struct nel_err *err);

#endif

/* Tables campaign_judgements and campaign_regressions: the scores of a campaign's values, and which were found to be
 * worse than others. */
#ifndef NEL_DB_CAMPAIGN_SCORES_H
#define NEL_DB_CAMPAIGN_SCORES_H

#include "base/score.h"
#include "db/campaigns.h"

#define CAMPAIGN_POINTS_MAX 20000

/* One score of one value. */
struct campaign_point {
	struct score row;
	int64_t step; /* CAMPAIGN_NO_STEP: none */
	char *value;
	char *evaluation;
	char *job;
	bool regression; /* campaign_judgements_insert() has named it */
};

struct campaign_point_list {
	struct campaign_point *items;
	size_t count;
	bool truncated; /* there are more than CAMPAIGN_POINTS_MAX, and those of the values listed last are missing */
};

void campaign_point_list_done(struct campaign_point_list *list);

/* Of jobs that have succeeded: by score_compare_names(), and of one score by step (those without one last, as listed);
 * where an evaluation has a score twice, that of its last job. task and metric NULL: all. */
int campaign_points(struct db *db, int64_t campaign, const char *task, const char *metric,
		    struct campaign_point_list *ret_list, struct nel_err *err);

/* What is known of a value, by its position. */
struct campaign_mark {
	bool judged; /* campaign_judgements_insert() */
	bool scored; /* its evaluation has scores of jobs that have succeeded */
};

/* One for each position that the campaign has, from 0; the caller frees the array. */
int campaign_marks(struct db *db, int64_t campaign, struct campaign_mark **ret_marks, size_t *ret_count,
		   struct nel_err *err);

/* NULL: the value before is held against. The caller frees *ret_baseline. */
int campaign_baseline_set(struct db *db, int64_t campaign, const char *baseline, struct nel_err *err);
int campaign_baseline_get(struct db *db, int64_t campaign, char **ret_baseline, struct nel_err *err);

/* Within a transaction. The scores count by their names. CONFLICT: it was judged before. */
int campaign_judgements_insert(struct db *db, int64_t campaign, int64_t position, const struct score *const *worse,
			       size_t worse_count, int64_t now_s, struct nel_err *err);

#endif

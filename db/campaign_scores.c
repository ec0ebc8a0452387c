/* Owns the tables campaign_judgements and campaign_regressions. */
#include "db/campaign_scores.h"

#include "base/mem.h"
#include "db/statement.h"

#include <string.h>

static void point_done(struct campaign_point *point)
{
	score_done(&point->row);
	free(point->value);
	free(point->evaluation);
	free(point->job);
}

void campaign_point_list_done(struct campaign_point_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		point_done(&list->items[i]);
	free(list->items);
	*list = (struct campaign_point_list){0};
}

static struct statement points = {
    .sql =
	"SELECT r.task, r.is_group, r.metric, r.score, r.value, r.stderr, r.count, v.step, v.value, v.evaluation, j.id,"
	" v.position, j.seq,"
	" EXISTS (SELECT 1 FROM campaign_regressions g WHERE g.campaign = v.campaign AND g.position = v.position"
	"  AND g.task = r.task AND g.is_group = r.is_group AND g.metric = r.metric AND g.score = r.score)"
	" FROM campaign_values v CROSS JOIN evaluations e ON e.id = v.evaluation"
	" CROSS JOIN jobs j ON j.evaluation_seq = e.seq CROSS JOIN results r ON r.job = j.seq"
	" WHERE v.campaign = ?1 AND +j.state = 'succeeded' AND (?2 IS NULL OR r.task = ?2)"
	" AND (?3 IS NULL OR r.metric = ?3) ORDER BY v.position LIMIT ?4",
};

/* A point, and what its place among the others is by. */
struct placed {
	struct campaign_point point;
	int64_t position;
	int64_t job_seq;
};

struct placed_list {
	struct placed *items;
	size_t count;
};

static void placed_list_done(struct placed_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		point_done(&list->items[i].point);
	free(list->items);
}

static void read_placed(struct query *q, struct placed *placed)
{
	struct campaign_point *point = &placed->point;
	point->row.task = query_text(q);
	point->row.group = query_int(q) != 0;
	point->row.metric = query_text(q);
	point->row.score = query_text(q);
	point->row.value = query_double(q);
	point->row.stderr_ = query_double(q);
	point->row.count = query_int_or(q, -1);
	point->step = query_int_or(q, CAMPAIGN_NO_STEP);
	point->value = query_text(q);
	point->evaluation = query_text(q);
	point->job = query_text(q);
	placed->position = query_int(q);
	placed->job_seq = query_int(q);
	point->regression = query_int(q) != 0;
}

static int compare_numbers(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

/* Of one score of an evaluation the last job comes first. */
static int compare_placed(const void *left, const void *right)
{
	const struct placed *a = left, *b = right;
	int order = score_compare_names(&a->point.row, &b->point.row);
	if (order == 0)
		order = (a->point.step == CAMPAIGN_NO_STEP) - (b->point.step == CAMPAIGN_NO_STEP);
	if (order == 0)
		order = compare_numbers(a->point.step, b->point.step);
	if (order == 0)
		order = compare_numbers(a->position, b->position);
	return order != 0 ? order : compare_numbers(b->job_seq, a->job_seq);
}

static bool same_score(const struct placed *a, const struct placed *b)
{
	return a->position == b->position && score_compare_names(&a->point.row, &b->point.row) == 0;
}

int campaign_points(struct db *db, int64_t campaign, const char *task, const char *metric,
		    struct campaign_point_list *ret_list, struct nel_err *err)
{
	CLEANUP(placed_list_done) struct placed_list found = {0};
	CLEANUP(query_done) struct query q = query_start(db, &points);
	query_bind_int(&q, campaign);
	query_bind_text(&q, task);
	query_bind_text(&q, metric);
	query_bind_int(&q, CAMPAIGN_POINTS_MAX + 1);
	while (query_next(&q, err))
		read_placed(&q, ROW_ADD(found.items, found.count));
	if (query_failed(&q))
		return -1;
	struct campaign_point_list list = {.truncated = found.count > CAMPAIGN_POINTS_MAX};
	if (list.truncated)
		point_done(&found.items[--found.count].point);
	if (found.count > 0)
		qsort(found.items, found.count, sizeof *found.items, compare_placed);
	const struct placed *last = NULL;
	for (size_t i = 0; i < found.count; i++) {
		if (last != NULL && same_score(last, &found.items[i])) {
			point_done(&found.items[i].point);
			continue;
		}
		last = &found.items[i];
		*ROW_ADD(list.items, list.count) = last->point;
	}
	found.count = 0; /* the list has them */
	*ret_list = list;
	return 0;
}

static struct statement marks = {
    .sql = "SELECT v.position,"
	   " EXISTS (SELECT 1 FROM campaign_judgements g WHERE g.campaign = v.campaign AND g.position = v.position),"
	   " EXISTS (SELECT 1 FROM evaluations e CROSS JOIN jobs j ON j.evaluation_seq = e.seq"
	   "  CROSS JOIN results r ON r.job = j.seq WHERE e.id = v.evaluation AND +j.state = 'succeeded')"
	   " FROM campaign_values v WHERE v.campaign = ? ORDER BY v.position",
};

int campaign_marks(struct db *db, int64_t campaign, struct campaign_mark **ret_marks, size_t *ret_count,
		   struct nel_err *err)
{
	CLEANUP(mem_freep) struct campaign_mark *items = NULL;
	size_t count = 0;
	CLEANUP(query_done) struct query q = query_start(db, &marks);
	query_bind_int(&q, campaign);
	while (query_next(&q, err)) {
		size_t position = (size_t)query_int(&q);
		items = mem_realloc(items, position + 1, sizeof *items);
		while (count <= position)
			items[count++] = (struct campaign_mark){0};
		items[position].judged = query_int(&q) != 0;
		items[position].scored = query_int(&q) != 0;
	}
	if (query_failed(&q))
		return -1;
	*ret_marks = TAKE(items);
	*ret_count = count;
	return 0;
}

static struct statement set_baseline = {.sql = "UPDATE campaigns SET baseline = ? WHERE seq = ?"};

int campaign_baseline_set(struct db *db, int64_t campaign, const char *baseline, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_baseline);
	query_bind_text(&q, baseline);
	query_bind_int(&q, campaign);
	return query_run(&q, err);
}

static struct statement get_baseline = {.sql = "SELECT baseline FROM campaigns WHERE seq = ?"};

int campaign_baseline_get(struct db *db, int64_t campaign, char **ret_baseline, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &get_baseline);
	bool found = false;
	query_bind_int(&q, campaign);
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_baseline = found ? query_text(&q) : NULL;
	return 0;
}

static struct statement insert_judgement = {
    .sql = "INSERT INTO campaign_judgements (campaign, position, judged_at) VALUES (?, ?, ?)",
};
static struct statement insert_regression = {
    .sql = "INSERT INTO campaign_regressions (campaign, position, task, is_group, metric, score) VALUES (?, ?, ?, ?, "
	   "?, ?)",
};

int campaign_judgements_insert(struct db *db, int64_t campaign, int64_t position, const struct score *const *worse,
			       size_t worse_count, int64_t now_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &insert_judgement);
	query_bind_int(&q, campaign);
	query_bind_int(&q, position);
	query_bind_int(&q, now_s);
	if (query_run(&q, err) != 0)
		return -1;
	for (size_t i = 0; i < worse_count; i++) {
		CLEANUP(query_done) struct query insert = query_start(db, &insert_regression);
		query_bind_int(&insert, campaign);
		query_bind_int(&insert, position);
		query_bind_text(&insert, worse[i]->task);
		query_bind_int(&insert, worse[i]->group);
		query_bind_text(&insert, worse[i]->metric);
		query_bind_text(&insert, worse[i]->score);
		if (query_run(&insert, err) != 0)
			return -1;
	}
	return 0;
}

struct statement *const campaign_scores_statements[] = {
    &points, &marks, &set_baseline, &get_baseline, &insert_judgement, &insert_regression, NULL};

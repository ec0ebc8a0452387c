#include "service/campaign_regressions.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/campaign_scores.h"
#include "service/campaign_events.h"
#include "service/evidence.h"

#include <string.h>

static int by_step(const void *left, const void *right)
{
	const struct campaign_value *a = left, *b = right;
	return a->step != b->step ? (a->step > b->step) - (a->step < b->step)
				  : (a->position > b->position) - (a->position < b->position);
}

/* The values of a campaign by their steps, and what is known of them by their positions. */
struct curve {
	const struct campaign_value *values;
	size_t count;
	const struct campaign_mark *marks;
	size_t mark_count;
};

/* A value that came since the marks were read has none yet. */
static struct campaign_mark mark_of(const struct curve *curve, const struct campaign_value *value)
{
	size_t position = (size_t)value->position;
	return position < curve->mark_count ? curve->marks[position] : (struct campaign_mark){0};
}

static bool has_scores(const struct curve *curve, const struct campaign_value *value)
{
	return value->state != NULL && campaign_value_is_over(value) && mark_of(curve, value).scored;
}

/* The value before that one; NULL: there is none, or (*ret_wait) it is not yet known which it is. */
static const struct campaign_value *find_before(const struct curve *curve, size_t at, bool *ret_wait)
{
	const struct campaign_value *values = curve->values;
	*ret_wait = false;
	for (size_t i = at; i-- > 0;) {
		if (values[i].step == CAMPAIGN_NO_STEP || values[i].step == values[at].step)
			continue;
		*ret_wait = !campaign_value_is_over(&values[i]);
		if (*ret_wait)
			return NULL;
		if (has_scores(curve, &values[i]))
			return &values[i];
	}
	return NULL;
}

/* Unlike scores are no evidence. */
static size_t choose_worse(const struct evidence *evidence, const struct evidence_item **worse)
{
	size_t count = 0;
	for (size_t i = 0; i < evidence->count; i++) {
		const struct evidence_item *item = &evidence->items[i];
		if (item->verdict == COMPARE_WORSE && item->a->basis->protocol == item->b->basis->protocol)
			worse[count++] = item;
	}
	return count;
}

static int store(struct db *db, const struct campaign_row *campaign, const struct campaign_value *value,
		 const struct campaign_reference *reference, const struct evidence *evidence, struct nel_err *err)
{
	CLEANUP(mem_freep) const struct evidence_item **worse = mem_calloc(evidence->count + 1, sizeof *worse);
	CLEANUP(mem_freep) const struct score **scores = mem_calloc(evidence->count + 1, sizeof *scores);
	size_t count = choose_worse(evidence, worse);
	int64_t now_s = clock_now_s();
	for (size_t i = 0; i < count; i++)
		scores[i] = &worse[i]->b->row;
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0 ||
	    campaign_judgements_insert(db, campaign->seq, value->position, scores, count, now_s, err) != 0 ||
	    (count > 0 && campaign_log_regression(db, campaign, value, reference, worse, count, now_s, err) != 0) ||
	    db_commit(db, err) != 0)
		return -1;
	if (count > 0)
		log_info("campaign's value is worse", LOG_S("campaign", campaign->id),
			 LOG_S("evaluation", value->evaluation), LOG_S("than", reference->what),
			 LOG_N("scores", (int64_t)count));
	return 0;
}

/* reference NULL: there is nothing to hold it against. */
static int judge(struct db *db, const struct campaign_row *campaign, const struct campaign_value *value,
		 const struct campaign_reference *reference, struct nel_err *err)
{
	CLEANUP(evidence_done) struct evidence evidence = {0};
	if (reference == NULL || service_compare(db, reference->what, value->evaluation, 0, &evidence, err) == 0)
		return store(db, campaign, value, reference, &evidence, err);
	if (err->kind == NEL_DB || err->kind == NEL_NOMEM || err->kind == NEL_BUSY)
		return -1;
	/* As of a baseline that was pruned: it would be no other the next time. */
	log_warning("a campaign's value cannot be compared", LOG_S("campaign", campaign->id),
		    LOG_S("evaluation", value->evaluation), LOG_S("with", reference->what), LOG_S("error", err->msg));
	return store(db, campaign, value, reference, &evidence, err);
}

static int judge_at(struct db *db, const struct campaign_row *campaign, const char *baseline, const struct curve *curve,
		    size_t at, struct nel_err *err)
{
	const struct campaign_value *value = &curve->values[at];
	const struct campaign_value *before = NULL;
	bool wait = false;
	if (mark_of(curve, value).judged || !has_scores(curve, value))
		return 0;
	if (baseline != NULL) {
		const struct campaign_reference reference = {.what = baseline, .step = CAMPAIGN_NO_STEP};
		return judge(db, campaign, value, &reference, err);
	}
	if (value->step != CAMPAIGN_NO_STEP)
		before = find_before(curve, at, &wait);
	if (wait)
		return 0;
	const struct campaign_reference reference = {.what = before != NULL ? before->evaluation : NULL,
						     .step = before != NULL ? before->step : CAMPAIGN_NO_STEP};
	return judge(db, campaign, value, before != NULL ? &reference : NULL, err);
}

void campaign_find_regressions(struct db *db, const struct campaign_row *campaign, const atomic_bool *stopping)
{
	CLEANUP(campaign_value_list_done) struct campaign_value_list values = {0};
	CLEANUP(mem_freep) struct campaign_mark *marks = NULL;
	CLEANUP(mem_freep) char *baseline = NULL;
	size_t mark_count = 0;
	struct nel_err err = {0};
	int result = campaign_values_list(db, campaign->seq, &values, &err);
	if (result == 0)
		result = campaign_marks(db, campaign->seq, &marks, &mark_count, &err);
	if (result == 0)
		result = campaign_baseline_get(db, campaign->seq, &baseline, &err);
	if (result == 0 && values.count > 0)
		qsort(values.items, values.count, sizeof *values.items, by_step);
	const struct curve curve = {values.items, values.count, marks, mark_count};
	for (size_t i = 0; result == 0 && i < curve.count && !atomic_load(stopping); i++)
		result = judge_at(db, campaign, baseline, &curve, i, &err);
	if (result != 0)
		log_warning("a campaign's scores cannot be compared now", LOG_S("campaign", campaign->id),
			    LOG_S("error", err.msg));
}

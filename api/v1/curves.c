#include "api/v1/curves.h"

#include "api/http/csv_out.h"
#include "api/v1/render.h"
#include "service/evidence.h"

#include <inttypes.h>

static void render_point(struct json_out *out, const struct campaign_point *point)
{
	out_object(out, NULL);
	out_int_or_null(out, "step", point->step, point->step != CAMPAIGN_NO_STEP);
	out_double(out, "value", point->row.value);
	render_interval(out, "ci95", evidence_interval(&point->row));
	out_int_or_null(out, "count", point->row.count, point->row.count >= 0);
	out_string(out, "parameter_value", point->value);
	out_string(out, "evaluation", point->evaluation);
	out_string(out, "job", point->job);
	out_bool(out, "regression", point->regression);
	out_end(out);
}

void curves_render(struct json_out *out, const struct campaign_point_list *points)
{
	out_array(out, "curves");
	for (size_t i = 0; i < points->count;) {
		const struct score *first = &points->items[i].row;
		out_object(out, NULL);
		out_string(out, "task", first->task);
		out_bool(out, "group", first->group);
		out_string(out, "metric", first->metric);
		out_string(out, "score", first->score);
		out_bool(out, "lower_is_better", evidence_lower_is_better(first));
		out_array(out, "points");
		for (; i < points->count && score_compare_names(first, &points->items[i].row) == 0; i++)
			render_point(out, &points->items[i]);
		out_end(out);
		out_end(out);
	}
	out_end(out);
	out_bool(out, "curves_truncated", points->truncated);
}

static void csv_point(struct str *s, const struct campaign_point *point)
{
	const struct score *row = &point->row;
	struct interval interval = evidence_interval(row);
	const double numbers[] = {row->value, row->stderr_, interval.lo, interval.hi};
	const char *const texts[] = {point->value, point->evaluation, point->job};
	csv_text(s, row->task);
	str_append(s, row->group ? ",true," : ",false,");
	csv_text(s, row->metric);
	str_append_c(s, ',');
	csv_text(s, row->score);
	str_append_c(s, ',');
	if (point->step != CAMPAIGN_NO_STEP)
		str_appendf(s, "%" PRId64, point->step);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		str_append_c(s, ',');
		csv_double(s, numbers[i]);
	}
	str_append_c(s, ',');
	if (row->count >= 0)
		str_appendf(s, "%" PRId64, row->count);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		str_append_c(s, ',');
		csv_text(s, texts[i]);
	}
	str_append(s, point->regression ? ",true\r\n" : ",false\r\n");
}

void curves_render_csv(struct str *s, const struct campaign_point_list *points)
{
	str_append(s, "task,group,metric,score,step,value,stderr,ci95_low,ci95_high,count,parameter_value,evaluation,"
		      "job,regression\r\n");
	for (size_t i = 0; i < points->count; i++)
		csv_point(s, &points->items[i]);
}

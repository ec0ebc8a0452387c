#include "service/forecast.h"

#include "base/mem.h"
#include "base/str.h"
#include "db/usage.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What one, or all of them, is expected to use. */
struct expected {
	int64_t gpu_s_p50;
	int64_t gpu_s_p90;
	int64_t run_s_p50;
	int64_t run_s_p90;
};

struct forecast {
	struct expected sum;
	int64_t known;
	json_t *jobs;
	/* Of the runs that it goes by, those whose servers' start is known. */
	int64_t *start_up_s;
	int64_t *start_up_gpu_s;
	size_t starts;
};

static void forecast_done(struct forecast *f)
{
	json_decref(f->jobs);
	free(f->start_up_s);
	free(f->start_up_gpu_s);
}

static const char *basis_name(enum usage_likeness likeness)
{
	switch (likeness) {
	case USAGE_EQUAL: return "equal";
	case USAGE_SIMILAR: return "similar";
	case USAGE_SAME_TASK: return "task";
	}
	return "task";
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

/* The smallest that so many of a hundred do not exceed: the nearest rank. */
static int64_t percentile(const int64_t *sorted, size_t count, size_t percent)
{
	return sorted[(count * percent + 99) / 100 - 1];
}

/* By those that are most like it. Returns how many they are. */
static size_t expect(const struct usage_run *runs, size_t count, enum usage_likeness likeness,
		     struct expected *ret_expected)
{
	int64_t gpu_s[FORECAST_RUNS_MAX];
	int64_t run_s[FORECAST_RUNS_MAX];
	size_t used = 0;
	for (size_t i = 0; i < count; i++) {
		if (runs[i].likeness < likeness)
			continue;
		gpu_s[used] = runs[i].gpu_s;
		run_s[used++] = runs[i].run_s;
	}
	if (used == 0)
		return 0;
	qsort(gpu_s, used, sizeof *gpu_s, by_size);
	qsort(run_s, used, sizeof *run_s, by_size);
	*ret_expected = (struct expected){.gpu_s_p50 = percentile(gpu_s, used, 50),
					  .gpu_s_p90 = percentile(gpu_s, used, 90),
					  .run_s_p50 = percentile(run_s, used, 50),
					  .run_s_p90 = percentile(run_s, used, 90)};
	return used;
}

/* In thousandths, rounded. */
static double hours(int64_t seconds)
{
	int64_t thousandths = (seconds * 10 + 18) / 36;
	return (double)thousandths / 1000;
}

static void set_expected(json_t *object, const struct expected *e)
{
	json_object_set_new(object, "gpu_hours",
			    json_pack("{s:f, s:f}", "p50", hours(e->gpu_s_p50), "p90", hours(e->gpu_s_p90)));
	json_object_set_new(object, "duration_s",
			    json_pack("{s:I, s:I}", "p50", (json_int_t)e->run_s_p50, "p90", (json_int_t)e->run_s_p90));
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* jobs share one server: then they run after each other. */
static void add(struct forecast *f, const struct expected *e, bool share)
{
	f->known++;
	f->sum.gpu_s_p50 += e->gpu_s_p50;
	f->sum.gpu_s_p90 += e->gpu_s_p90;
	f->sum.run_s_p50 = share ? f->sum.run_s_p50 + e->run_s_p50 : larger(f->sum.run_s_p50, e->run_s_p50);
	f->sum.run_s_p90 = share ? f->sum.run_s_p90 + e->run_s_p90 : larger(f->sum.run_s_p90, e->run_s_p90);
}

static void note_starts(struct forecast *f, const struct usage_run *runs, size_t count, enum usage_likeness likeness)
{
	for (size_t i = 0; i < count; i++) {
		if (runs[i].likeness < likeness || runs[i].start_up_s <= 0)
			continue;
		f->start_up_s[f->starts] = runs[i].start_up_s;
		f->start_up_gpu_s[f->starts++] = runs[i].start_up_gpu_s;
	}
}

static int look_up(struct db *db, const struct eval_plan *plan, const struct likeness *likeness, size_t index,
		   size_t limit, struct forecast *f, struct nel_err *err)
{
	const struct plan_job *job = &plan->jobs[index];
	const struct likeness_job *alike = &likeness->jobs[index];
	const struct likeness_row subject = {alike->subject.hash, alike->subject.parts};
	const struct likeness_row protocol = {alike->protocol.hash, alike->protocol.parts};
	struct usage_run runs[FORECAST_RUNS_MAX];
	size_t count = 0;
	if (usage_runs(db, job->task, plan->model, &subject, &protocol, limit, runs, &count, err) != 0)
		return -1;
	for (int level = USAGE_EQUAL; level >= USAGE_SAME_TASK; level--) {
		struct expected expected;
		size_t used = expect(runs, count, (enum usage_likeness)level, &expected);
		if (used == 0)
			continue;
		json_t *shown = json_pack("{s:i, s:s, s:s, s:I}", "index", job->index, "task", job->task, "basis",
					  basis_name((enum usage_likeness)level), "runs", (json_int_t)used);
		set_expected(shown, &expected);
		json_array_append_new(f->jobs, shown);
		add(f, &expected, plan->share_at_once > 0);
		note_starts(f, runs, count, (enum usage_likeness)level);
		break;
	}
	return 0;
}

static size_t limit_for(size_t jobs)
{
	size_t limit = jobs > 0 ? FORECAST_ROWS_MAX / jobs : 0;
	if (limit < FORECAST_RUNS_MIN)
		limit = FORECAST_RUNS_MIN;
	return limit < FORECAST_RUNS_MAX ? limit : FORECAST_RUNS_MAX;
}

static json_t *document(const struct forecast *f)
{
	if (f->known == 0)
		return json_null();
	json_t *document = json_pack("{s:I}", "jobs_known", (json_int_t)f->known);
	set_expected(document, &f->sum);
	json_object_set(document, "jobs", f->jobs);
	return document;
}

/* Half of the starts take no longer; 0: none is known. */
static int64_t median(int64_t *numbers, size_t count)
{
	if (count == 0)
		return 0;
	qsort(numbers, count, sizeof *numbers, by_size);
	return percentile(numbers, count, 50);
}

static void describe_saving(const struct eval_plan *plan, int64_t start_up_s, int64_t saved_gpu_s, size_t runs,
			    struct str *text)
{
	size_t more = plan->job_count - 1;
	str_appendf(text, "with " FORECAST_SHARE " the model's servers start once for all %zu tasks", plan->job_count);
	if (start_up_s == 0) {
		str_appendf(text, ", and not %zu times; how long a start takes is not known here yet", plan->job_count);
		return;
	}
	str_append(text, ", which would save ");
	if (saved_gpu_s > 0)
		str_appendf(text, "%g GPU hours: ", hours(saved_gpu_s));
	str_appendf(text, "%zu start%s of %" PRId64 " s, the median of %zu run%s", more, more == 1 ? "" : "s",
		    start_up_s, runs, runs == 1 ? "" : "s");
}

static json_t *sharing(const struct forecast *f, const struct eval_plan *plan)
{
	if (plan->deployment == NULL || plan->share_at_once > 0 || plan->job_count < 2)
		return json_null();
	int64_t start_up_s = median(f->start_up_s, f->starts);
	int64_t saved_gpu_s = median(f->start_up_gpu_s, f->starts) * (int64_t)(plan->job_count - 1);
	struct str text = {0};
	describe_saving(plan, start_up_s, saved_gpu_s, f->starts, &text);
	json_t *shown = json_pack("{s:I, s:s, s:I}", "tasks", (json_int_t)plan->job_count, "set", FORECAST_SHARE,
				  "runs", (json_int_t)f->starts);
	json_object_set_new(shown, "start_up_s", start_up_s > 0 ? json_integer(start_up_s) : json_null());
	json_object_set_new(shown, "would_save_gpu_hours",
			    saved_gpu_s > 0 ? json_real(hours(saved_gpu_s)) : json_null());
	json_object_set_new(shown, "text", json_string(str_text(&text)));
	str_done(&text);
	return shown;
}

int forecast_make(struct db *db, const struct eval_plan *plan, const struct likeness *likeness, json_t **ret_forecast,
		  json_t **ret_sharing, struct nel_err *err)
{
	CLEANUP(forecast_done) struct forecast f = {.jobs = json_array()};
	size_t limit = limit_for(plan->job_count);
	f.start_up_s = mem_calloc(plan->job_count * limit, sizeof *f.start_up_s);
	f.start_up_gpu_s = mem_calloc(plan->job_count * limit, sizeof *f.start_up_gpu_s);
	for (size_t i = 0; i < plan->job_count; i++)
		if (look_up(db, plan, likeness, i, limit, &f, err) != 0)
			return -1;
	*ret_forecast = document(&f);
	if (ret_sharing != NULL)
		*ret_sharing = sharing(&f, plan);
	return 0;
}

/* Handler of /v1/usage: sums of the ledger, as JSON or CSV. */
#include "db/usage.h"
#include "api/http/csv_out.h"
#include "api/http/handlers.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "base/json_out.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

#define ITEMS_MAX 10000

/* *ret_label is what filter->label points to; the caller frees it. */
static int parse_filter(const struct query *query, struct usage_filter *filter, char **ret_label, struct nel_err *err)
{
	const struct query_word words[] = {{"user", &filter->by_user},
					   {"cluster", &filter->by_cluster},
					   {"model", &filter->by_model},
					   {"task", &filter->by_task},
					   {"month", &filter->by_month}};
	*filter = (struct usage_filter){.limit = ITEMS_MAX + 1};
	if (query_get_span(query, &filter->since_s, &filter->until_s, err) != 0 ||
	    query_get_words(query, "by", NULL, words, sizeof words / sizeof words[0], ret_label, err) != 0)
		return -1;
	filter->label = *ret_label;
	return 0;
}

struct column {
	bool wanted;
	const char *name;
	const char *text;
};

#define COLUMNS 6

static void columns_of(const struct usage_filter *filter, const char *label_name, const struct usage_sum *sum,
		       struct column ret_columns[COLUMNS])
{
	static const struct usage_sum none;
	if (sum == NULL)
		sum = &none;
	const struct column columns[COLUMNS] = {{filter->by_user, "user", sum->user},
						{filter->by_cluster, "cluster", sum->cluster},
						{filter->by_model, "model", sum->model},
						{filter->by_task, "task", sum->task},
						{filter->label != NULL, label_name, sum->label},
						{filter->by_month, "month", sum->month}};
	memcpy(ret_columns, columns, sizeof columns);
}

static void render_json(struct json_out *out, const struct column *columns, const struct usage_sum *sum)
{
	out_object(out, NULL);
	for (size_t i = 0; i < COLUMNS; i++) {
		if (!columns[i].wanted)
			continue;
		out_key(out, columns[i].name);
		out_string(out, NULL, columns[i].text);
	}
	out_int(out, "gpu_s", sum->gpu_s);
	out_object(out, "gpu_s_waste");
	out_int(out, "start_up", sum->start_up_gpu_s);
	out_int(out, "idle", sum->idle_gpu_s);
	out_int(out, "lost", sum->lost_gpu_s);
	out_end(out);
	out_int(out, "run_s", sum->run_s);
	out_int(out, "queue_s", sum->queue_s);
	out_int(out, "attempts", sum->attempts);
	out_int(out, "jobs", sum->jobs);
	out_end(out);
}

static void render_csv(struct str *s, const struct column *columns, const struct usage_sum *sum)
{
	for (size_t i = 0; i < COLUMNS; i++) {
		if (!columns[i].wanted)
			continue;
		csv_text(s, sum != NULL ? columns[i].text : columns[i].name);
		str_append_c(s, ',');
	}
	if (sum == NULL)
		str_append(s, "gpu_s,gpu_s_start_up,gpu_s_idle,gpu_s_lost,run_s,queue_s,attempts,jobs\r\n");
	else
		str_appendf(s,
			    "%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
			    ",%" PRId64 "\r\n",
			    sum->gpu_s, sum->start_up_gpu_s, sum->idle_gpu_s, sum->lost_gpu_s, sum->run_s, sum->queue_s,
			    sum->attempts, sum->jobs);
}

int api_getUsage(struct request *request, struct nel_err *err)
{
	bool csv = false;
	struct usage_filter filter;
	struct db *db = NULL;
	struct column columns[COLUMNS];
	CLEANUP(mem_freep) char *label = NULL;
	CLEANUP(usage_sums_done) struct usage_sums sums = {0};
	CLEANUP(json_freep) json_t *quotas = NULL;
	if (request_wants_csv(request, &csv, err) != 0 || parse_filter(&request->query, &filter, &label, err) != 0 ||
	    request_read_db(request, &db, err) != 0 || usage_sum_up(db, &filter, &sums, err) != 0 ||
	    service_quotas(request->service, db, request->actor.name, &quotas, err) != 0)
		return -1;
	if (sums.count > ITEMS_MAX)
		return err_set(err, NEL_INVALID, "more than %d items: name less in \"by\", or a shorter time",
			       ITEMS_MAX);
	CLEANUP(mem_freep) char *label_name = label != NULL ? mem_printf("label:%s", label) : NULL;
	struct json_out body = {0};
	if (csv) {
		columns_of(&filter, label_name, NULL, columns);
		render_csv(&body.text, columns, NULL);
	} else {
		out_object(&body, NULL);
		out_array(&body, "items");
	}
	for (size_t i = 0; i < sums.count; i++) {
		columns_of(&filter, label_name, &sums.items[i], columns);
		if (csv)
			render_csv(&body.text, columns, &sums.items[i]);
		else
			render_json(&body, columns, &sums.items[i]);
	}
	if (csv)
		return reply_text(request, MHD_HTTP_OK, REQUEST_CSV_TYPE, &body.text, err);
	out_end(&body);
	out_value(&body, "quotas", quotas);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

/* Handler of /v1/usage: sums of the ledger, as JSON or CSV. */
#include "db/usage.h"
#include "api/http/csv_out.h"
#include "api/http/handlers.h"
#include "api/http/json_out.h"
#include "api/http/media.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

#define CSV_TYPE "text/csv; charset=utf-8"
#define ITEMS_MAX 10000

static int parse_format(const struct request *request, bool *ret_csv, struct nel_err *err)
{
	const char *format = query_get(&request->query, "format");
	if (format == NULL)
		*ret_csv =
		    media_prefers(request_header(request, MHD_HTTP_HEADER_ACCEPT), "text/csv", "application/json");
	else if (strcmp(format, "csv") == 0 || strcmp(format, "json") == 0)
		*ret_csv = strcmp(format, "csv") == 0;
	else
		return err_set(err, NEL_INVALID, "query parameter \"format\" must be json or csv");
	return 0;
}

static int take_by(struct usage_filter *filter, const char *word, struct nel_err *err)
{
	const struct {
		const char *name;
		bool *wanted;
	} names[] = {{"user", &filter->by_user},
		     {"cluster", &filter->by_cluster},
		     {"model", &filter->by_model},
		     {"task", &filter->by_task},
		     {"month", &filter->by_month}};
	static const char label[] = "label:";
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(word, names[i].name) != 0)
			continue;
		*names[i].wanted = true;
		return 0;
	}
	if (strncmp(word, label, sizeof label - 1) != 0 || word[sizeof label - 1] == '\0')
		return err_set(
		    err, NEL_INVALID,
		    "query parameter \"by\": \"%.64s\" is not user, cluster, model, task, month or label:KEY", word);
	if (filter->label != NULL)
		return err_set(err, NEL_INVALID, "query parameter \"by\" takes one label");
	filter->label = word + sizeof label - 1;
	return 0;
}

/* by: a list separated by commas, in which the filter's label is then a part. */
static int parse_filter(const struct query *query, char *by, struct usage_filter *filter, struct nel_err *err)
{
	long long since_s = 0;
	long long until_s = 0;
	char *rest = NULL;
	if (query_get_time(query, "since", &since_s, err) != 0 || query_get_time(query, "until", &until_s, err) != 0)
		return -1;
	*filter = (struct usage_filter){.since_s = since_s, .until_s = until_s, .limit = ITEMS_MAX + 1};
	for (char *word = by != NULL ? strtok_r(by, ",", &rest) : NULL; word != NULL; word = strtok_r(NULL, ",", &rest))
		if (take_by(filter, word, err) != 0)
			return -1;
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
	CLEANUP(mem_freep) char *by = mem_strdup(query_get(&request->query, "by"));
	CLEANUP(usage_sums_done) struct usage_sums sums = {0};
	if (parse_format(request, &csv, err) != 0 || parse_filter(&request->query, by, &filter, err) != 0 ||
	    request_read_db(request, &db, err) != 0 || usage_sum_up(db, &filter, &sums, err) != 0)
		return -1;
	if (sums.count > ITEMS_MAX)
		return err_set(err, NEL_INVALID, "more than %d items: name less in \"by\", or a shorter time",
			       ITEMS_MAX);
	CLEANUP(mem_freep) char *label_name = filter.label != NULL ? mem_printf("label:%s", filter.label) : NULL;
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
		return reply_text(request, MHD_HTTP_OK, CSV_TYPE, &body.text, err);
	out_end(&body);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

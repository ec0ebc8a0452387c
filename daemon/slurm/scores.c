#include "slurm/scores.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "slurm/records.h"
#include "slurm/scores_yaml.h"

#include <math.h>
#include <string.h>

#define NAME_SIZE 512
#define GROUP_DEPTH_MAX 8
#define COUNT_MAX 9e15 /* a double is exact up to here */
#define STDERR_SUFFIX "_stderr"

void scores_done(struct scores *scores)
{
	for (size_t i = 0; i < scores->count; i++)
		score_done(&scores->items[i]);
	free(scores->items);
	free(scores->first_left_out);
	*scores = (struct scores){0};
}

char *scores_describe_left_out(const struct scores *scores)
{
	return mem_printf("%zu value%s of results.yml cannot be read as scores and %s left out%s%s", scores->left_out,
			  scores->left_out == 1 ? "" : "s", scores->left_out == 1 ? "is" : "are",
			  scores->first_left_out != NULL ? ", the first: " : "",
			  scores->first_left_out != NULL ? scores->first_left_out : "");
}

int64_t scores_samples(const struct scores *scores)
{
	int64_t sum = 0;
	const char *task = NULL; /* whose scores come one after the other */
	int64_t count = 0;
	for (size_t i = 0; i < scores->count; i++) {
		const struct score *score = &scores->items[i];
		if (score->group)
			continue;
		if (score->count < 0 || score->count > INT32_MAX)
			return -1;
		if (task == NULL || strcmp(task, score->task) != 0)
			count = 0;
		task = score->task;
		if (score->count > count) {
			sum += score->count - count;
			count = score->count;
		}
	}
	return task != NULL ? sum : -1;
}

/* All of them as one text, for a look at each alone costs as much as one at all. */
void scores_mask(struct scores *scores, const struct mask *mask)
{
	CLEANUP(str_done) struct str all = {0};
	if (scores->first_left_out != NULL)
		mask_text(mask, scores->first_left_out, false);
	for (int pass = 0; pass < 2; pass++) {
		size_t at = 0;
		for (size_t i = 0; i < scores->count; i++) {
			char *names[] = {scores->items[i].task, scores->items[i].metric, scores->items[i].score};
			for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
				size_t size = strlen(names[n]);
				if (pass == 0)
					str_append_n(&all, names[n], size + 1);
				else
					memcpy(names[n], all.data + at, size);
				at += size + 1;
			}
		}
		if (pass == 0)
			mask_bytes(mask, all.data, all.len, false);
	}
}

static char *name_dup(const char *name)
{
	char text[NAME_SIZE];
	record_text(name, text, sizeof text);
	return mem_strdup(text);
}

/* A number, also as text: YAML 1.1 takes the 1e-05 of other languages for text. False when it is not finite. */
static bool read_number(const json_t *value, double *ret_number)
{
	double number = NAN;
	if (json_is_number(value)) {
		number = json_number_value(value);
	} else if (json_is_string(value)) {
		const char *text = json_string_value(value);
		char *end = NULL;
		if (text[0] == '\0' || text[strspn(text, "0123456789+-.eE")] != '\0')
			return false;
		number = strtod(text, &end);
		if (*end != '\0')
			return false;
	}
	if (!isfinite(number))
		return false;
	*ret_number = number;
	return true;
}

static int64_t read_count(const json_t *value)
{
	double number = -1;
	if (json_is_integer(value))
		return json_integer_value(value) >= 0 ? json_integer_value(value) : -1;
	return read_number(value, &number) && number >= 0 && number < COUNT_MAX ? (int64_t)number : -1;
}

static void leave_out(struct scores *scores, const struct score *place)
{
	if (scores->left_out++ > 0)
		return;
	char text[NAME_SIZE];
	CLEANUP(mem_freep) char *name = mem_printf("%s %s %s", place->task, place->metric, place->score);
	record_text(name, text, sizeof text);
	scores->first_left_out = mem_strdup(text);
}

/* place: task, group, metric and score. When the value is no finite number it is left out. */
static void add_score(struct scores *scores, const struct score *place, const json_t *value, const json_t *error,
		      const json_t *count)
{
	double number = 0;
	if (scores->count == SCORES_COUNT_MAX || !read_number(value, &number)) {
		leave_out(scores, place);
		return;
	}
	scores->items = mem_realloc(scores->items, scores->count + 1, sizeof *scores->items);
	struct score *score = &scores->items[scores->count++];
	*score = (struct score){
	    .task = name_dup(place->task),
	    .group = place->group,
	    .metric = name_dup(place->metric),
	    .score = name_dup(place->score),
	    .value = number,
	    .stderr_ = NAN,
	    .count = read_count(count),
	};
	read_number(error, &score->stderr_);
}

/* The metrics of one task or group. */
static void add_metrics(struct scores *scores, const char *task, bool group, const json_t *entry)
{
	const char *metric = NULL;
	json_t *metric_entry = NULL;
	json_object_foreach(json_object_get(entry, "metrics"), metric, metric_entry) {
		const char *name = NULL;
		json_t *score = NULL;
		json_object_foreach(json_object_get(metric_entry, "scores"), name, score) {
			struct score place = {
			    .task = (char *)task, .group = group, .metric = (char *)metric, .score = (char *)name};
			const json_t *stats = json_object_get(score, "stats");
			add_score(scores, &place, json_object_get(score, "value"), json_object_get(stats, "stderr"),
				  json_object_get(stats, "count"));
		}
	}
}

static void add_tasks(struct scores *scores, const json_t *tasks)
{
	const char *task = NULL;
	json_t *entry = NULL;
	json_object_foreach((json_t *)tasks, task, entry) {
		add_metrics(scores, task, false, entry);
	}
}

/* The groups that lie `depth` groups deep. */
static void add_groups(struct scores *scores, const json_t *groups, int depth)
{
	const char *group = NULL;
	json_t *entry = NULL;
	json_object_foreach((json_t *)groups, group, entry) {
		if (depth > 0)
			add_groups(scores, json_object_get(entry, "groups"), depth - 1);
		else
			add_metrics(scores, group, true, entry);
	}
}

/* "<metric>,<filter>": a value, with its error under "<metric>_stderr,<filter>". */
static void add_plain_metric(struct scores *scores, const char *task, const char *key, const json_t *entry,
			     const json_t *count)
{
	const char *comma = strchr(key, ',');
	if (comma == NULL || comma == key || comma[1] == '\0')
		return;
	size_t length = (size_t)(comma - key);
	if (length > strlen(STDERR_SUFFIX) &&
	    strncmp(comma - strlen(STDERR_SUFFIX), STDERR_SUFFIX, strlen(STDERR_SUFFIX)) == 0)
		return;
	CLEANUP(mem_freep) char *metric = mem_strndup(key, length);
	CLEANUP(mem_freep) char *error = mem_printf("%s" STDERR_SUFFIX "%s", metric, comma);
	struct score place = {.task = (char *)task, .metric = metric, .score = (char *)comma + 1};
	add_score(scores, &place, json_object_get(entry, key), json_object_get(entry, error), count);
}

/* What lm-evaluation-harness itself writes: results.<task>.{"<metric>,<filter>": number}, n-samples beside it. */
static void add_plain(struct scores *scores, const json_t *document, const json_t *results)
{
	const char *task = NULL;
	json_t *entry = NULL;
	const json_t *samples = json_object_get(document, "n-samples");
	json_object_foreach((json_t *)results, task, entry) {
		const char *key = NULL;
		json_t *value = NULL;
		const json_t *count = json_object_get(json_object_get(samples, task), "effective");
		json_object_foreach(entry, key, value) {
			add_plain_metric(scores, task, key, entry, count);
		}
	}
}

/* The lines from "results:" to the next key of the outermost mapping, or NULL. */
static const char *results_block(const char *text, size_t *ret_size)
{
	static const char key[] = "results:";
	const char *begin = strncmp(text, key, strlen(key)) == 0 ? text : strstr(text, "\nresults:");
	if (begin == NULL)
		return NULL;
	begin += *begin == '\n';
	const char *end = begin;
	do {
		end += strcspn(end, "\n");
		end += *end == '\n';
	} while (*end != '\0' && strchr(" #\r\n", *end) != NULL);
	*ret_size = (size_t)(end - begin);
	return begin;
}

int scores_parse(const char *text, size_t size, struct scores *ret_scores, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *document = NULL;
	size_t lost = 0;
	if (scores_yaml_read(text, size, &document, &lost, err) != 0) {
		/* What stands beside the results may be no YAML: the scores are good without. */
		struct nel_err ignored;
		size_t block_size = 0;
		CLEANUP(mem_freep) char *copy = mem_dup(text, size);
		const char *block = results_block(copy, &block_size);
		if (block == NULL || scores_yaml_read(block, block_size, &document, &lost, &ignored) != 0)
			return err_prefix(err, "results.yml");
	}
	const json_t *results = json_object_get(document, "results");
	if (!json_is_object(results))
		return err_set(err, NEL_INVALID, "results.yml has no results");
	struct scores scores = {.left_out = lost};
	const json_t *tasks = json_object_get(results, "tasks");
	const json_t *groups = json_object_get(results, "groups");
	if (tasks == NULL && groups == NULL)
		add_plain(&scores, document, results);
	add_tasks(&scores, tasks);
	/* The store keeps the last of two with one name: of two groups that is the outer one. */
	for (int depth = GROUP_DEPTH_MAX; depth-- > 0;)
		add_groups(&scores, groups, depth);
	*ret_scores = scores;
	return 0;
}

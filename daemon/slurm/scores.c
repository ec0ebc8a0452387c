/* The scores in a results.yml, as the evaluators of NeMo Evaluator write it. Pure. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "config/yaml_json.h"
#include "slurm/collect.h"
#include "slurm/records.h"

#include <math.h>
#include <string.h>

#define NAME_SIZE 512

void scores_done(struct scores *scores)
{
	for (size_t i = 0; i < scores->count; i++) {
		free(scores->items[i].task);
		free(scores->items[i].metric);
		free(scores->items[i].score);
	}
	free(scores->items);
	*scores = (struct scores){0};
}

static char *name_dup(const char *name)
{
	char text[NAME_SIZE];
	record_text(name, text, sizeof text);
	return mem_strdup(text);
}

static void add_score(struct scores *scores, const struct score *place, const char *name, const json_t *score)
{
	const json_t *value = json_object_get(score, "value");
	if (scores->count == COLLECT_SCORES_MAX || !json_is_number(value) || !isfinite(json_number_value(value)))
		return;
	const json_t *stats = json_object_get(score, "stats");
	const json_t *error = json_object_get(stats, "stderr");
	const json_t *count = json_object_get(stats, "count");
	scores->items = mem_realloc(scores->items, scores->count + 1, sizeof *scores->items);
	scores->items[scores->count++] = (struct score){
	    .task = name_dup(place->task),
	    .group = place->group,
	    .metric = name_dup(place->metric),
	    .score = name_dup(name),
	    .value = json_number_value(value),
	    .stderr_ = json_is_number(error) ? json_number_value(error) : NAN,
	    .count = json_is_integer(count) && json_integer_value(count) >= 0 ? json_integer_value(count) : -1,
	};
}

/* The metrics of one task or group. */
static void add_metrics(struct scores *scores, const char *task, bool group, const json_t *entry)
{
	const char *metric = NULL;
	json_t *metric_entry = NULL;
	json_object_foreach(json_object_get(entry, "metrics"), metric, metric_entry) {
		const char *name = NULL;
		json_t *score = NULL;
		struct score place = {.task = (char *)task, .group = group, .metric = (char *)metric};
		json_object_foreach(json_object_get(metric_entry, "scores"), name, score) {
			add_score(scores, &place, name, score);
		}
	}
}

static void add_entries(struct scores *scores, const json_t *entries, bool group)
{
	const char *task = NULL;
	json_t *entry = NULL;
	json_object_foreach((json_t *)entries, task, entry) {
		add_metrics(scores, task, group, entry);
	}
}

/* Is there a plain .nan or .inf at `at`, as PyYAML writes them? Its length, or 0. */
static size_t not_finite_length(const char *at, const char *begin)
{
	static const char *const words[] = {".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "-.inf", "-.Inf", "-.INF"};
	if (at == begin || strchr(" ,[", at[-1]) == NULL || at[-1] == '\0')
		return 0;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		size_t length = strlen(words[i]);
		if (strncmp(at, words[i], length) == 0 && strchr(" ,]}\r\n", at[length]) != NULL)
			return length;
	}
	return 0;
}

/* JSON has no NaN, and one metric without a value must not cost the others theirs: each is made null. */
static void drop_not_finite(char *text)
{
	for (char *at = text; *at != '\0'; at++) {
		size_t length = not_finite_length(at, text);
		if (length != 0) {
			memset(at, ' ', length);
			*at = '~';
		}
	}
}

int scores_parse(const char *text, size_t size, struct scores *ret_scores, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *document = NULL;
	CLEANUP(problems_done) struct problems problems = {0};
	CLEANUP(mem_freep) char *copy = mem_dup(text, size);
	drop_not_finite(copy);
	if (yaml_json_parse(copy, size, false, &document, NULL, &problems, err) != 0)
		return err_prefix(err, "results.yml");
	const json_t *results = json_object_get(document, "results");
	if (!json_is_object(results))
		return err_set(err, NEL_INVALID, "results.yml has no results");
	struct scores scores = {0};
	add_entries(&scores, json_object_get(results, "tasks"), false);
	add_entries(&scores, json_object_get(results, "groups"), true);
	*ret_scores = scores;
	return 0;
}

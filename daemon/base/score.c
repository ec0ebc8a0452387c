#include "base/score.h"

#include "base/json_or_null.h"

#include <stdlib.h>
#include <string.h>

void score_done(struct score *score)
{
	if (score == NULL)
		return;
	free(score->task);
	free(score->metric);
	free(score->score);
	*score = (struct score){0};
}

int score_compare_names(const struct score *a, const struct score *b)
{
	if (a->group != b->group)
		return (int)a->group - (int)b->group;
	int order = strcmp(a->task, b->task);
	if (order == 0)
		order = strcmp(a->metric, b->metric);
	return order != 0 ? order : strcmp(a->score, b->score);
}

json_t *score_list_json(const struct score *scores, size_t count)
{
	json_t *list = json_array();
	for (size_t i = 0; i < count && i < SCORE_EVENT_MAX; i++) {
		const struct score *score = &scores[i];
		json_array_append_new(
		    list, json_pack("{s:o, s:b, s:o, s:o, s:o, s:o}", "task", json_or_null_text(score->task), "group",
				    (int)score->group, "metric", json_or_null_text(score->metric), "score",
				    json_or_null_text(score->score), "value", json_or_null_number(score->value),
				    "stderr", json_or_null_number(score->stderr_)));
	}
	return list;
}

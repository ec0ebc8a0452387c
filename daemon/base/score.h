/* One score of a job, as it is collected, stored and shown. */
#ifndef NEL_BASE_SCORE_H
#define NEL_BASE_SCORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A plain row; whose the strings are its holder says. */
struct score {
	char *task; /* as results.yml names it */
	bool group; /* it stands under results.groups */
	char *metric;
	char *score;
	double value;
	double stderr_; /* NAN unknown */
	int64_t count;  /* samples; -1 unknown */
};

/* Frees the strings; accepts NULL. */
void score_done(struct score *score);

/* Tasks before groups, then by task, metric and score; 0: they are of the same. */
int score_compare_names(const struct score *a, const struct score *b);

#define SCORE_EVENT_MAX 50 /* scores in one event */

/* The first SCORE_EVENT_MAX as an event has them (openapi.yaml, schema Event: results.recorded). */
json_t *score_list_json(const struct score *scores, size_t count);

#endif

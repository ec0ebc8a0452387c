/* One line of a file of samples: what identifies the sample, and its values; texts are passed over or hashed. PURE.
 *
 * A reader of JSON of its own, since Python's json.dumps() writes what RFC 8259 does not have (NaN, Infinity, halves of
 * surrogate pairs), and since lines of megabytes are read for a few numbers. */
#ifndef NEL_SLURM_SAMPLE_LINE_H
#define NEL_SLURM_SAMPLE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAMPLE_METRICS_MAX 16    /* of a line; further ones are dropped */
#define SAMPLE_CANDIDATES_MAX 64 /* members of a line that may be metrics */
#define SAMPLE_NAME_MAX 128      /* bytes of a metric's or filter's name */

enum sample_format {
	SAMPLE_LM_EVAL, /* lm-evaluation-harness --log_samples: doc_id, doc_hash, filter, metrics, a member a metric */
	SAMPLE_BYOB,    /* NeMo Evaluator's byob_predictions.jsonl: sample_id, scores, metadata._repeat */
	SAMPLE_N5,      /* NeMo Evaluator's results.jsonl: problem_idx, repeat, reward, scoring_details */
};

/* Borrowed from the line. */
struct sample_span {
	const char *data;
	size_t size;
};

struct sample_metric {
	struct sample_span name; /* 1 to SAMPLE_NAME_MAX bytes of UTF-8 without escapes and control characters */
	double value;
};

struct sample_line {
	int64_t id;
	bool named;      /* the id is a text; `id` is its hash, 0 or more */
	uint32_t hash;   /* of what was asked: equal in two runs that asked the same; 0: the line does not say */
	uint32_t repeat; /* 0 unless the file has several runs of an item */
	struct sample_span filter; /* empty when there is none */
	struct sample_metric metrics[SAMPLE_METRICS_MAX];
	size_t metric_count;
};

/* False: it is not a JSON object, or has no id. What is no number, true or false is no value of a metric, nor is NaN; a
 * list of true and false is their mean (lm-evaluation-harness's inst_level_strict_acc). Other lists have a meaning for
 * their aggregation alone, as [gold, predicted] of an F1. */
bool sample_line_read(enum sample_format format, const char *line, size_t size, struct sample_line *ret_line);

#endif

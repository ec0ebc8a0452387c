/* The gate: holds a candidate's scores to a baseline's by a policy. HTTP threads. */
#ifndef NEL_SERVICE_GATE_H
#define NEL_SERVICE_GATE_H

#include "service/evidence.h"

#include <jansson.h>

#define GATE_TASKS_MAX 1000

enum gate_level {
	GATE_CRITICAL,   /* a failure blocks; so does nothing to be said: the gate is inconclusive */
	GATE_SUPPORTING, /* a failure is a warning */
	GATE_ADVISORY,   /* is only told */
};
extern const char *const gate_level_names[];

enum gate_outcome {
	GATE_PASSES,
	GATE_FAILS,        /* worse than allowed, and significantly worse */
	GATE_INCONCLUSIVE, /* a greater drop than allowed can neither be shown nor be ruled out */
};
extern const char *const gate_outcome_names[];

enum gate_verdict {
	GATE_PASS,
	GATE_WARN,
	GATE_BLOCK,
	GATE_NOTHING_SAID,
};
extern const char *const gate_verdict_names[];

struct gate_rule {
	const char *task; /* the policy's, or the evidence's */
	enum gate_level level;
	double drop;                      /* allowed, in the metric's own unit; 0: none that is significant */
	int64_t least_pairs;              /* or samples, where nothing is paired */
	const struct evidence_item *item; /* NULL: a side has no such score */
	enum gate_outcome outcome;
	char why[200];
};

struct gate {
	struct evidence evidence; /* a: the baseline, b: the candidate */
	struct gate_rule *rules;
	size_t count;
	enum gate_verdict verdict;
};

void gate_done(struct gate *gate);

/* policy: {"tasks": {NAME: RULE}, "default": RULE}, RULE {"level", "drop", "least_pairs", "metric", "score"}, all
 * optional; a task that it does not name is held to the default, else advisory. INVALID, naming the member, when it is
 * not so; else as service_compare(). The gate borrows from policy. */
int service_gate(struct db *db, const char *baseline, const char *candidate, const json_t *policy,
		 struct gate *ret_gate, struct nel_err *err);

#endif

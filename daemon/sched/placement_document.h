/* A placement as it is told and stored: the clusters that were asked, what each said, and which of them that chooses.
 * PURE. */
#ifndef NEL_SCHED_PLACEMENT_DOCUMENT_H
#define NEL_SCHED_PLACEMENT_DOCUMENT_H

#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum placement_state {
	PLACEMENT_CHOOSING,    /* nothing of it is anywhere */
	PLACEMENT_PLACED,      /* it is on a cluster, where nothing of it has been seen to start */
	PLACEMENT_WITHDRAWING, /* what waits there is to end */
	PLACEMENT_LEAVING,     /* it has ended, and its secrets are to be removed there */
	PLACEMENT_SETTLED      /* it stays where it is */
};

/* What a cluster said of it. */
enum placement_answer {
	ANSWER_STARTS,   /* when the job would start */
	ANSWER_TAKES,    /* that it would take it */
	ANSWER_REFUSED,  /* that it would not, or lacks something */
	ANSWER_SILENT,   /* nothing, or not in time */
	ANSWER_LEFT_OUT, /* it was not asked: the config cannot run there */
};

const char *placement_state_name(enum placement_state state);
enum placement_state placement_state_from(const char *name); /* SETTLED for what is none, and NULL */

/* Of the document or a candidate. NULL, or 0: it has none. */
const char *placement_document_text(const json_t *object, const char *key);
int64_t placement_document_time(const json_t *object, const char *key);

json_t *placement_document_candidates(const json_t *document);                     /* borrowed */
json_t *placement_document_candidate(const json_t *document, const char *cluster); /* borrowed; NULL: it is none */

/* Is it one that the evaluation may go to, and has not been on? */
bool placement_document_is_open(const json_t *candidate);
bool placement_document_has_open(const json_t *document);

/* What the cluster said; false when it is not asked, or has answered. expected_start: 0 where it is not known. */
bool placement_document_take(json_t *document, const char *cluster, enum placement_answer answer,
			     int64_t expected_start, const char *message);

/* The open one that starts first; of those that say no time, and else of all that would take it, the first. NULL: none
 * would take it. */
const char *placement_document_best(const json_t *document);

/* The same; and where all that are open refuse, the first: what Slurm says to the job itself is then said to the
 * person. */
const char *placement_document_choice(const json_t *document);

/* "alpha: would start at 2026-...; beta: no answer" */
void placement_document_describe(const json_t *document, struct str *text);

#endif

/* What a run directory says of the evaluation it is of, sealed with the master key: from it a store that was restored
 * from a time before takes the evaluation back, and nobody on the cluster can read it or make one up. Scheduler thread,
 * but for origin_open(). */
#ifndef NEL_SCHED_ORIGIN_H
#define NEL_SCHED_ORIGIN_H

#include "base/secret.h"
#include "config/plan/eval_plan.h"
#include "db/evaluations.h"

#include <jansson.h>

#define ORIGIN_FORMAT 1 /* the document's member "format"; of another one nothing can be said */

/* row: with its texts. *ret_sealed: free(). */
int origin_make(struct db *db, const struct secret_key *key, const struct evaluation_row *row,
		const struct eval_plan *plan, unsigned char **ret_sealed, size_t *ret_size, struct nel_err *err);

/* DENIED: it is not sealed with this key as that evaluation's. Any thread. */
int origin_open(const struct secret_key *key, const char *evaluation, const unsigned char *sealed, size_t size,
		json_t **ret_document, struct nel_err *err);

/* Stores the evaluation and its jobs, queued. Within a transaction. INVALID when the document lacks something. */
int origin_store(struct db *db, const json_t *document, const unsigned char *sealed_env, size_t sealed_env_size,
		 int64_t now_s, struct nel_err *err);

#endif

/* Internal to db/: between which evaluations those lie that were created in a span of time.
 *
 * Times and seq grow together as long as the clock is not set back. created_high never falls, so the rows from the
 * first one where it reaches `since` on are all that can be of interest; and up to the last one where it is below
 * `until` all are. Above that only the late rows (see the migration) can be old enough. */
#ifndef NEL_DB_CREATED_H
#define NEL_DB_CREATED_H

#include "db/postings.h"

/* Seqs of evaluations. */
struct created_bounds {
	int64_t first; /* none before it has reached `since`; INT64_MAX: none has at all */
	int64_t last;  /* all up to it are from before `until`; 0: none */
};

/* UTC; 0: no such bound, which is 0 then. */
int created_bounds_find(struct db *db, int64_t since_s, int64_t until_s, struct created_bounds *ret_bounds,
			struct nel_err *err);

/* Adds the list of a statement with the parameters bound, time and greatest seq; nothing when at_s is 0. */
void created_add_postings(struct postings *postings, struct db *db, const struct statement *statement, int64_t bound,
			  int64_t at_s);

#endif

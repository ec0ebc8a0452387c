/* Tables evaluation_search and job_search: the words by which evaluations and jobs are found (FTS5, trigrams): id,
 * model, tasks or task, person, cluster and labels of each. */
#ifndef NEL_DB_SEARCH_H
#define NEL_DB_SEARCH_H

#include "db/db.h"

struct postings; /* db/postings.h */

#define SEARCH_SIZE_MAX 128 /* bytes */
#define SEARCH_WORD_MIN 3   /* characters: what a trigram has */

#define SEARCH_BATCH 200 /* rows of the index in a transaction */

/* Puts evaluations that are not there yet in, with their jobs: the oldest first, SEARCH_BATCH rows at most but one
 * evaluation at least, in a transaction of its own, and none is open at the call. Waits wait_ms for another writer
 * (BUSY). *ret_more: there are others.
 * A submission does not do that itself: the index has a fifth of all pages that it would write. */
int search_catch_up(struct db *db, int wait_ms, bool *ret_more, struct nel_err *err);

/* Makes the query of what somebody typed: words that an evaluation has all, in any case and anywhere in a word.
 * *ret_match is the caller's. INVALID: longer than SEARCH_SIZE_MAX, no word, or one shorter than SEARCH_WORD_MIN. */
int search_parse(const char *text, char **ret_match, struct nel_err *err);

/* Adds the list of what matches; nothing when match is NULL. */
void search_add_evaluations(struct postings *postings, struct db *db, const char *match);
void search_add_jobs(struct postings *postings, struct db *db, const char *match);

#endif

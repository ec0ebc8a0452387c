/* Internal to db/: what several filters have in common. A posting list is a statement that answers the seq of the rows
 * that one filter lets through, newest first, from an index. Their intersection is found by leaping: whichever list is
 * ahead says where the others go on, so rows that some filter lacks are mostly not visited, and a page costs about the
 * same in a small store and in a large one. Every filter has one fixed statement, so no SQL is put together. */
#ifndef NEL_DB_POSTINGS_H
#define NEL_DB_POSTINGS_H

#include "db/db.h"
#include "db/statement.h"

#define POSTINGS_MAX 12

struct posting {
	struct query query;
	bool open;   /* stepped since its last bind */
	int64_t seq; /* where it stands; 0 at its end */
};

struct postings {
	struct posting lists[POSTINGS_MAX];
	size_t count;
	int64_t leaps; /* of one list to the row where another stands, so far */
	int64_t most_leaps;
	bool given_up;
};

/* Adds a list and owns its query. All parameters are bound but the last one, which is the greatest seq to answer. */
void postings_add(struct postings *postings, struct query query);

/* Adds the list of a statement with two parameters, a text and the greatest seq; nothing when text is NULL. */
void postings_add_text(struct postings *postings, struct db *db, const struct statement *statement, const char *text);

/* The greatest seq smaller than `below` (0: any) that is in all lists; 0 when there is none, or with given_up when
 * finding out would take more than most_leaps (0: any number). `below` must not grow from
 * call to call. There is at least one list. */
int postings_next(struct postings *postings, int64_t below, int64_t *ret_seq, struct nel_err *err);

void postings_done(struct postings *postings);

/* Is the row in all lists? Rows may be asked for in any order. */
int postings_have(struct postings *postings, int64_t seq, bool *ret_have, struct nel_err *err);

/* A page of what is in all lists, in that order. Orders other than LIST_NEWEST are walked through, a row after the
 * other and some thousands at most, with `walk`: a statement that answers seq and, for LIST_CHANGED, the time of the
 * change (else ?1), of all rows behind those two, ?2 and ?1. position: of a list with the same order; 0: from its
 * beginning. */
int postings_list(struct postings *postings, struct db *db, const struct statement *walk, enum list_sort sort,
		  int64_t position, size_t limit, struct seq_list *ret_list, struct nel_err *err);

/* How many rows are in all lists. *ret_capped: so many or more, as DB_TOTAL_MAX or DB_TOTAL_LEAPS_MAX was reached. */
int postings_total(struct postings *postings, int64_t *ret_total, bool *ret_capped, struct nel_err *err);

#endif

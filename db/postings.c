/* Owns the intersection of posting lists. */
#include "db/postings.h"

#include "db/db.h"

#include <assert.h>

#define WALK_MAX 5000        /* rows that a page in another order looks at */
#define POSITION_SEQ_BITS 30 /* of a position in it: above them stands the time */

/* So many rows are stepped over before the list is sought anew: a step costs about a tenth of that. */
#define STEPS_BEFORE_SEEK 8

void postings_add(struct postings *postings, struct query query)
{
	assert(postings->count < POSTINGS_MAX);
	postings->lists[postings->count++] = (struct posting){.query = query};
}

void postings_add_text(struct postings *postings, struct db *db, const struct statement *statement, const char *text)
{
	if (text == NULL)
		return;
	struct query query = query_start(db, statement);
	query_bind_text(&query, text);
	postings_add(postings, query);
}

void postings_done(struct postings *postings)
{
	for (size_t i = 0; i < postings->count; i++)
		query_done(&postings->lists[i].query);
	postings->count = 0;
}

static int step(struct posting *list, struct nel_err *err)
{
	bool row = false;
	if (query_step(&list->query, &row, err) != 0)
		return -1;
	list->seq = row ? query_int(&list->query) : 0;
	return 0;
}

/* Moves the list to its greatest seq that is at most at_most. */
static int seek(struct posting *list, int64_t at_most, struct nel_err *err)
{
	for (int steps = 0; list->open && list->seq > at_most && steps < STEPS_BEFORE_SEEK; steps++)
		if (step(list, err) != 0)
			return -1;
	if (list->open && list->seq <= at_most)
		return 0;
	sqlite3_reset(list->query.stmt); /* keeps what is bound */
	int bound = list->query.bound;
	query_bind_int(&list->query, at_most);
	list->query.bound = bound;
	list->open = true;
	return step(list, err);
}

int postings_next(struct postings *postings, int64_t below, int64_t *ret_seq, struct nel_err *err)
{
	int64_t candidate = below == 0 ? INT64_MAX : below - 1;
	size_t agreed = 0;
	for (size_t i = 0; agreed < postings->count && candidate > 0; i = (i + 1) % postings->count) {
		struct posting *list = &postings->lists[i];
		if (postings->most_leaps != 0 && postings->leaps++ == postings->most_leaps) {
			postings->given_up = true;
			candidate = 0;
			break;
		}
		if (seek(list, candidate, err) != 0)
			return -1;
		agreed = list->seq == candidate ? agreed + 1 : 1;
		candidate = list->seq;
	}
	*ret_seq = candidate;
	return 0;
}

int postings_have(struct postings *postings, int64_t seq, bool *ret_have, struct nel_err *err)
{
	*ret_have = false;
	for (size_t i = 0; i < postings->count; i++) {
		struct posting *list = &postings->lists[i];
		list->open = false;
		if (seek(list, seq, err) != 0)
			return -1;
		if (list->seq != seq)
			return 0;
	}
	*ret_have = true;
	return 0;
}

int postings_total(struct postings *postings, int64_t *ret_total, bool *ret_capped, struct nel_err *err)
{
	int64_t seq = 0;
	int64_t total = 0;
	postings->most_leaps = DB_TOTAL_LEAPS_MAX;
	do {
		if (postings_next(postings, seq, &seq, err) != 0)
			return -1;
		total += seq != 0;
	} while (seq != 0 && total < DB_TOTAL_MAX);
	*ret_total = total;
	*ret_capped = total >= DB_TOTAL_MAX || postings->given_up;
	return 0;
}

static void add_to_list(struct seq_list *list, int64_t seq, int64_t position)
{
	list->seqs[list->count] = seq;
	list->positions[list->count++] = position;
}

static int list_newest(struct postings *postings, int64_t position, size_t limit, struct seq_list *list,
		       struct nel_err *err)
{
	int64_t seq = position;
	while (list->count < limit) {
		if (postings_next(postings, seq, &seq, err) != 0)
			return -1;
		if (seq == 0)
			break;
		add_to_list(list, seq, seq);
	}
	return 0;
}

static int walk_through(struct query *q, struct postings *postings, size_t limit, struct seq_list *list,
			struct nel_err *err)
{
	int64_t position = 0;
	for (int looks = 0; list->count < limit && query_next(q, err); looks++) {
		bool have = false;
		if (looks == WALK_MAX) {
			list->next = position;
			break;
		}
		int64_t seq = query_int(q);
		position = query_int(q) << POSITION_SEQ_BITS | seq;
		if (postings_have(postings, seq, &have, err) != 0)
			return -1;
		if (have)
			add_to_list(list, seq, position);
	}
	return query_failed(q) ? -1 : 0;
}

int postings_list(struct postings *postings, struct db *db, const struct statement *walk, enum list_sort sort,
		  int64_t position, size_t limit, struct seq_list *ret_list, struct nel_err *err)
{
	ret_list->count = 0;
	ret_list->next = 0;
	if (sort == LIST_NEWEST)
		return list_newest(postings, position, limit, ret_list, err);
	bool from_the_end = sort == LIST_CHANGED && position == 0;
	CLEANUP(query_done) struct query q = query_start(db, walk);
	query_bind_int(&q, from_the_end ? INT64_MAX : position >> POSITION_SEQ_BITS);
	query_bind_int(&q, position & ((1LL << POSITION_SEQ_BITS) - 1));
	return walk_through(&q, postings, limit, ret_list, err);
}

/* Tables looks and orphans: what a look at a cluster found there that the store lacked, because the store was restored
 * from a time before. */
#ifndef NEL_DB_ORPHANS_H
#define NEL_DB_ORPHANS_H

#include "base/ids.h"
#include "db/db.h"

enum orphan_outcome {
	ORPHAN_ADOPTED,
	ORPHAN_GONE,          /* there is no run directory to read it back from */
	ORPHAN_NO_ORIGIN,     /* its run directory does not say what it is of */
	ORPHAN_OTHER_SERVICE, /* what it says is sealed with another master key */
	ORPHAN_UNUSABLE       /* what it says cannot be used: why tells */
};

#define ORPHAN_OUTCOMES (ORPHAN_UNUSABLE + 1)

const char *orphan_outcome_name(enum orphan_outcome outcome);

/* All strings owned. */
struct orphan_row {
	char *cluster;
	char evaluation[IDS_EVALUATION_SIZE];
	char *identity;
	char *rundir;        /* NULL: not known */
	char *slurm_job_ids; /* a JSON array of texts */
	bool live;           /* Slurm has a job of it that has not ended */
	char *user;          /* NULL: not known */
	int64_t since;       /* when it was submitted */
	int64_t found_at;
	enum orphan_outcome outcome;
	char *why; /* NULL: adopted */
};

struct orphan_list {
	struct orphan_row *items;
	size_t count;
};

void orphan_row_done(struct orphan_row *row);
void orphan_list_done(struct orphan_list *list);

/* In place of what is stored of the same evaluation. */
int orphans_put(struct db *db, const struct orphan_row *row, struct nel_err *err);

/* Before what a new look finds: those that were not adopted go, and those adopted before that time. */
int orphans_clear(struct db *db, const char *cluster, const char *identity, int64_t adopted_before_s,
		  struct nel_err *err);

/* By evaluation, `limit` of them behind the first `offset`; user NULL: everybody's, and nobody's. */
int orphans_list(struct db *db, const char *cluster, const char *user, int64_t offset, int limit,
		 struct orphan_list *ret_list, struct nel_err *err);

int orphans_counts(struct db *db, const char *cluster, int64_t ret_counts[ORPHAN_OUTCOMES], struct nel_err *err);

/* When the store was last written, as far as what it holds tells; 1: it holds nothing, and may lack everything.
 * *ret_job_seq: its newest job. */
int looks_newest_write(struct db *db, int64_t *ret_at, int64_t *ret_job_seq, struct nel_err *err);

/* A look is due: *ret_since is from when on the store may lack something; since_s, unless a look before did not come to
 * its end. */
int looks_begin(struct db *db, const char *cluster, const char *identity, int64_t since_s, int64_t *ret_since,
		struct nel_err *err);

/* It came to its end. */
int looks_finish(struct db *db, const char *cluster, const char *identity, int64_t now_s, struct nel_err *err);

/* *ret_at: the earliest of the last looks of its accounts; 0 when one is due, or there was none. */
int looks_last(struct db *db, const char *cluster, int64_t *ret_at, struct nel_err *err);

#endif

/* Table failures: what a person should see of a chain that ended without success, besides its reason. */
#ifndef NEL_DB_FAILURES_H
#define NEL_DB_FAILURES_H

#include "db/db.h"

struct failure_row {
	char *log;    /* the file's name below logs/; NULL: no log tells more */
	char *lines;  /* its last lines; NULL as log */
	char *advice; /* what to try; NULL: nothing is known */
};

void failure_row_done(struct failure_row *row);

/* Replaces what was there. */
int failures_set(struct db *db, int64_t job_seq, const char *log, const char *lines, const char *advice,
		 struct nel_err *err);

/* All NULL when there is none. */
int failures_get(struct db *db, int64_t job_seq, struct failure_row *ret_row, struct nel_err *err);

/* The chain goes on. */
int failures_delete(struct db *db, int64_t job_seq, struct nel_err *err);

#endif

/* Table samples: what a job's samples came to, as one blob (slurm/samples_pack.h). */
#ifndef NEL_DB_SAMPLES_H
#define NEL_DB_SAMPLES_H

#include "db/db.h"

struct samples_row {
	int64_t rows;     /* samples in data; of each filter one */
	int64_t left_out; /* samples beyond samples.keep_rows */
	int64_t spoilt;   /* lines that could not be read */
	int64_t short_;   /* files that were not read to their end */
	char *data;
	size_t data_size;
};

void samples_row_done(struct samples_row *row);

/* Puts these in the place of what the job has. */
int samples_replace(struct db *db, int64_t job_seq, const struct samples_row *row, struct nel_err *err);

/* Takes away what an earlier end has left. */
int samples_remove(struct db *db, int64_t job_seq, struct nel_err *err);

/* NOTFOUND: nothing is stored of the job's samples. */
int samples_get(struct db *db, int64_t job_seq, struct samples_row *ret_row, struct nel_err *err);

#endif

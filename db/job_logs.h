/* Table job_logs: the last bytes of an ended job's logs, kept for when its run directory is gone. */
#ifndef NEL_DB_JOB_LOGS_H
#define NEL_DB_JOB_LOGS_H

#include "db/db.h"

struct job_log_row {
	char *name;          /* as it is shown (slurm/shared_log.h) */
	int64_t size;        /* of the file, when it was read */
	int64_t modified_at; /* UTC */
	int64_t kept_from;   /* the offset of data in the file */
	char *data;          /* NULL in a list */
	size_t data_size;
	bool of_chain; /* of the shared chain's: all of its jobs have it; not set when read */
};

struct job_log_list {
	struct job_log_row *items; /* by name */
	size_t count;
};

void job_log_row_done(struct job_log_row *row);
void job_log_list_done(struct job_log_list *list);

/* Puts these in the place of all that the job has. */
int job_logs_replace(struct db *db, int64_t job_seq, const struct job_log_row *rows, size_t count, struct nel_err *err);

/* Its own, and its chain's, of each the newest. Without their data. */
int job_logs_list(struct db *db, int64_t job_seq, struct job_log_list *ret_list, struct nel_err *err);

/* Likewise. NOTFOUND. */
int job_logs_get(struct db *db, int64_t job_seq, const char *name, struct job_log_row *ret_row, struct nel_err *err);

#endif

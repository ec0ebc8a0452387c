/* Following a log while it grows: plain text, or Server-Sent Events. */
#ifndef NEL_API_V1_LOG_FOLLOW_H
#define NEL_API_V1_LOG_FOLLOW_H

#include "api/http/request.h"
#include "db/attempts.h"
#include "db/jobs.h"

#define LOG_NAME_SIZE 256

/* Where a follower begins. */
struct log_follow_start {
	char name[LOG_NAME_SIZE];    /* the file; "": none yet */
	char pattern[LOG_NAME_SIZE]; /* with "-current"; "": the file alone is followed */
	int64_t offset;
	bool events; /* Server-Sent Events, rather than plain text */
};

/* Is it a name in which "-current" stands for the Slurm id of an attempt? */
bool log_name_is_current(const char *name);

/* The name of an attempt's file. */
void log_name_of(const char *pattern, const char *slurm_job_id, char ret_name[LOG_NAME_SIZE]);

/* Makes the reply. */
int log_follow_reply(struct request *request, const struct job_row *job, const struct log_follow_start *start,
		     struct nel_err *err);

#endif

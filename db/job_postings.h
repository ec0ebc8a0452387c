/* Internal to db/: jobs by what lists of jobs and of scores are both filtered by; for postings_add_text(). */
#ifndef NEL_DB_JOB_POSTINGS_H
#define NEL_DB_JOB_POSTINGS_H

#include "db/statement.h"

extern struct statement job_postings_state;
extern struct statement job_postings_evaluation;
extern struct statement job_postings_user;
extern struct statement job_postings_cluster;

#endif

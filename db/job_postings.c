#include "db/job_postings.h"

struct statement job_postings_state = {
    .sql = "SELECT seq FROM jobs INDEXED BY jobs_state WHERE state = ?1 AND seq <= ?2 ORDER BY seq DESC",
};
struct statement job_postings_evaluation = {
    .sql = "SELECT seq FROM jobs INDEXED BY jobs_evaluation WHERE evaluation = ?1 AND seq <= ?2 ORDER BY seq DESC",
};
struct statement job_postings_user = {
    .sql = "SELECT seq FROM jobs INDEXED BY jobs_user WHERE user = ?1 AND seq <= ?2 ORDER BY seq DESC",
};
struct statement job_postings_cluster = {
    .sql = "SELECT seq FROM jobs INDEXED BY jobs_cluster WHERE cluster = ?1 AND seq <= ?2 ORDER BY seq DESC",
};

struct statement *const job_postings_statements[] = {&job_postings_state, &job_postings_evaluation, &job_postings_user,
						     &job_postings_cluster, NULL};

/* What a checked plan comes to: the files of its jobs, shown, hashed, written, or asked a cluster about. Any thread. */
#ifndef NEL_SERVICE_PLANNED_FILES_H
#define NEL_SERVICE_PLANNED_FILES_H

#include "service/planned.h"

#define PLANNED_PLACEHOLDER "<redacted>"
#define PLANNED_SHOWN_MAX (4 * 1024 * 1024) /* bytes of files in the reply to a dry run: some 50 plain tasks */

/* The document of a dry run (see service_plan()); evaluation is the id that its names show. Once the files shown come
 * to shown_max bytes, those of further jobs are null, which a warning tells. */
int planned_describe(const struct planned *planned, const char *evaluation, int64_t now_s, size_t shown_max,
		     json_t **ret_document, struct nel_err *err);

struct check_question; /* slurm/check.h */

/* Equal where the same would run, by whatever id and whenever: the jobs' scripts and evaluator configs (but for the
 * config that is told in them), the model and the cluster. */
int planned_run_hash(const struct planned *planned, char ret_hash[SECRET_HASH_SIZE], struct nel_err *err);

/* What a cluster is asked about the plan, which has one. */
int planned_question(const struct planned *planned, struct db *db, const char *evaluation, int64_t now_s,
		     struct check_question **ret_question, struct nel_err *err);

/* Writes the job directories below `dir`, which stands for the run directory on the cluster. Secrets are the request's
 * env; missing ones stand as PLANNED_PLACEHOLDER. */
int planned_write(const struct planned *planned, const struct submit_request *request, const char *evaluation,
		  const char *dir, struct nel_err *err);

#endif

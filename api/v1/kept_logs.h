/* What is kept of an ended job's logs, served when the cluster cannot show them any more: its run directory is gone, or
 * the cluster is out of reach. HTTP threads. */
#ifndef NEL_API_V1_KEPT_LOGS_H
#define NEL_API_V1_KEPT_LOGS_H

#include "api/http/page.h"
#include "api/http/range.h"
#include "api/http/request.h"
#include "db/job_logs.h"
#include "db/jobs.h"

/* Is there something to fall back to? 1: yes, and the reply is made (or -1, *err: that failed); 0: the job has not
 * ended or nothing of it is kept, and nothing was done. */
int kept_logs_list(struct request *request, const struct job_row *job, const struct page *page, struct nel_err *err);

/* The same for the content of one: of the whole file, of a range of it, or (tail_lines > 0) its last lines. The header
 * Nel-Kept-From says where in the file the first byte that is kept stands. A range before that is 416. */
int kept_logs_content(struct request *request, const struct job_row *job, const char *name, const struct range *range,
		      int64_t tail_lines, struct nel_err *err);

/* The offset in the file of the last `lines` lines that are kept. */
int64_t kept_logs_tail(const struct job_log_row *row, int64_t lines);

/* Finds one in the store; false when there is none. */
bool kept_logs_find(struct db *db, const struct job_row *job, const char *name, struct job_log_row *ret_row);

#endif

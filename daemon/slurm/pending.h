/* Why Slurm lets a job wait (squeue(1), JOB REASON CODES; https://slurm.schedmd.com/job_reason_codes.html), in words
 * for a person. Pure. */
#ifndef NEL_SLURM_PENDING_H
#define NEL_SLURM_PENDING_H

#include <stddef.h>
#include <stdint.h>

/* What the reason means and, when somebody must do something, what; NULL when it is not known here. Reasons with
 * further words ("ReqNodeNotAvail, UnavailableNodes:n1") are known by their first. Static. */
const char *pending_words(const char *reason);

/* One line: "Slurm: Resources: what the job asks for is in use; it may start at 2026-01-01T00:00:00Z". reason "" or
 * "None": Slurm has not said. start_estimate: UTC, 0 none. Cut to size - 1 bytes. */
void pending_describe(const char *reason, int64_t start_estimate, char *ret_line, size_t size);

/* Has Slurm's estimate moved so far that people should hear of it? By more than a minute and by more than a tenth of
 * the time until then. now_s, before and after: UTC; 0 is none. */
int pending_estimate_moved(int64_t before, int64_t after, int64_t now_s);

#endif

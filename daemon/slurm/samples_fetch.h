/* The files of samples that an ended job left on its cluster: read in one command, as they come. Lane threads. */
#ifndef NEL_SLURM_SAMPLES_FETCH_H
#define NEL_SLURM_SAMPLES_FETCH_H

#include "base/err.h"
#include "slurm/samples.h"
#include "ssh/pool.h"

#define SAMPLES_FILES_MAX 4096
#define SAMPLES_BYTES_MAX (1024 * 1024 * 1024) /* of all files; a file is read up to here */

/* Finds and reads them. REMOTE when the answer is none, is cut off or damaged. ret_short: files that were not read, or
 * not to their end, for these two limits. No files: nothing in ret_samples. */
int samples_fetch(struct ssh_pool *pool, const char *job_dir, size_t keep_rows, int64_t timeout_ms,
		  struct samples *ret_samples, size_t *ret_short, struct nel_err *err);

#endif

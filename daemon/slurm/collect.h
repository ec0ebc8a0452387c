/* The end of a chain on the cluster: reads the scores and the last lines of the log, removes the secrets. Lane threads.
 */
#ifndef NEL_SLURM_COLLECT_H
#define NEL_SLURM_COLLECT_H

#include "base/err.h"
#include "ssh/pool.h"

#include <stdint.h>

#define COLLECT_RESULTS_MAX (4 * 1024 * 1024)
#define COLLECT_SCORES_MAX 10000 /* further ones are dropped */

struct score {
	char *task; /* as results.yml names it */
	bool group; /* it stands under results.groups */
	char *metric;
	char *score;
	double value;
	double stderr_; /* NAN unknown */
	int64_t count;  /* samples; -1 unknown */
};

struct scores {
	struct score *items;
	size_t count;
};

void scores_done(struct scores *scores);

/* Parses results.yml (INVALID when it is not YAML or has no results; entries without a numeric value are left out;
 * `results: {tasks|groups: {NAME: {metrics: {M: {scores: {S: {value, stats: {stderr,
 * count}}}}}}}}`). */
int scores_parse(const char *text, size_t size, struct scores *ret_scores, struct nel_err *err);

struct collect_reply {
	char *results; /* text of artifacts/results.yml; NULL when there is none or it is larger than
			  COLLECT_RESULTS_MAX */
	size_t results_size;
	int64_t progress; /* -1 unknown */
	char *log_tail;   /* the last lines (4 KiB) of the newest client log or, when there is none, of the server or
			     Slurm log; "" */
	char *log_name;   /* which one; "" */
};

void collect_reply_done(struct collect_reply *reply);

/* One remote command: reads, then removes <job_dir>/.secrets.env. A directory that is gone gives an empty reply. The
 * log is that of the attempt with this Slurm id; NULL: of any. */
int slurm_collect(struct ssh_pool *pool, const char *job_dir, const char *slurm_job_id, int64_t timeout_ms,
		  struct collect_reply *ret_reply, struct nel_err *err);

/* The last line of a log's end that tells something: not what srun and slurmstepd say of every failed step, and of what
 * Pyxis says the error itself. Without control characters, at most size - 1 bytes; "" when there is none. */
void collect_telling_line(const char *log_tail, char *ret_line, size_t size);

/* Reads the answer of remote_collect.sh. Pure. Errors as the script's, REMOTE when it is cut off. */
int collect_parse(const char *text, size_t size, struct collect_reply *ret_reply, struct nel_err *err);

#endif

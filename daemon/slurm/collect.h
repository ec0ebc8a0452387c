/* The end of a chain on the cluster: reads the scores and the last lines of the log, removes the secrets. Lane threads.
 */
#ifndef NEL_SLURM_COLLECT_H
#define NEL_SLURM_COLLECT_H

#include "base/err.h"
#include "base/mask.h"
#include "ssh/pool.h"

#include <stdint.h>

#define COLLECT_RESULTS_MAX (4 * 1024 * 1024)
#define COLLECT_CONVERSION "conversion" /* in place of a hash: it was one, and leaves no scores */
#define COLLECT_HASH_SIZE 65            /* hexadecimal digits of a SHA-256 */
#define COLLECT_DESTINATIONS_MAX 64
#define COLLECT_LOGS_MAX 64
#define COLLECT_KEPT_MAX (8 * 1024 * 1024)

/* What a look at a job's export found. */
enum collect_export_kind {
	COLLECT_EXPORT_NONE,
	COLLECT_EXPORT_REFUSED, /* by Slurm: text says why */
	COLLECT_EXPORT_PENDING,
	COLLECT_EXPORT_RUNNING,
	COLLECT_EXPORT_UNSEEN, /* Slurm could not be asked */
	COLLECT_EXPORT_GONE,   /* it left no exit code; text is its state in Slurm, "" when Slurm does not know it */
	COLLECT_EXPORT_ENDED
};

struct collect_destination {
	char *name;
	int exit_code;
};

struct collect_export {
	enum collect_export_kind kind;
	char slurm_job_id[24]; /* "" when it has none */
	char text[404];
	int exit_code;                            /* of an ended one */
	struct collect_destination *destinations; /* those that it has been through */
	size_t destination_count;
};

/* What is to be done with an export that has not ended. */
enum collect_export_request {
	COLLECT_EXPORT_FOLLOW,
	COLLECT_EXPORT_CANCEL, /* its job has not succeeded */
	COLLECT_EXPORT_DROP    /* its secrets are removed, and nobody looks again */
};

/* The last bytes of a log, to be kept. */
struct collect_log {
	char *name;
	int64_t size; /* of the file */
	int64_t modified_at;
	int64_t from; /* the offset of data in it */
	char *data;
	size_t data_size;
	bool of_chain; /* not the job's, but of the chain that it shares: set by who collects both */
};

struct collect_order {
	const char *job_dir;
	const char *chain_dir; /* of a job of a shared chain: shared.<k>, where the seal of its scores is; else NULL.
				  The chain's own directory is collected as a job's, with this NULL: that removes the
				  secrets of its servers, and log_tail says why it gave up */
	int64_t keep_bytes;    /* of each log, its last ones, but COLLECT_KEPT_MAX in all; 0: of none */
	int attempt;           /* whose seal of the scores is read; of a shared chain's job, job_sighting.end_attempt */
	const char *slurm_job_id; /* the log is that of this attempt; NULL: of any */
	enum collect_export_request wanted;
	const char *const *checkpoints; /* whose fingerprint is taken; NULL-terminated, or NULL */
	bool export_only;               /* the rest was read before */
};

struct collect_reply {
	char *results; /* text of artifacts/results.yml; NULL when there is none or it is larger than
			  COLLECT_RESULTS_MAX */
	size_t results_size;
	bool results_too_large;
	char results_hash[COLLECT_HASH_SIZE]; /* SHA-256 of the file; "changing" while it is written; "" when there is
						 none */
	char sealed_hash[COLLECT_HASH_SIZE];  /* of what the finished evaluation left; "none"; COLLECT_CONVERSION; ""
						 when it has not said */
	char fingerprint[COLLECT_HASH_SIZE];  /* of the checkpoints, as struct submit_result has it; "": not known */
	bool results_older;                   /* than the attempt: an earlier one left it */
	bool has_samples;                     /* files that samples_fetch() reads */
	int64_t progress;                     /* -1 unknown */
	char *log_tail; /* the last lines (4 KiB) of the newest client log or, when there is none, of the server or
			   Slurm log; "" */
	char *log_name; /* which one; "" */
	struct collect_export export_;
	struct collect_log *kept; /* the newest first */
	size_t kept_count;
};

void collect_reply_done(struct collect_reply *reply);

/* Takes secrets out of all texts of the job's but `results`, whose scores scores_mask() masks. Logs keep their sizes.
 */
void collect_reply_mask(struct collect_reply *reply, const struct mask *mask);

/* One remote command: reads, then removes <job_dir>/.secrets.env, and .export.env when no export needs it any more. A
 * directory that is gone gives an empty reply. */
int slurm_collect(struct ssh_pool *pool, const struct collect_order *order, int64_t timeout_ms,
		  struct collect_reply *ret_reply, struct nel_err *err);

/* The last line of a log's end that tells something: not what srun and slurmstepd say of every failed step, and of what
 * Pyxis says the error itself. Without control characters, at most size - 1 bytes; "" when there is none. */
void collect_telling_line(const char *log_tail, char *ret_line, size_t size);

/* Reads the answer of remote_collect.sh. Pure. Errors as the script's, REMOTE when it is cut off. */
int collect_parse(const char *text, size_t size, struct collect_reply *ret_reply, struct nel_err *err);

#endif

/* The files of a run directory: what a submission puts on the cluster. Pure but for memory. */
#ifndef NEL_SLURM_RUNDIR_H
#define NEL_SLURM_RUNDIR_H

#include "slurm/script.h"

#include <sys/types.h>

struct rundir_file {
	char *path; /* relative to the run directory: "mmlu.0/run.sub"; a directory ends in '/' */
	char *data;
	size_t size;
	mode_t mode;
	bool secret; /* data is wiped when freed, and never shown */
};

/* A zeroed struct is empty. */
struct rundir_files {
	struct rundir_file *items;
	size_t count;
};

void rundir_files_done(struct rundir_files *files);

/* The value of a secret (host: variables); NULL when there is none. The value is borrowed. */
typedef const char *(*secret_lookup)(const char *name, void *arg);

struct rundir_input {
	const struct eval_plan *plan;
	const char *evaluation;
	const char *rundir;                 /* absolute, on the cluster */
	const struct attempt_order *orders; /* the attempts to send; a job in none has no files */
	size_t order_count;
	bool shared;                         /* struct submit_package */
	const char *const *used_output_dirs; /* of everybody's evaluations there; NULL-terminated */
	const char *const *checkpoints;      /* struct submit_package */
	secret_lookup secret;
	void *secret_arg;
	/* What the evaluation is, and its secrets, both sealed: for a store that has lost it (sched/origin.h). NULL:
	 * not wanted, or none. */
	const unsigned char *origin;
	size_t origin_size;
	const unsigned char *sealed_env;
	size_t sealed_env_size;
};

/* Every file: per job run.sub 0700, config_ef.yaml and .secrets.env 0600, logs/ and artifacts/ 0700, and for an export
 * artifacts/export_config.yml and artifacts/config.yml, which the launcher's exporters read. (run.sub itself writes the
 * proxies' configurations: the nodes' addresses are known only there.) Where people share the account, .output_dirs
 * 0600 has what must not be mounted (script/run_body/09_mounts.sh). .origin and per job .secrets.sealed, 0600. INVALID
 * when secrets are missing (naming all). Of an order with a share_order, run.sub, logs/, artifacts/ and .secrets.env
 * (the servers' alone) are in shared.<k>/, and each job's directory has the rest, with its own secrets in .secrets.env.
 */
int rundir_build(const struct rundir_input *in, struct rundir_files *ret_files, struct nel_err *err);

/* The files as an uncompressed tar (pax) stream, made with libarchive; *ret_data is the caller's (secret_free(), it may
 * hold secrets). */
int rundir_tar(const struct rundir_files *files, char **ret_data, size_t *ret_size, struct nel_err *err);

/* The text of .secrets.env as a dry run shows it: every value is <redacted>; free() it. */
char *rundir_secrets_redacted(const struct eval_plan *plan, const struct plan_job *job);

#endif

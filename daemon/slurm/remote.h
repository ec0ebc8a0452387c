/* The one way to run a remote script: a fixed bash script from slurm/script/, preceded by shell-quoted data, sent on
 * standard input to a command that holds nothing of a user's, that every login shell understands, and that runs the
 * script only when it has arrived whole. Lane threads. */
#ifndef NEL_SLURM_REMOTE_H
#define NEL_SLURM_REMOTE_H

#include "base/str.h"
#include "slurm/records.h"
#include "ssh/pool.h"

#define REMOTE_COMMAND_SIZE 1024

struct remote_call {
	const char *script;          /* "submit" for remote_submit.sh */
	bool asks_mounts;            /* it needs run_body/09_mounts.sh */
	bool takes_fingerprint;      /* it needs remote_fingerprint.sh */
	bool chooses_walltime;       /* it needs remote_walltime.sh */
	bool looks_into_directories; /* it needs remote_directories.sh */
	const char *data;    /* assignments of upper-case NEL_ variables, made with the functions below; NULL: none */
	const void *payload; /* what the script reads from standard input; may hold secrets */
	size_t payload_size;
	size_t output_max;
	int64_t timeout_ms; /* 0: none, for what is rendered only */
	/* Takes each record of the answer as it comes, and then the result has none; NULL: the answer is kept. */
	void (*on_record)(struct record *record, void *arg);
	void *arg;
	size_t *ret_output_size; /* set to what the command wrote; NULL: not wanted */
	bool *ret_sent;          /* set to whether the command may have begun on the cluster; NULL: not wanted */
};

/* Runs it. 0: the script's answer, which begins with "nel|begin|1", is in *ret_result. -1: as ssh_pool_exec(), or
 * REMOTE when there is no answer: the message then has what came instead. */
int remote_run(struct ssh_pool *pool, const struct remote_call *call, struct ssh_result *ret_result,
	       struct nel_err *err);

/* Appends "NAME=<quoted value>\n", "NAME=<number>\n". */
void remote_set(struct str *data, const char *name, const char *value);
void remote_set_number(struct str *data, const char *name, int64_t value);
/* Begins, extends and ends "NAME=(<quoted> <quoted>)\n". */
void remote_array_begin(struct str *data, const char *name);
void remote_array_add(struct str *data, const char *value);
void remote_array_end(struct str *data);

/* The whole standard input for a call, its first part being script_size bytes of script, and the command for it. Freed
 * with secret_free(). For tests and remote_run(). */
void remote_render(const struct remote_call *call, const char *const *environment,
		   char ret_command[REMOTE_COMMAND_SIZE], char **ret_input, size_t *ret_size);

#endif

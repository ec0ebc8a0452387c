/* What there is of the service's on a cluster, whether or not the store knows of it: its Slurm jobs and run
 * directories, and what a run directory says of itself. Lane threads; the parsing is pure. */
#ifndef NEL_SLURM_LOOK_H
#define NEL_SLURM_LOOK_H

#include "base/err.h"
#include "base/ids.h"
#include "ssh/pool.h"

#include <stdbool.h>
#include <stdint.h>

/* A Slurm job under a name as script_job_name() makes it. */
struct look_job {
	char evaluation[IDS_EVALUATION_SIZE];
	int index;   /* of the job */
	int attempt; /* its number */
	char id[24];
	char state[24];
	bool live;         /* squeue has it, and it has not ended */
	int64_t submitted; /* UTC; 0 unknown */
	char *name;
	char *rundir;
};

struct look_reply {
	struct look_job *jobs;
	size_t job_count;
	char **rundirs; /* made since the time asked for */
	size_t rundir_count;
	bool partial;      /* something is missing: Slurm's accounting, a directory, what is beyond a bound */
	char message[512]; /* what, and why */
};

struct look_order {
	const char *const *output_dirs; /* NULL-terminated */
	int64_t since_s;
	int64_t now_s;
	bool use_sacct;
};

void look_reply_done(struct look_reply *reply);

/* -1: as ssh_pool_exec(), REMOTE when squeue does not answer. */
int slurm_look(struct ssh_pool *pool, const struct look_order *order, int64_t timeout_ms, struct look_reply *ret_reply,
	       struct nel_err *err);
int look_parse(const char *text, size_t size, struct look_reply *ret_reply, struct nel_err *err);

/* The evaluation that a run directory's name tells of; false when it is none of ours. */
bool look_rundir_id(const char *rundir, char ret_evaluation[IDS_EVALUATION_SIZE]);
/* When it was submitted, by the same name; 0: it does not tell. */
int64_t look_rundir_time(const char *rundir);

#define ORIGINS_MAX 32 /* run directories in one command */

enum origin_state {
	ORIGIN_OK,
	ORIGIN_BUSY, /* a submission is at work there */
	ORIGIN_GONE, /* there is no such directory */
	ORIGIN_OTHER /* it is not one that a submission of the account's has made */
};

struct origin_attempt {
	char *folder; /* of the job, below the run directory: "mmlu.0" */
	int number;
	char id[24]; /* "" unknown */
	int64_t submitted;
	bool begun;           /* its script has */
	int64_t time_limit_s; /* that was chosen for it (execution.walltime: auto); 0: its script has it */
};

/* What the newest run.sub says. */
struct origin_budget {
	char *folder;
	int attempt;
	int64_t left_s; /* for that attempt; -1 not said, or no limit */
	int from;       /* the first attempt that counts; 0 not said */
};

struct origin {
	enum origin_state state;
	unsigned char *sealed; /* .origin; NULL: there is none */
	size_t sealed_size;
	unsigned char *sealed_env; /* .secrets.sealed, likewise */
	size_t sealed_env_size;
	struct origin_attempt *attempts;
	size_t attempt_count;
	struct origin_budget *budgets;
	size_t budget_count;
};

struct origins {
	struct origin *items; /* one per run directory, in that order */
	size_t count;
};

void origins_done(struct origins *origins);

/* At most ORIGINS_MAX of them. -1: as ssh_pool_exec(); an answer that is too large is REMOTE, and never that of one. */
int slurm_origins(struct ssh_pool *pool, const char *const *rundirs, size_t count, int64_t timeout_ms,
		  struct origins *ret_origins, struct nel_err *err);
int origins_parse(const char *text, size_t size, size_t count, struct origins *ret_origins, struct nel_err *err);

#endif

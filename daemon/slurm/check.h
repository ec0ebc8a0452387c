/* What only the cluster knows of a planned submission: is what it needs there, would Slurm take its jobs, and when
 * would they start? One remote command asks; nothing is submitted and nothing is left behind. */
#ifndef NEL_SLURM_CHECK_H
#define NEL_SLURM_CHECK_H

#include "config/settings/settings.h"
#include "slurm/script.h"
#include "ssh/pool.h"

#include <stdint.h>

/* Jobs whose run.sub is tried; the others of an evaluation ask Slurm for the same. */
#define CHECK_SCRIPTS_MAX 50

enum check_kind {
	CHECK_LOGIN,
	CHECK_ACCOUNT,
	CHECK_PARTITION,
	CHECK_OUTPUT_DIR,
	CHECK_PATH,
	CHECK_SBATCH,
	/* Of a preflight. */
	CHECK_SLURMCTLD,
	CHECK_VERSION, /* of sbatch */
	CHECK_ACCOUNTING,
	CHECK_PYXIS,
	CHECK_APPTAINER, /* in place of CHECK_PYXIS */
	CHECK_CURL,
	CHECK_CLOCK
};

enum check_verdict { CHECK_GOOD, CHECK_BAD, CHECK_UNKNOWN /* it could not be found out, or is not asked */ };

struct check_result {
	enum check_kind kind;
	enum check_verdict verdict;
	bool silent;   /* it is bad since Slurm does not answer, which may pass */
	char *message; /* one line that names what was looked at */
	int64_t clock; /* of CHECK_CLOCK: the time there, UTC */
};

struct check_reply {
	struct check_result *items; /* in the order of the questions */
	size_t count;
	int64_t start_estimate; /* UTC; when the first of the jobs would start; 0: not known */
};

void check_reply_done(struct check_reply *reply);

/* "login", "path", ... */
const char *check_kind_name(enum check_kind kind);

/* All borrowed. */
struct check_input {
	const struct eval_plan *plan;
	const char *evaluation;
	const char *rundir;
	const struct attempt_order *orders; /* the first attempt of every job, in the order of the jobs */
	size_t order_count;
	bool shared;                         /* struct submit_package */
	const char *const *used_output_dirs; /* struct rundir_input */
	bool has_accounts;                   /* false: the settings say that the cluster keeps no accounting */
};

/* Everything that is asked about a plan, as text of its own: it needs the plan no more, and goes to any thread. */
struct check_question;

/* Any thread. INVALID as script_render_header(), or a path or name that no answer could hold. */
int check_question_new(const struct check_input *in, struct check_question **ret_question, struct nel_err *err);
void check_question_free(struct check_question *question); /* accepts NULL */
DEFINE_FREEP(struct check_question, check_question, check_question_free)

/* What a person can do about a check that is not good; one line. */
const char *check_hint(enum check_kind kind);

#define CHECK_CLOCK_MAX_S 60 /* clocks may differ by so much */

/* All borrowed. */
struct preflight_input {
	enum accounting_mode accounting;
	enum containers containers;
	const char *account;            /* NULL: any */
	const char *partition;          /* for the job; NULL: the default one */
	const char *const *output_dirs; /* NULL-terminated */
	bool job;                       /* look at a compute node by a job of a moment */
};

/* Does the cluster have what all submissions need? INVALID as check_question_new(). */
int check_preflight_new(const struct preflight_input *in, struct check_question **ret_question, struct nel_err *err);

/* Does the account get in? */
struct check_question *check_login_new(void);

/* Asks. Lane threads. -1: as ssh_pool_exec(), or REMOTE when the answer cannot be read; then nothing is known. */
int slurm_check(struct ssh_pool *pool, const struct check_question *question, int64_t timeout_ms,
		struct check_reply *ret_reply, struct nel_err *err);

/* Reads the answer of remote_check.sh. Pure. Errors as the script's, REMOTE when it is cut off or lacks an answer. */
int check_parse(const struct check_question *question, const char *text, size_t size, struct check_reply *ret_reply,
		struct nel_err *err);

#endif

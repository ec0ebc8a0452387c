/* From a submitted text to a checked plan on a cluster of the settings: what submission, dry run and the offline render
 * share. Any thread. */
#ifndef NEL_SERVICE_PLANNED_H
#define NEL_SERVICE_PLANNED_H

#include "config/plan/catalogue.h"
#include "config/plan/eval_plan.h"
#include "config/text/problem.h"
#include "db/identities.h"
#include "service/submit_request.h"

#define PLANNED_PLACEHOLDER "<redacted>"
/* Bytes of all jobs' run.sub without their bodies; 1,000 with a model server and two auxiliaries have 4.5 MB. */
#define PLANNED_SCRIPTS_MAX (8 * 1024 * 1024)
#define PLANNED_SHOWN_MAX (4 * 1024 * 1024) /* bytes of files in the reply to a dry run: some 50 plain tasks */

struct planned_input {
	const struct settings *settings;
	const struct catalogue *catalogue;
	const struct submit_request *request;
	const struct secret_names *stored;      /* service/secrets.h; NULL: none */
	const struct identity_list *identities; /* the person's; NULL: none */
	struct db *db;                          /* knows of other evaluations; NULL only offline */
	bool offline; /* a render: the host need not be one of the settings', and secrets may be missing */
	int64_t now_s;
};

/* One of the clusters that execution.cluster leaves open. */
struct planned_candidate {
	char *cluster;                     /* its name */
	char identity[IDENTITY_NAME_SIZE]; /* who the jobs would be there */
	struct eval_plan *plan;            /* NULL: it cannot be this one; the first is planned's own */
	char *why;                         /* then */
};

struct planned {
	struct eval_plan *plan;
	const struct settings_cluster *cluster; /* NULL only offline */
	char identity[IDENTITY_NAME_SIZE];      /* who the jobs are on the cluster; "" only offline */
	struct problems warnings;
	/* Where the cluster is left open: all that it may be, in the order of the config. The above is of the first
	 * that it can be, whose plan is here. 0: the config names one. */
	struct planned_candidate *candidates;
	size_t candidate_count;
};

void planned_done(struct planned *planned);

/* -1: INVALID with every problem in `errors`; ret_planned has the warnings then, and no plan. */
int planned_make(const struct planned_input *in, struct planned *ret_planned, struct problems *errors,
		 struct nel_err *err);

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

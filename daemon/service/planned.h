/* From a submitted text to a checked plan on a cluster of the settings: what submission, dry run and the offline render
 * share. Any thread. */
#ifndef NEL_SERVICE_PLANNED_H
#define NEL_SERVICE_PLANNED_H

#include "config/plan/catalogue.h"
#include "config/plan/eval_plan.h"
#include "config/text/problem.h"
#include "db/identities.h"
#include "service/submit_request.h"

/* Bytes of all jobs' run.sub without their bodies; 1,000 with a model server and two auxiliaries have 4.5 MB. */
#define PLANNED_SCRIPTS_MAX (8 * 1024 * 1024)

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

#endif

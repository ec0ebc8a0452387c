/* An evaluation config from text to a checked plan (eval_plan.h): the pipeline (parse, compose, interpolate, fill in,
 * check). */
#ifndef NEL_CONFIG_PLAN_EVAL_CONFIG_H
#define NEL_CONFIG_PLAN_EVAL_CONFIG_H

#include "base/err.h"
#include "config/plan/catalogue.h"
#include "config/plan/eval_plan.h"
#include "config/text/problem.h"
#include "config/text/source_map.h"

#include <stdbool.h>
#include <stdint.h>

/* What the pipeline needs besides the text; all borrowed. */
struct eval_input {
	const char *text; /* YAML or JSON */
	size_t size;
	bool json; /* demand strict JSON */
	const char *const *overrides;
	size_t override_count;
	const char *const *tasks; /* only these, by task_names.h's rules; none given: all */
	size_t task_count;
	const char *groups_dir; /* or NULL */
	const struct catalogue *catalogue;
	const char *const *allowed_env; /* for ${oc.env:...}; NULL: only USER */
	/* Gives the cluster account for an execution block's hostname and cluster (either may be NULL), as
	 * ${oc.env:USER}; NULL when unknown. It is asked before interpolation. */
	const char *(*username_for)(const char *hostname, const char *cluster, void *arg);
	void *username_arg;
	/* Likewise the directory that ${site:NAME} stands for there; NULL with *err when there is none. NULL: such
	 * names are not known. */
	const char *(*site_path_for)(const char *hostname, const char *cluster, const char *name, void *arg,
				     struct nel_err *err);
	void *site_arg;
	const char *place; /* the cluster (a name of the settings) where execution.cluster leaves it open; NULL: none */
	int64_t now_s;
	bool allow_commands;       /* pre_cmd and post_cmd are permitted */
	bool allow_unlisted_tasks; /* tasks outside the catalogue are permitted */
	bool need_hostname;        /* hostname (or cluster) is mandatory: false for an offline render */
	bool strict;               /* warnings about unknown keys are errors */
	/* Plan not the evaluation, but the conversion of this checkpoint for it, as plan_convert_config() has it; NULL:
	 * the evaluation. */
	const json_t *convert;
	const char *checkpoint;
};

/* The whole pipeline. 0: *ret_plan is the caller's, `warnings` may have entries. Where execution.cluster is a list of
 * names, or "any", and no place is given, the plan has open_clusters and nothing else: to be asked for again for each
 * of them. -1: INVALID; `errors` has them all.
 * Then, too, *ret_plan is a plan when the config could be composed: for further checks only, and with NULL for what it
 * lacks. ret_map (or NULL): the places of the text's parts, the caller's. */
int eval_config_plan(const struct eval_input *in, struct eval_plan **ret_plan, struct source_map **ret_map,
		     struct problems *errors, struct problems *warnings, struct nel_err *err);

/* The plan of a resolved config that eval_config_plan() made before (stored by the service). Deterministic: no
 * catalogue, no clock. The plan shares resolved: the caller may drop it, not change it. */
int eval_config_replan(const json_t *resolved, struct eval_plan **ret_plan, struct nel_err *err);

/* The JSON pointer of the first variable of the config that wants the secret; "" when there is none. */
char *eval_plan_secret_place(const struct eval_plan *plan, const char *name);

#endif

/* Which scores are of the same thing, and which evaluations are alike. Pure.
 *
 * A score has a subject, what was evaluated beside the model's name, and a protocol, how. Both are sets of named parts,
 * kept as readable JSON; a part of more than LIKENESS_PART_MAX bytes is kept as its hash. Two scores may be compared
 * without a word when all parts are equal.
 *
 * Subject: `checkpoint` (checkpoint_path or hf_model_handle), `endpoint` (a URL that the deployment is not) and
 * `server` (type, image, command, pre_cmd, variables, mounts of the deployment). Protocol: `harness` (the evaluator's
 * config.type), `image` (the task's container), `params` and its `params_hash`, `request` (the rest of the evaluator's
 * config: endpoint type, adapter), `judges` (the auxiliary deployments), `commands` (pre_cmd, post_cmd), `environment`
 * and `mounts` of the task.
 *
 * What does not count: where and how fast it runs (cluster, account, directories, nodes, walltime, ports, how a server
 * is spread over GPUs, `parallelism`, `request_timeout`, `max_retries`), mounts over caches (a component `cache` or
 * `.cache` in the target), export, labels, who asks, the order of tasks, by which overrides or groups the config came
 * to be, and the names and values of secrets. But a secret that a command or the evaluator's config refers to ($NAME)
 * is part of what is asked: its value counts, by a fingerprint. */
#ifndef NEL_CONFIG_PLAN_LIKENESS_H
#define NEL_CONFIG_PLAN_LIKENESS_H

#include "base/secret.h"
#include "config/plan/eval_plan.h"

#define LIKENESS_PART_MAX 2048

struct likeness_side {
	char hash[SECRET_HASH_SIZE];
	char *parts; /* a JSON object */
};

struct likeness_job {
	struct likeness_side subject;
	struct likeness_side protocol;
};

struct likeness {
	char hash[SECRET_HASH_SIZE]; /* of the evaluation: equal when the jobs are, in whatever order */
	struct likeness_job *jobs;   /* in the plan's order */
	size_t count;
};

/* secret gives what stands for a secret's value by its name; NULL: unknown. */
void likeness_make(const struct eval_plan *plan, const char *(*secret)(const char *name, void *arg), void *arg,
		   struct likeness *ret_likeness);
void likeness_done(struct likeness *likeness);

/* The images that the plan's containers are made from, each once: the deployment's, the auxiliaries', the tasks'. A new
 * reference to an array of strings. */
json_t *likeness_images(const struct eval_plan *plan);

#endif

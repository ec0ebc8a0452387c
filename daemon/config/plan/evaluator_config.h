/* What the evaluation container reads: config_ef.yaml. */
#ifndef NEL_CONFIG_PLAN_EVALUATOR_CONFIG_H
#define NEL_CONFIG_PLAN_EVALUATOR_CONFIG_H

#include "config/plan/plan_parts.h"

/* Where a task finds the deployment, which other URLs do not begin with; the port follows. */
#define EVALUATOR_CONFIG_HERE "http://127.0.0.1:"

/* Bytes that all jobs' config_ef.yaml may take together: each holds the whole resolved config. */
#define EVALUATOR_CONFIGS_MAX (128 * 1024 * 1024)

/* A new reference: the global nemo_evaluator_config with references to auxiliary deployments resolved. Never NULL;
 * problems go to the reader. */
json_t *evaluator_config_global(const struct plan_ctx *ctx);

/* A new object: the global config with the task's nemo_evaluator_config merged over it, resolved likewise, and what the
 * launcher fills in (each only if absent). `base` is the task's place. Never NULL; problems go to the reader. Its parts
 * are shared with global, task, and the resolved config: not to be changed. */
json_t *evaluator_config_build(const struct plan_ctx *ctx, const json_t *global, const json_t *task, const char *base,
			       const struct plan_job *job);

/* A member of the merged config by its path, NULL when absent: whether global or task gives it already. Borrowed from
 * either. */
const json_t *evaluator_config_given(const json_t *evaluation, const json_t *task, const char *const *path);

#endif

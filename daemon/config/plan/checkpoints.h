/* The checkpoints that a plan's servers load: what a score is of, as far as files on the cluster tell. Pure. */
#ifndef NEL_CONFIG_PLAN_CHECKPOINTS_H
#define NEL_CONFIG_PLAN_CHECKPOINTS_H

#include "config/plan/eval_plan.h"

/* The checkpoint_path of the deployment and of each auxiliary deployment: a new reference to an array of absolute
 * paths. NULL: some server's model is not known by its files (a hf_model_handle alone, an image that brings the model),
 * or is not one of the plan's at all (a URL); *ret_pointer then says where in the config, and *ret_why, as the end of a
 * sentence. */
json_t *plan_checkpoints(const struct eval_plan *plan, const char **ret_pointer, const char **ret_why);

#endif

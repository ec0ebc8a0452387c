/* Which evaluations are alike: the hash of what decides their scores. Pure. */
#ifndef NEL_SERVICE_LIKENESS_H
#define NEL_SERVICE_LIKENESS_H

#include "base/secret.h"
#include "config/eval_config.h"

/* The images that the plan's containers are made from, each once: the deployment's, the auxiliaries', the tasks'. A new
 * reference to an array of strings. */
json_t *likeness_images(const struct eval_plan *plan);

/* Equal for two plans when these are: the model's name, the images by name, and of the resolved config `deployment`,
 * `auxiliary_deployments`, `evaluation`, `target` and `env_vars`, in whatever order their keys stand. So paths and
 * literal variables there count, and the order of tasks. What does not count is how and where it runs (`execution`:
 * cluster, account, directories, nodes, walltime, mounts), `export`, labels, who submitted it, the values of secrets (a
 * config has only their names), comments, and by which overrides or groups the config came to be. */
void likeness_hash(const struct eval_plan *plan, char ret_hash[SECRET_HASH_SIZE]);

#endif

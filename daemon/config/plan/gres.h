/* How many GPUs a request to Slurm names (sbatch(1): --gres, --gpus-per-node). */
#ifndef NEL_CONFIG_PLAN_GRES_H
#define NEL_CONFIG_PLAN_GRES_H

#include <stdint.h>

#define GRES_GPUS_MAX 1024 /* on one node */

/* Of the value of --gres, a list of "name[[:type]:count]" ("gpu:8", "gpu:a100:2,gpu:h100:4,nvme:1"), also as
 * "gres:gpu:8" or in the form of Slurm's accounting ("gres/gpu=8"): the GPUs on a node, 0 where it names none; -1 where
 * it cannot be read, or they are more than GRES_GPUS_MAX. Without a count it is one. A count without type is that of
 * all types. */
int64_t gres_gpus(const char *list);

/* Of the value of --gpus-per-node, a list of "[type:]count" ("8", "a100:4,h100:4"), likewise. */
int64_t gres_gpus_per_node(const char *list);

#endif

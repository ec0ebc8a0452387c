/* What a campaign's `convert` means: the job that turns a checkpoint into one that a server loads. */
#ifndef NEL_CONFIG_PLAN_PLAN_CONVERT_H
#define NEL_CONFIG_PLAN_PLAN_CONVERT_H

#include "config/text/reader.h"

#include <jansson.h>

#define PLAN_CONVERT_TASK "convert" /* the task of its job */
#define PLAN_CONVERT_OUTPUT_MAX 255

/* Adds what is wrong with the fields themselves, with pointers from /convert. */
void plan_convert_check(const struct reader *r, const json_t *convert);

/* The resolved config of the conversion of one checkpoint, from that of the evaluations and a `convert` that has
 * passed plan_convert_check(). It keeps where they run (cluster, account, partition, output_dir, sbatch_extra_flags,
 * walltime, budget, rules of resuming) unless convert says otherwise; one node, and no GPUs unless it asks for some.
 * The caller's. */
json_t *plan_convert_config(const json_t *resolved, const json_t *convert, const char *checkpoint);

#endif

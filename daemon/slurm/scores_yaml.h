/* Reads a results.yml, of which one spoilt value must not cost the others. Pure. */
#ifndef NEL_SLURM_SCORES_YAML_H
#define NEL_SLURM_SCORES_YAML_H

#include "base/err.h"

#include <jansson.h>

#define SCORES_YAML_NODES_MAX 400000 /* values that are kept; further ones are left out */
#define SCORES_YAML_DEPTH_MAX 64

/* The keys "results" and "n-samples" of the outermost mapping, as a JSON object. What JSON or sense has no place for is
 * left out and counted in *ret_lost: values with tags of other languages, keys that are null, a list or a mapping, all
 * values of a key that stands twice (nobody knows which counts), aliases without an anchor here, what is too deep or
 * too much. A number that is not finite is null, and no loss. INVALID: the text is no YAML. */
int scores_yaml_read(const char *text, size_t size, json_t **ret_document, size_t *ret_lost, struct nel_err *err);

#endif

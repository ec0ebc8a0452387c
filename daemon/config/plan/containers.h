/* What starts containers on a cluster, and how it wants images and mounts. Configs are written for Pyxis, as the
 * launcher has them; for Apptainer (and its elder brother Singularity) they are put in its words. Pure. */
#ifndef NEL_CONFIG_PLAN_CONTAINERS_H
#define NEL_CONFIG_PLAN_CONTAINERS_H

#include "base/err.h"

#include <stdbool.h>

enum containers {
	CONTAINERS_PYXIS,    /* srun's plugin, https://github.com/NVIDIA/pyxis */
	CONTAINERS_APPTAINER /* apptainer or singularity, whichever the node has: https://apptainer.org/docs/user/ */
};

/* "pyxis", "apptainer". */
const char *containers_name(enum containers containers);
bool containers_from_name(const char *name, enum containers *ret_containers);

/* The image for apptainer-exec(1). "registry#name:tag", "registry/name:tag" and "docker://..." become
 * "docker://registry/name:tag"; paths, oras:// and library:// stay. free(). NULL: INVALID; err->msg says what to write
 * instead. */
char *containers_apptainer_image(const char *image, struct nel_err *err);

/* Does Apptainer take a mount with these flags (NULL: none)? */
bool containers_apptainer_flags_ok(const char *flags);

/* Is it an option of Pyxis's for sbatch, by its name without "--"? */
bool containers_is_pyxis_option(const char *name);

#endif

#include "config/plan/containers.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"

#include <string.h>

static const char *const names[] = {[CONTAINERS_PYXIS] = "pyxis", [CONTAINERS_APPTAINER] = "apptainer"};

const char *containers_name(enum containers containers)
{
	return names[containers];
}

bool containers_from_name(const char *name, enum containers *ret_containers)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(name, names[i]) == 0) {
			*ret_containers = (enum containers)i;
			return true;
		}
	}
	return false;
}

/* "[USER@][REGISTRY#]IMAGE[:TAG][@DIGEST]", as enroot-import takes it (its doc/cmd/import.md). */
static char *docker_reference(const char *image, const char *name, struct nel_err *err)
{
	const char *at = strchr(name, '@');
	const char *hash = strchr(name, '#');
	if (at != NULL && !str_starts_with(at + 1, "sha256:")) {
		err_set(err, NEL_INVALID,
			"the image %s names a registry's user before '@', which Apptainer does not know: leave it out; "
			"'apptainer registry login' on the cluster keeps user and password",
			image);
		return NULL;
	}
	if (*name == '\0' || *name == '#' || *name == '-' || (hash != NULL && hash[1] == '\0')) {
		err_set(err, NEL_INVALID, "the image %s has no name: write it as registry/name:tag", image);
		return NULL;
	}
	if (hash == NULL)
		return mem_printf("docker://%s", name);
	return mem_printf("docker://%.*s/%s", (int)(hash - name), name, hash + 1);
}

char *containers_apptainer_image(const char *image, struct nel_err *err)
{
	static const char *const own[] = {"oras://", "library://"};
	const char *scheme_end = strstr(image, "://");
	if (str_has_control(image) || strchr(image, ' ') != NULL) {
		err_set(err, NEL_INVALID, "the image '%s' has a space or control character", image);
		return NULL;
	}
	if (*image == '/')
		return mem_strdup(image);
	if (*image == '.') {
		err_set(err, NEL_INVALID, "the image %s is a relative path: write it from the root, as /shared/x.sif",
			image);
		return NULL;
	}
	if (str_starts_with(image, "docker://"))
		return docker_reference(image, image + strlen("docker://"), err);
	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		if (str_starts_with(image, own[i]))
			return mem_strdup(image);
	if (scheme_end != NULL) {
		err_set(err, NEL_INVALID,
			"the image %s is of a kind that Apptainer cannot fetch on a compute node: use a registry's "
			"(docker://registry/name:tag), or the path of a .sif file on the cluster",
			image);
		return NULL;
	}
	return docker_reference(image, image, err);
}

bool containers_apptainer_flags_ok(const char *flags)
{
	return flags == NULL || strcmp(flags, "ro") == 0 || strcmp(flags, "rw") == 0;
}

bool containers_is_pyxis_option(const char *name)
{
	/* container-id is Slurm's own (sbatch(1)). */
	return str_starts_with(name, "no-container-") ||
	       (str_starts_with(name, "container-") && strcmp(name, "container-id") != 0);
}

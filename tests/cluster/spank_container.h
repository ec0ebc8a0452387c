/*
 * What spank_container.c (the SPANK hooks and options) and container_build.c (the making of one
 * container) share. Internal to the test plugin.
 */
#ifndef NEL_TESTS_SPANK_CONTAINER_H
#define NEL_TESTS_SPANK_CONTAINER_H

#include <slurm/slurm.h>
#include <slurm/spank.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { PATH_SIZE = 4096 };

/* Exit codes of the builder that name the part of Pyxis that would have failed. */
enum { BUILD_NO_START = 1, BUILD_NO_IMAGE = 3, BUILD_BAD_IMAGE = 4 };

/* The options as given, and the step they belong to. Flags: 1 yes, 0 no, -1 not said. */
struct container_args {
	char *image;
	char *mounts;
	char *env;
	char *name;
	char *workdir;
	char *save;
	int mount_home;
	int remap_root;
	int writable;
	int entrypoint;
	const char *images_dir;
	const char *scratch_dir;
	const char *spool_dir;
	const char *ends_file;
	uid_t uid;
	gid_t gid;
	uint32_t job_id;
	uint32_t step_id;
	char home[PATH_SIZE];
	char node[PATH_SIZE];
};

/* 0 when the text is a list of SRC[:DST[:FLAGS]], separated by commas, as Pyxis accepts it. */
int container_check_mounts(const char *mounts);

/*
 * Makes the container and sends its mount namespace over sock; messages go to log_fd. Runs in a
 * forked child whose real uid is root and whose effective ids are the user's. Does not return.
 */
_Noreturn void container_build(const struct container_args *args, int sock, int log_fd);

/* In the container: sets the image's variables, save those that env (NAME,NAME...) keeps for the host. */
int container_import_env(spank_t sp, const char *env);

/* In the container: the directory to start in: the option, else the image's, else "/". */
void container_workdir(const struct container_args *args, char *dir, size_t dir_size);

/* In the container: a user namespace in which uid and gid appear as root. */
int container_remap_root(uid_t uid, gid_t gid);

#endif

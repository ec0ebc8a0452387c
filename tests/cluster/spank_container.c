/*
 * A stand-in for Pyxis and enroot: a SPANK plugin that runs the tasks of an srun step in a
 * container. It owns the --container-* options of srun and the making of the container; it does
 * not own images (tests/cluster/lib/image.bash makes them) nor batch steps (left alone).
 *
 * One child process per step and node builds the container in a mount namespace of its own and
 * hands the namespace to slurmstepd as a descriptor; each task enters it. When the step's last
 * process and slurmstepd are gone the kernel drops the namespace with its tmpfs, overlay and loop
 * device, so nothing is left to clean up, however the step ends.
 *
 * An image is a directory or a squashfs file. Three files in its root stand for what a registry
 * image has in its metadata: .image-env (NAME=value lines), .image-workdir (one path) and
 * .image-binds (paths of the host that the image borrows read-only).
 *
 * Plugin arguments: images=DIR (where named images are looked up), scratch=DIR (an empty directory
 * to mount on), spool=DIR (the parent of the nodes' spool directories, for PMIx), ends=FILE (see below).
 *
 * In which order Slurm's SIGTERM reaches a job is not given. With enroot's squashfuse a process of the step holds the
 * root, and when that one ends, the others die of SIGBUS. The file `ends` has one word (tests/cluster/ctl sets it):
 * "first": steps end so; "only": the batch script does not hear of it, besides.
 */
#define _GNU_SOURCE
#include "spank_container.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <slurm/spank.h>

SPANK_PLUGIN(container, 1)

static struct container_args args = {.mount_home = -1, .remap_root = -1, .writable = -1, .entrypoint = -1};
static int namespace_fd = -1;
static bool build_failed;

/* ---- options: the names, forms and refusals are Pyxis's (its args.c) ---- */

enum option { OPT_IMAGE, OPT_MOUNTS, OPT_ENV, OPT_NAME, OPT_WORKDIR, OPT_SAVE, OPT_TEXTS };

static const char *const text_option_names[OPT_TEXTS] = {
    [OPT_IMAGE] = "container-image", [OPT_MOUNTS] = "container-mounts",   [OPT_ENV] = "container-env",
    [OPT_NAME] = "container-name",   [OPT_WORKDIR] = "container-workdir", [OPT_SAVE] = "container-save",
};

static char **option_slot(int val)
{
	switch ((enum option)val) {
	case OPT_IMAGE: return &args.image;
	case OPT_MOUNTS: return &args.mounts;
	case OPT_ENV: return &args.env;
	case OPT_NAME: return &args.name;
	case OPT_WORKDIR: return &args.workdir;
	case OPT_SAVE: return &args.save;
	case OPT_TEXTS: break;
	}
	return NULL;
}

/* NAME[:FLAG] */
static int check_name(const char *value)
{
	static const char *const flags[] = {"auto", "create", "exec", "no_exec"};
	const char *colon = strchr(value, ':');

	if (colon == value) {
		slurm_error("pyxis: --container-name: empty name");
		return -1;
	}
	if (colon == NULL || colon[1] == '\0')
		return 0;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (strcmp(colon + 1, flags[i]) == 0)
			return 0;
	slurm_error("pyxis: --container-name: flag must be \"auto\", \"create\", \"exec\" or \"no_exec\"");
	return -1;
}

static int set_text(int val, const char *value, int remote)
{
	(void)remote;
	char **slot = option_slot(val);

	if (value == NULL || *value == '\0') {
		slurm_error("pyxis: --%s: argument required", text_option_names[val]);
		return -1;
	}
	/* Slurm may call twice with the same value. */
	if (*slot != NULL && strcmp(*slot, value) != 0) {
		slurm_error("pyxis: --%s specified multiple times", text_option_names[val]);
		return -1;
	}
	if (val == OPT_ENV && (*value == ',' || strstr(value, ",,") != NULL || value[strlen(value) - 1] == ',')) {
		slurm_error("pyxis: --container-env: invalid format: %s", value);
		return -1;
	}
	if (val == OPT_NAME && check_name(value) != 0)
		return -1;
	if (val == OPT_SAVE && value[strlen(value) - 1] == '/') {
		slurm_error("pyxis: --container-save: target is a directory");
		return -1;
	}
	if (val == OPT_MOUNTS && container_check_mounts(value) != 0) {
		slurm_error("pyxis: --container-mounts: invalid format: %s", value);
		return -1;
	}
	if (*slot == NULL)
		*slot = strdup(value);
	return *slot == NULL ? -1 : 0;
}

static int set_flag(int *flag, int val, const char *yes, const char *no)
{
	if (*flag != -1 && *flag != val) {
		slurm_error("pyxis: both --%s and --%s were specified", yes, no);
		return -1;
	}
	*flag = val;
	return 0;
}

static int set_mount_home(int val, const char *value, int remote)
{
	(void)value, (void)remote;
	return set_flag(&args.mount_home, val, "container-mount-home", "no-container-mount-home");
}

static int set_remap_root(int val, const char *value, int remote)
{
	(void)value, (void)remote;
	return set_flag(&args.remap_root, val, "container-remap-root", "no-container-remap-root");
}

static int set_writable(int val, const char *value, int remote)
{
	(void)value, (void)remote;
	return set_flag(&args.writable, val, "container-writable", "container-readonly");
}

static int set_entrypoint(int val, const char *value, int remote)
{
	(void)value, (void)remote;
	return set_flag(&args.entrypoint, val, "container-entrypoint", "no-container-entrypoint");
}

/* clang-format off */
#define TEXT_OPTION(name, arg, help, id) {(char *)(name), (char *)(arg), (char *)(help), 1, (id), set_text}
#define FLAG_OPTION(name, help, val, set) {(char *)(name), NULL, (char *)(help), 0, (val), (set)}
/* clang-format on */

static struct spank_option options[] = {
    TEXT_OPTION("container-image", "[USER@][REGISTRY#]IMAGE[:TAG]|PATH", "[pyxis] the image to use", OPT_IMAGE),
    TEXT_OPTION("container-mounts", "SRC:DST[:FLAGS][,SRC:DST...]", "[pyxis] bind mounts in the container", OPT_MOUNTS),
    TEXT_OPTION("container-env", "NAME[,NAME...]", "[pyxis] host variables that win over the image's", OPT_ENV),
    TEXT_OPTION("container-name", "NAME", "[pyxis] name of the container", OPT_NAME),
    TEXT_OPTION("container-workdir", "PATH", "[pyxis] working directory in the container", OPT_WORKDIR),
    TEXT_OPTION("container-save", "PATH", "[pyxis] save the container to a squashfs file", OPT_SAVE),
    FLAG_OPTION("container-mount-home", "[pyxis] mount the home directory", 1, set_mount_home),
    FLAG_OPTION("no-container-mount-home", "[pyxis] do not mount the home directory", 0, set_mount_home),
    FLAG_OPTION("container-remap-root", "[pyxis] appear as root in the container", 1, set_remap_root),
    FLAG_OPTION("no-container-remap-root", "[pyxis] do not appear as root", 0, set_remap_root),
    FLAG_OPTION("container-writable", "[pyxis] make the filesystem writable", 1, set_writable),
    FLAG_OPTION("container-readonly", "[pyxis] make the filesystem read-only", 0, set_writable),
    FLAG_OPTION("container-entrypoint", "[pyxis] run the image's entrypoint", 1, set_entrypoint),
    FLAG_OPTION("no-container-entrypoint", "[pyxis] do not run the image's entrypoint", 0, set_entrypoint),
    SPANK_OPTIONS_TABLE_END,
};

/* ---- the step ---- */

static void take_plugin_arguments(int ac, char **av)
{
	for (int i = 0; i < ac; i++) {
		if (strncmp(av[i], "images=", 7) == 0)
			args.images_dir = av[i] + 7;
		else if (strncmp(av[i], "scratch=", 8) == 0)
			args.scratch_dir = av[i] + 8;
		else if (strncmp(av[i], "spool=", 6) == 0)
			args.spool_dir = av[i] + 6;
		else if (strncmp(av[i], "ends=", 5) == 0)
			args.ends_file = av[i] + 5;
	}
}

int slurm_spank_init(spank_t sp, int ac, char **av)
{
	/* sbatch and salloc do not know the options, as with Pyxis's execute_sbatch=0. */
	if (spank_context() != S_CTX_LOCAL && spank_context() != S_CTX_REMOTE)
		return 0;
	take_plugin_arguments(ac, av);
	for (struct spank_option *option = options; option->name != NULL; option++) {
		spank_err_t rc = spank_option_register(sp, option);
		if (rc != ESPANK_SUCCESS) {
			slurm_error("pyxis: couldn't register option %s: %s", option->name, spank_strerror(rc));
			return -1;
		}
	}
	return 0;
}

int slurm_spank_init_post_opt(spank_t sp, int ac, char **av)
{
	(void)sp, (void)ac, (void)av;
	if (args.image != NULL)
		return 0;
	if (args.mounts != NULL)
		slurm_error(
		    "pyxis: ignoring --container-mounts because neither --container-image nor --container-name is set");
	if (args.workdir != NULL)
		slurm_error("pyxis: ignoring --container-workdir because neither --container-image nor "
			    "--container-name is set");
	if (args.name != NULL && spank_context() == S_CTX_REMOTE) {
		slurm_error("pyxis: a container with name \"%s\" does not exist, and --container-image is not set",
			    args.name);
		build_failed = true;
	}
	return 0;
}

static int learn_job(spank_t sp)
{
	if (spank_get_item(sp, S_JOB_UID, &args.uid) != ESPANK_SUCCESS ||
	    spank_get_item(sp, S_JOB_GID, &args.gid) != ESPANK_SUCCESS ||
	    spank_get_item(sp, S_JOB_ID, &args.job_id) != ESPANK_SUCCESS ||
	    spank_get_item(sp, S_JOB_STEPID, &args.step_id) != ESPANK_SUCCESS) {
		slurm_error("pyxis: couldn't get job attributes");
		return -1;
	}
	if (spank_getenv(sp, "HOME", args.home, sizeof(args.home)) != ESPANK_SUCCESS)
		args.home[0] = '\0';
	/* SLURMD_NODENAME is not set yet; up names each node's host as the node. */
	if (gethostname(args.node, sizeof(args.node)) != 0)
		args.node[0] = '\0';
	return 0;
}

/* Receives one descriptor, or -1 when the other end closed without sending one. */
static int receive_fd(int sock)
{
	char byte;
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) <= 0)
		return -1;
	struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
	if (header == NULL || header->cmsg_type != SCM_RIGHTS)
		return -1;
	int fd;
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

/* Shows what the builder wrote on its standard error as Pyxis shows enroot's log. */
static void print_builder_log(int log_fd)
{
	FILE *log = fdopen(log_fd, "r");
	char line[4096];

	if (log == NULL)
		return;
	rewind(log);
	slurm_error("pyxis: printing enroot log file:");
	while (fgets(line, sizeof(line), log) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		slurm_error("pyxis:     %s", line);
	}
	fclose(log);
}

static void report_failure(int status, int log_fd)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);

	switch (code) {
	case BUILD_NO_IMAGE:
		slurm_error("pyxis: child %d failed with error code: 1", (int)getpid());
		slurm_error("pyxis: failed to import docker image");
		break;
	case BUILD_BAD_IMAGE: slurm_error("pyxis: failed to create container filesystem"); break;
	default: slurm_error("pyxis: container start failed with error code: %d", code);
	}
	print_builder_log(log_fd);
}

/* Runs the builder in a child of its own, since slurmstepd must stay in the host's namespace. */
static int build_container(void)
{
	int socks[2];
	int log = memfd_create("enroot-log", MFD_CLOEXEC);

	if (log < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks) != 0) {
		slurm_error("pyxis: couldn't start the container: %s", strerror(errno));
		return -1;
	}
	pid_t pid = fork();
	if (pid == 0) {
		close(socks[0]);
		container_build(&args, socks[1], log);
	}
	close(socks[1]);
	namespace_fd = pid < 0 ? -1 : receive_fd(socks[0]);
	close(socks[0]);
	int status = 0;
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (namespace_fd < 0)
		report_failure(status, log);
	else
		close(log);
	return namespace_fd < 0 ? -1 : 0;
}

/*
 * Called in slurmstepd with the effective ids of the job's user, before the tasks are forked.
 * An error returned here would not reach srun (its exit code would be 0), so it is kept for the tasks.
 */
int slurm_spank_user_init(spank_t sp, int ac, char **av)
{
	(void)ac, (void)av;
	if (args.image == NULL || spank_context() != S_CTX_REMOTE)
		return 0;
	if (learn_job(sp) != 0 || args.step_id == SLURM_BATCH_SCRIPT)
		build_failed = args.step_id != SLURM_BATCH_SCRIPT;
	else
		build_failed = build_container() != 0;
	return 0;
}

/*
 * Called as root in each task's process. The task enters the container only in task_init, after Slurm
 * has changed to the job's directory on the host as it does with Pyxis; to be able to, it keeps its
 * capabilities when it becomes the user.
 */
int slurm_spank_task_init_privileged(spank_t sp, int ac, char **av)
{
	(void)sp, (void)ac, (void)av;
	if (namespace_fd >= 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) {
		slurm_error("pyxis: couldn't keep capabilities: %s", strerror(errno));
		return -1;
	}
	return 0;
}

/* Sets the effective and permitted capabilities to what is permitted now, or to none. */
static int set_capabilities(bool all)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	if (all && syscall(SYS_capget, &header, data) != 0)
		return -1;
	for (int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted;
	return (int)syscall(SYS_capset, &header, data);
}

static int join_container(void)
{
	if (set_capabilities(true) != 0 || setns(namespace_fd, CLONE_NEWNS) != 0 || set_capabilities(false) != 0 ||
	    prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) {
		slurm_error("pyxis: couldn't join mount namespace: %s", strerror(errno));
		return -1;
	}
	return 0;
}

static bool ends_in(const char *word)
{
	char line[16] = "";
	FILE *file = args.ends_file != NULL ? fopen(args.ends_file, "re") : NULL;

	if (file == NULL)
		return false;
	if (fgets(line, sizeof(line), file) == NULL)
		line[0] = '\0';
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	return strcmp(line, word) == 0;
}

static void drop_root(int signal_number)
{
	(void)signal_number;
	kill(0, SIGBUS);
}

/* A process of the task's that plays squashfuse. It is gone when the task is. */
static int hold_root(void)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid < 0 ? -1 : 0;
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	signal(SIGTERM, drop_root);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL); /* as slurmstepd has them they are blocked */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && prctl(PR_SET_NAME, "squashfuse") == 0)
		for (;;)
			pause();
	_exit(1);
}

/* Called as the user in each task's process, with the task's own environment. */
int slurm_spank_task_init(spank_t sp, int ac, char **av)
{
	char dir[PATH_SIZE];
	uint32_t step;

	(void)ac, (void)av;
	if (spank_get_item(sp, S_JOB_STEPID, &step) == ESPANK_SUCCESS && step == SLURM_BATCH_SCRIPT) {
		if (ends_in("only"))
			signal(SIGTERM, SIG_IGN); /* what a shell finds ignored it cannot trap */
		return 0;
	}
	if (build_failed) {
		slurm_error("pyxis: couldn't start container");
		return -1;
	}
	if (namespace_fd < 0)
		return 0;
	if ((ends_in("first") || ends_in("only")) && hold_root() != 0) {
		slurm_error("pyxis: couldn't hold the root: %s", strerror(errno));
		return -1;
	}
	if (join_container() != 0)
		return -1;
	if (container_import_env(sp, args.env) != 0) {
		slurm_error("pyxis: couldn't read container environment");
		return -1;
	}
	container_workdir(&args, dir, sizeof(dir));
	if (chdir(dir) != 0) {
		slurm_error("pyxis: couldn't chdir to %s: %s", dir, strerror(errno));
		return -1;
	}
	if (args.remap_root == 1 && container_remap_root(args.uid, args.gid) != 0) {
		slurm_error("pyxis: couldn't remap to root: %s", strerror(errno));
		return -1;
	}
	return 0;
}

int slurm_spank_exit(spank_t sp, int ac, char **av)
{
	(void)sp, (void)ac, (void)av;
	if (args.save != NULL && namespace_fd >= 0)
		slurm_error("pyxis: --container-save is not supported by this stand-in");
	if (namespace_fd >= 0)
		close(namespace_fd);
	namespace_fd = -1;
	return 0;
}

/*
 * The making of one container for spank_container.c: the image as root through an overlay, the
 * system's and the user's mounts on it, and a root that is nothing else. Owns no options.
 *
 * Sources of mounts and images are opened with the rights of the job's user (enroot runs as the
 * user, so a directory he cannot reach fails the step); targets are resolved inside the new root,
 * so that a symbolic link in an image cannot lead out of it.
 */
#define _GNU_SOURCE
#include "spank_container.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct container_args *args;
static int log_fd = -1;
static int root_fd = -1;

enum { MOUNT_RO = 1, MOUNT_OPTIONAL = 2, MOUNT_FLAT = 4, MOUNT_AS_ROOT = 8 };

__attribute__((format(printf, 2, 3), noreturn)) static void fail(int code, const char *format, ...)
{
	int saved = errno;
	va_list list;

	va_start(list, format);
	vdprintf(log_fd, format, list);
	va_end(list);
	dprintf(log_fd, ": %s\n", strerror(saved));
	_exit(code);
}

__attribute__((format(printf, 3, 4))) static void path_format(char *path, size_t size, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	int length = vsnprintf(path, size, format, list);
	va_end(list);
	if (length < 0 || (size_t)length >= size) {
		errno = ENAMETOOLONG;
		fail(BUILD_NO_START, "[ERROR] %s", path);
	}
}

/* ---- rights ---- */

static void become_root(void)
{
	if (seteuid(0) != 0 || setegid(0) != 0)
		fail(BUILD_NO_START, "[ERROR] cannot become root");
}

static void become_user(void)
{
	if (setegid(args->gid) != 0 || seteuid(args->uid) != 0)
		fail(BUILD_NO_START, "[ERROR] cannot become the user");
}

static int open_as_user(const char *path)
{
	become_user();
	int fd = open(path, O_PATH | O_CLOEXEC);
	int saved = errno;
	become_root();
	errno = saved;
	return fd;
}

/* ---- the image ---- */

static int open_image(void)
{
	char path[PATH_SIZE];

	if (strspn(args->image, "./") > 0) {
		int fd = open_as_user(args->image);
		if (fd < 0)
			fail(BUILD_BAD_IMAGE, "[ERROR] No such file or directory: %s", args->image);
		return fd;
	}
	const char *user_end = strchr(args->image, '@');
	path_format(path, sizeof(path), "%s", user_end != NULL ? user_end + 1 : args->image);
	for (char *c = path; *c != '\0'; c++)
		if (*c == '/' || *c == '#' || *c == ':')
			*c = '+';
	char full[PATH_SIZE];
	path_format(full, sizeof(full), "%s/%s", args->images_dir != NULL ? args->images_dir : "/nonexistent", path);
	int fd = open_as_user(full);
	if (fd < 0 && strchr(path, '+') == NULL) {
		path_format(full, sizeof(full), "%s/%s+latest",
			    args->images_dir != NULL ? args->images_dir : "/nonexistent", path);
		fd = open_as_user(full);
	}
	if (fd < 0)
		fail(BUILD_NO_IMAGE, "[ERROR] Could not import docker://%s", args->image);
	return fd;
}

static int run(const char *const *argv)
{
	pid_t pid = fork();
	if (pid == 0) {
		dup2(log_fd, STDOUT_FILENO);
		dup2(log_fd, STDERR_FILENO);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	int status = 0;
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* Puts the image at lower: a directory is bound; a squashfs file mounted, or unpacked where loop devices fail. */
static void place_image(int image, const char *lower)
{
	struct stat st;
	char source[64];

	if (fstat(image, &st) != 0)
		fail(BUILD_BAD_IMAGE, "[ERROR] %s", args->image);
	snprintf(source, sizeof(source), "/proc/self/fd/%d", image);
	if (S_ISDIR(st.st_mode)) {
		if (mount(source, lower, NULL, MS_BIND | MS_REC, NULL) != 0)
			fail(BUILD_BAD_IMAGE, "[ERROR] %s", args->image);
		return;
	}
	char real[PATH_SIZE];
	ssize_t length = readlink(source, real, sizeof(real) - 1);
	if (length < 0)
		fail(BUILD_BAD_IMAGE, "[ERROR] %s", args->image);
	real[length] = '\0';
	if (run((const char *[]){"/bin/mount", "-t", "squashfs", "-o", "loop,ro", real, lower, NULL}) == 0)
		return;
	if (run((const char *[]){"/usr/bin/unsquashfs", "-no-progress", "-quiet", "-force", "-dest", lower, real,
				 NULL}) != 0)
		fail(BUILD_BAD_IMAGE, "[ERROR] Invalid image format: %s", args->image);
}

/* enroot unpacks an image as the user, who can then write in all of its directories. */
static int give_directory(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)ftw;
	if (type == FTW_D && lchown(path, args->uid, args->gid) != 0)
		return -1;
	return 0;
}

/* The overlay's upper layer is in the namespace's own tmpfs, so the image itself never changes. */
static void make_root(int image, char *root, size_t root_size)
{
	char lower[PATH_SIZE], upper[PATH_SIZE], work[PATH_SIZE], data[3 * PATH_SIZE + 64];
	const char *scratch = args->scratch_dir != NULL ? args->scratch_dir : "/mnt";

	if (mount("tmpfs", scratch, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") != 0)
		fail(BUILD_NO_START, "enroot-mount: failed to mount: tmpfs at %s", scratch);
	path_format(lower, sizeof(lower), "%s/lower", scratch);
	path_format(upper, sizeof(upper), "%s/upper", scratch);
	path_format(work, sizeof(work), "%s/work", scratch);
	path_format(root, root_size, "%s/root", scratch);
	if (mkdir(lower, 0755) != 0 || mkdir(upper, 0755) != 0 || mkdir(work, 0755) != 0 || mkdir(root, 0755) != 0)
		fail(BUILD_NO_START, "[ERROR] cannot write to %s", scratch);
	place_image(image, lower);
	snprintf(data, sizeof(data), "lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work);
	if (mount("overlay", root, "overlay", MS_NOSUID | MS_NODEV, data) != 0)
		fail(BUILD_NO_START, "enroot-mount: failed to mount: overlay at %s", root);
	if (nftw(root, give_directory, 32, FTW_PHYS | FTW_MOUNT) != 0)
		fail(BUILD_NO_START, "[ERROR] cannot prepare %s", root);
	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		fail(BUILD_NO_START, "[ERROR] %s", root);
}

/* ---- mounts ---- */

static int open_in_root(const char *path, int flags, mode_t mode)
{
	struct open_how how = {
	    .flags = (unsigned)flags | O_CLOEXEC, .mode = mode, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};

	return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}

/* Opens path in the new root, making missing directories, and a file or directory at its end. */
static int open_target(const char *path, bool directory)
{
	char part[PATH_SIZE];
	int fd = open_in_root(path, O_PATH, 0);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	path_format(part, sizeof(part), "%s", path);
	while (strlen(part) > 1 && part[strlen(part) - 1] == '/')
		part[strlen(part) - 1] = '\0';
	char *slash = strrchr(part, '/');
	if (slash == NULL)
		return -1;
	*slash = '\0';
	int parent = *part == '\0' ? dup(root_fd) : open_target(part, true);
	if (parent < 0)
		return -1;
	int rc = directory ? mkdirat(parent, slash + 1, 0755) : mknodat(parent, slash + 1, S_IFREG | 0644, 0);
	if (rc == 0)
		rc = fchownat(parent, slash + 1, args->uid, args->gid, AT_SYMLINK_NOFOLLOW);
	int saved = errno;
	close(parent);
	errno = saved;
	return rc != 0 ? -1 : open_in_root(path, O_PATH, 0);
}

static void mount_failed(const char *source, const char *target, int flags)
{
	if (!(flags & MOUNT_OPTIONAL))
		fail(BUILD_NO_START, "enroot-mount: failed to mount: %s at %s%s", source, args->scratch_dir, target);
}

/* Binds source of the host at target of the container. */
static void bind_mount(const char *source, const char *target, int flags)
{
	struct stat st;
	int from = flags & MOUNT_AS_ROOT ? open(source, O_PATH | O_CLOEXEC) : open_as_user(source);

	if (from < 0 || fstat(from, &st) != 0) {
		mount_failed(source, target, flags);
		return;
	}
	unsigned recursive = flags & MOUNT_FLAT ? 0 : AT_RECURSIVE;
	int tree = open_tree(from, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | recursive);
	int to = open_target(target, S_ISDIR(st.st_mode));
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | (flags & MOUNT_RO ? MOUNT_ATTR_RDONLY : 0)};
	if (tree < 0 || to < 0 || mount_setattr(tree, "", AT_EMPTY_PATH | recursive, &attr, sizeof(attr)) != 0 ||
	    move_mount(tree, "", to, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
		mount_failed(source, target, flags);
	close(from);
	if (tree >= 0)
		close(tree);
	if (to >= 0)
		close(to);
}

static void tmpfs_mount(const char *target, const char *data)
{
	char path[64];
	int to = open_target(target, true);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", to);
	if (to < 0 || mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, data) != 0)
		mount_failed("tmpfs", target, 0);
	close(to);
}

/* What the image borrows from the host; the list is the image's, read before anything covers it. */
static void mount_image_binds(void)
{
	char line[PATH_SIZE];
	int fd = open_in_root("/.image-binds", O_RDONLY, 0);
	FILE *list = fd < 0 ? NULL : fdopen(fd, "r");

	while (list != NULL && fgets(line, sizeof(line), list) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '/')
			bind_mount(line, line, MOUNT_RO | MOUNT_OPTIONAL | MOUNT_AS_ROOT);
	}
	if (list != NULL)
		fclose(list);
}

/* The mounts of enroot's 10-system.fstab and 20-config.fstab. Here /tmp is the container's own. */
static void mount_system(void)
{
	static const char *const files[] = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/localtime",
					    "/etc/machine-id"};

	bind_mount("/proc", "/proc", MOUNT_AS_ROOT);
	bind_mount("/sys", "/sys", MOUNT_AS_ROOT | MOUNT_RO);
	bind_mount("/dev", "/dev", MOUNT_AS_ROOT);
	tmpfs_mount("/tmp", "mode=1777");
	tmpfs_mount("/run", "mode=755");
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		bind_mount(files[i], files[i], MOUNT_AS_ROOT | MOUNT_RO | MOUNT_OPTIONAL | MOUNT_FLAT);
}

/* As enroot's hook 50-slurm-pmi.sh: the directories through which tasks reach the PMIx server in slurmstepd. */
static void mount_pmix(void)
{
	char path[2 * PATH_SIZE];

	if (args->spool_dir != NULL && args->node[0] != '\0') {
		path_format(path, sizeof(path), "%s/%s/pmix.%u.%u", args->spool_dir, args->node, args->job_id,
			    args->step_id);
		bind_mount(path, path, MOUNT_AS_ROOT | MOUNT_OPTIONAL);
	}
	path_format(path, sizeof(path), "/tmp/spmix_appdir_%u_%u.%u", (unsigned)args->uid, args->job_id, args->step_id);
	bind_mount(path, path, MOUNT_AS_ROOT | MOUNT_OPTIONAL);
}

/* Adds the user to the container's own passwd, as enroot's 10-shadow.sh does, unless he is there. */
static void add_user(void)
{
	char data[PATH_SIZE];

	if (open_in_root("/etc/passwd", O_PATH, 0) >= 0 || args->home[0] == '\0')
		return;
	snprintf(data, sizeof(data), "%s", args->home);
	int fd = open_target("/etc/passwd", false);
	close(fd);
	fd = open_in_root("/etc/passwd", O_WRONLY | O_APPEND, 0);
	if (fd >= 0)
		dprintf(fd, "root:x:0:0:root:/root:/bin/sh\n%s:x:%u:%u::%s:/bin/sh\n", basename(data),
			(unsigned)args->uid, (unsigned)args->gid, args->home);
	close(fd);
}

static int parse_flags(char *text)
{
	int flags = 0;
	char *flag;

	while (text != NULL && (flag = strsep(&text, "+")) != NULL)
		if (strcmp(flag, "ro") == 0)
			flags |= MOUNT_RO;
	return flags;
}

/* Splits "SRC[:DST[:FLAGS]]" in place; -1 when Pyxis would refuse it. */
static int split_mount(char *entry, char **source, char **target, int *flags)
{
	*source = strsep(&entry, ":");
	*target = entry != NULL ? strsep(&entry, ":") : *source;
	*flags = parse_flags(entry);
	if (strcmp(*source, "tmpfs") == 0)
		return **target == '/' ? 0 : -1;
	return strspn(*source, "./") > 0 && **target == '/' ? 0 : -1;
}

int container_check_mounts(const char *mounts)
{
	char *copy = strdup(mounts), *rest = copy, *entry, *source, *target;
	int flags, rc = copy == NULL ? -1 : 0;

	while (rc == 0 && (entry = strsep(&rest, ",")) != NULL)
		rc = split_mount(entry, &source, &target, &flags);
	free(copy);
	return rc;
}

/* Pyxis writes `echo "SRC DST OPTIONS"` into the script that `enroot start --conf` runs with bash, and enroot-mount
 * splits the line as fstab(5): words beyond the second are options, '#' begins a comment, and bash expands what it can.
 */
static void check_words(const char *path, const char *entry)
{
	if (strpbrk(path, " \t\n") != NULL)
		fail(BUILD_NO_START, "enroot-mount: failed to parse mount entry: %s", entry);
	if (strpbrk(path, "\"$`\\") != NULL)
		fail(BUILD_NO_START, "enroot: the start configuration's mounts() is not what was meant: %s", entry);
}

static void mount_user_list(void)
{
	char *copy = args->mounts != NULL ? strdup(args->mounts) : NULL;
	char *rest = copy, *entry, *source, *target;
	int flags;

	while (rest != NULL && (entry = strsep(&rest, ",")) != NULL) {
		if (split_mount(entry, &source, &target, &flags) != 0)
			fail(BUILD_NO_START, "enroot-mount: invalid mount %s", entry);
		check_words(source, entry);
		check_words(target, entry);
		if (strcmp(source, "tmpfs") == 0)
			tmpfs_mount(target, "mode=1777");
		else
			bind_mount(source, target, flags);
	}
	free(copy);
}

/* ---- the end: the new root is all there is ---- */

static void enter_root(void)
{
	if (args->writable == 0 &&
	    mount_setattr(root_fd, "", AT_EMPTY_PATH, &(struct mount_attr){.attr_set = MOUNT_ATTR_RDONLY},
			  sizeof(struct mount_attr)) != 0)
		fail(BUILD_NO_START, "enroot-switchroot: cannot make the root read-only");
	if (fchdir(root_fd) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 ||
	    chdir("/") != 0)
		fail(BUILD_NO_START, "enroot-switchroot: failed to switch root");
}

static void send_namespace(int fd, int sock)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {.space = {0}};
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&msg);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	if (sendmsg(sock, &msg, MSG_NOSIGNAL) != 1)
		fail(BUILD_NO_START, "[ERROR] cannot hand over the container");
}

_Noreturn void container_build(const struct container_args *the_args, int sock, int the_log_fd)
{
	char root[PATH_SIZE];

	args = the_args;
	log_fd = the_log_fd;
	become_root();
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		fail(BUILD_NO_START, "enroot-nsenter: failed to create the mount namespace");
	umask(022);
	int namespace = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	make_root(open_image(), root, sizeof(root));
	mount_image_binds();
	mount_system();
	mount_pmix();
	add_user();
	if (args->home[0] == '/' && args->mount_home != 0)
		bind_mount(args->home, args->home, MOUNT_OPTIONAL);
	mount_user_list();
	enter_root();
	send_namespace(namespace, sock);
	_exit(0);
}

/* ---- in the tasks ---- */

static bool is_listed(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = list; at != NULL; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0'))
			return true;
	}
	return false;
}

int container_import_env(spank_t sp, const char *env)
{
	char line[PATH_SIZE];
	FILE *list = fopen("/.image-env", "re");
	int rc = 0;

	while (list != NULL && rc == 0 && fgets(line, sizeof(line), list) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		char *value = strchr(line, '=');
		if (value == NULL || line[0] == '#')
			continue;
		*value++ = '\0';
		if (spank_setenv(sp, line, value, !is_listed(env, line)) == ESPANK_BAD_ARG)
			rc = -1;
	}
	if (list != NULL)
		fclose(list);
	return rc;
}

void container_workdir(const struct container_args *the_args, char *dir, size_t dir_size)
{
	FILE *file = the_args->workdir == NULL ? fopen("/.image-workdir", "re") : NULL;

	snprintf(dir, dir_size, "%s", the_args->workdir != NULL ? the_args->workdir : "/");
	if (file != NULL && fgets(dir, (int)dir_size, file) != NULL)
		dir[strcspn(dir, "\n")] = '\0';
	if (file != NULL)
		fclose(file);
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t written = write(fd, text, strlen(text));
	close(fd);
	return written == (ssize_t)strlen(text) ? 0 : -1;
}

int container_remap_root(uid_t uid, gid_t gid)
{
	char map[64];

	/* A process that changed its user cannot write its own /proc files before it is dumpable again. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0 || unshare(CLONE_NEWUSER) != 0 ||
	    write_file("/proc/self/setgroups", "deny") != 0)
		return -1;
	snprintf(map, sizeof(map), "0 %u 1", (unsigned)gid);
	if (write_file("/proc/self/gid_map", map) != 0)
		return -1;
	snprintf(map, sizeof(map), "0 %u 1", (unsigned)uid);
	return write_file("/proc/self/uid_map", map);
}

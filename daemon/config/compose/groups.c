/* Config groups: files under groups_dir, and under daemon/config/groups in the program itself. Names come from
 * submitted configs, so each segment of a path is checked before it reaches the file system. */
#include "config/compose/groups.h"

#include "base/embed.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "config/text/yaml_json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#define EMBEDDED_ROOT "daemon/config/groups/"
#define PATH_BYTES_MAX 200
#define FOLDER_DEPTH_MAX 4

void group_file_done(struct group_file *file)
{
	json_decref(file->config);
	free(file->package);
	*file = (struct group_file){0};
}

/* Segments of letters, digits, '_', '-' and '.', none starting with '.'. */
static bool is_safe(const char *path)
{
	bool start = true;
	for (const char *p = path; *p != '\0'; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
			     *p == '_' || *p == '-';
		if (start ? !plain : !plain && *p != '.' && *p != '/')
			return false;
		start = *p == '/';
	}
	return !start && strlen(path) <= PATH_BYTES_MAX;
}

bool groups_exist(const char *dir, const char *group)
{
	if (!is_safe(group))
		return false;
	CLEANUP(mem_freep) char *prefix = mem_printf(EMBEDDED_ROOT "%s/", group);
	size_t count = 0;
	const struct embed_file *files = embed_files(&count);
	for (size_t i = 0; i < count; i++)
		if (str_starts_with(files[i].path, prefix))
			return true;
	if (dir == NULL)
		return false;
	CLEANUP(mem_freep) char *path = mem_printf("%s/%s", dir, group);
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static char *site_path(const char *dir, const char *path)
{
	return mem_printf("%s/%s.yaml", dir, path);
}

bool groups_is_site_file(const char *dir, const char *path)
{
	if (dir == NULL || !is_safe(path))
		return false;
	CLEANUP(mem_freep) char *file = site_path(dir, path);
	struct stat st;
	return stat(file, &st) == 0 && S_ISREG(st.st_mode);
}

/* Reads a regular file whole; NOTFOUND when there is none. */
static int read_file(const char *path, char **ret_text, size_t *ret_size, struct nel_err *err)
{
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_sys(err, errno == ENOENT || errno == ENOTDIR ? NEL_NOTFOUND : NEL_INTERNAL, errno, "%s",
			       path);
	struct stat st;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return err_set(err, NEL_NOTFOUND, "%s is not a file", path);
	if (st.st_size > GROUP_FILE_BYTES_MAX)
		return err_set(err, NEL_INVALID, "%s is larger than %d bytes", path, GROUP_FILE_BYTES_MAX);
	CLEANUP(mem_freep) char *text = mem_calloc((size_t)st.st_size + 1, 1);
	ssize_t size = file_read(fd, text, (size_t)st.st_size);
	if (size < 0)
		return err_sys(err, NEL_INTERNAL, errno, "%s", path);
	*ret_text = TAKE(text);
	*ret_size = (size_t)size;
	return 0;
}

/* The package of a `# @package name` line among the comments that the file begins with, or NULL. */
static char *package_header(const char *text)
{
	for (const char *line = text; line != NULL && *line != '\0';) {
		const char *end = strchrnul(line, '\n');
		const char *p = line + strspn(line, " \t\r");
		if (p < end && *p != '#')
			return NULL;
		if (p < end) {
			p++;
			p += strspn(p, " \t");
			if (str_starts_with(p, "@package")) {
				p += strlen("@package");
				p += strspn(p, " \t:");
				return mem_strndup(p, strcspn(p, " \t\r\n"));
			}
		}
		line = *end == '\0' ? NULL : end + 1;
	}
	return NULL;
}

static int parse(const char *path, const char *text, size_t size, struct group_file *ret_file, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *config = NULL;
	if (yaml_json_parse(text, size, false, &config, NULL, NULL, err) != 0)
		return err_prefix(err, "group file %s.yaml", path);
	if (json_is_null(config)) {
		json_decref(config);
		config = json_object();
	}
	if (!json_is_object(config))
		return err_set(err, NEL_INVALID, "group file %s.yaml: it must hold a mapping", path);
	*ret_file = (struct group_file){.config = TAKE(config), .package = package_header(text)};
	return 0;
}

/* What the program carries, as embed_files() has it; parsed once, and it stays. config is NULL where the file is no
 * group's, or cannot be parsed. */
static struct group_file *embedded_groups;

static void parse_embedded(void)
{
	size_t count = 0;
	const struct embed_file *files = embed_files(&count);
	embedded_groups = mem_calloc(count, sizeof *embedded_groups);
	for (size_t i = 0; i < count; i++)
		if (str_starts_with(files[i].path, EMBEDDED_ROOT))
			(void)parse(files[i].path, files[i].data, files[i].size, &embedded_groups[i], NULL);
}

static int load_embedded(const char *path, struct group_file *ret_file, struct nel_err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	CLEANUP(mem_freep) char *name = mem_printf(EMBEDDED_ROOT "%s.yaml", path);
	const struct embed_file *file = embed_find(name);
	if (file == NULL)
		return err_set(err, NEL_NOTFOUND, "there is no group file %s.yaml", path);
	pthread_once(&once, parse_embedded);
	size_t count = 0;
	const struct group_file *group = &embedded_groups[file - embed_files(&count)];
	if (group->config == NULL)
		return parse(path, file->data, file->size, ret_file, err);
	*ret_file = (struct group_file){.config = json_deep_copy(group->config), .package = mem_strdup(group->package)};
	return 0;
}

int groups_load(const char *dir, const char *path, struct group_file *ret_file, struct nel_err *err)
{
	if (!is_safe(path))
		return err_set(err, NEL_INVALID, "\"%s\" is not a name for a group file", path);
	if (dir != NULL) {
		CLEANUP(mem_freep) char *file = site_path(dir, path);
		CLEANUP(mem_freep) char *text = NULL;
		size_t size = 0;
		if (read_file(file, &text, &size, err) == 0)
			return parse(path, text, size, ret_file, err);
		if (err == NULL || err->kind != NEL_NOTFOUND)
			return -1;
	}
	return load_embedded(path, ret_file, err);
}

struct options {
	char **items;
	size_t count;
};

/* Adds name without its ".yaml", once. */
static void add_option(struct options *o, const char *name)
{
	if (!str_ends_with(name, ".yaml") || o->count >= GROUP_OPTIONS_MAX)
		return;
	CLEANUP(mem_freep) char *option = mem_strndup(name, strlen(name) - strlen(".yaml"));
	for (size_t i = 0; i < o->count; i++)
		if (strcmp(o->items[i], option) == 0)
			return;
	o->items = mem_realloc(o->items, o->count + 2, sizeof *o->items);
	o->items[o->count++] = TAKE(option);
	o->items[o->count] = NULL;
}

static void dir_closep(DIR **dir)
{
	if (*dir != NULL)
		closedir(*dir);
}

static void add_folder(struct options *o, const char *folder, const char *prefix, int depth)
{
	CLEANUP(dir_closep) DIR *dir = opendir(folder);
	if (dir == NULL || depth > FOLDER_DEPTH_MAX)
		return;
	for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		if (entry->d_name[0] == '.')
			continue;
		CLEANUP(mem_freep) char *path = mem_printf("%s/%s", folder, entry->d_name);
		CLEANUP(mem_freep) char *name = mem_printf("%s%s", prefix, entry->d_name);
		struct stat st;
		if (stat(path, &st) != 0)
			continue;
		if (S_ISREG(st.st_mode))
			add_option(o, name);
		if (S_ISDIR(st.st_mode)) {
			CLEANUP(mem_freep) char *inner = mem_printf("%s/", name);
			add_folder(o, path, inner, depth + 1);
		}
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char **groups_options(const char *dir, const char *group)
{
	struct options o = {.items = mem_calloc(1, sizeof(char *))};
	if (*group != '\0' && !is_safe(group))
		return o.items;
	CLEANUP(mem_freep) char *prefix = mem_printf(EMBEDDED_ROOT "%s%s", group, *group == '\0' ? "" : "/");
	size_t count = 0;
	const struct embed_file *files = embed_files(&count);
	for (size_t i = 0; i < count; i++)
		if (str_starts_with(files[i].path, prefix))
			add_option(&o, files[i].path + strlen(prefix));
	if (dir != NULL) {
		CLEANUP(mem_freep) char *folder = mem_printf("%s/%s", dir, group);
		add_folder(&o, folder, "", 0);
	}
	qsort(o.items, o.count, sizeof *o.items, by_name);
	return o.items;
}

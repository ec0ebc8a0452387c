/* The task catalogue: a sorted index over the rows of a tab-separated file. Lends its rows, changes nothing. */
#include "config/plan/catalogue.h"

#include "base/embed.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <string.h>

#define BUILT_IN "daemon/config/tasks.tsv"
#define FILE_MAX (4 * 1024 * 1024) /* bytes; the built-in one has 37 KiB */
#define TASKS_MAX 20000
#define COLUMNS 4

struct catalogue {
	struct catalogue_task *tasks; /* in file order */
	size_t count;
	const struct catalogue_task **by_name; /* the same, sorted by task, then file order */
};

static int read_file(const char *path, char **ret_text, struct nel_err *err)
{
	CLEANUP(file_closep) FILE *file = fopen(path, "re");
	if (file == NULL)
		return err_sys(err, errno == ENOENT ? NEL_NOTFOUND : NEL_INTERNAL, errno, "cannot open %s", path);
	struct str text = {0};
	char buffer[8192];
	size_t n;
	while ((n = fread(buffer, 1, sizeof buffer, file)) > 0 && text.len <= FILE_MAX)
		str_append_n(&text, buffer, n);
	int sys = ferror(file) ? errno : 0;
	if (sys != 0 || text.len > FILE_MAX || strlen(str_text(&text)) != text.len) {
		size_t size = text.len;
		str_done(&text);
		if (sys != 0)
			return err_sys(err, NEL_INTERNAL, sys, "cannot read %s", path);
		return err_set(err, NEL_INVALID, size > FILE_MAX ? "%s is larger than 4 MiB" : "%s holds a NUL byte",
			       path);
	}
	*ret_text = str_take(&text);
	return 0;
}

static char **split_types(const char *text)
{
	size_t count = 1;
	for (const char *p = text; *p != '\0'; p++)
		count += *p == ',';
	char **types = mem_calloc(count + 1, sizeof *types);
	for (size_t i = 0; i < count; i++) {
		size_t size = strcspn(text, ",");
		types[i] = mem_strndup(text, size);
		text += size + (text[size] == ',');
	}
	return types;
}

static bool is_word(const char *text)
{
	return *text != '\0' && strpbrk(text, " '\"\\`") == NULL && !str_has_control(text);
}

/* Splits line in place and adds it. */
static int add_line(struct catalogue *c, char *line, const char *path, int number, struct nel_err *err)
{
	char *column[COLUMNS];
	for (size_t i = 0; i < COLUMNS; i++) {
		size_t size = strcspn(line, "\t");
		bool more = line[size] == '\t';
		column[i] = line;
		line[size] = '\0';
		if (more != (i + 1 < COLUMNS) || !is_word(column[i]))
			return err_set(err, NEL_INVALID,
				       "%s:%d: needs four columns between tabs: harness, task, "
				       "image, endpoint types; none empty, none with spaces",
				       path, number);
		line += size + more;
	}
	if (c->count >= TASKS_MAX)
		return err_set(err, NEL_INVALID, "%s:%d: more than %d tasks", path, number, TASKS_MAX);
	c->tasks = mem_realloc(c->tasks, c->count + 1, sizeof *c->tasks);
	c->tasks[c->count++] = (struct catalogue_task){.harness = mem_strdup(column[0]),
						       .task = mem_strdup(column[1]),
						       .container = mem_strdup(column[2]),
						       .endpoint_types = split_types(column[3])};
	return 0;
}

static int add_lines(struct catalogue *c, char *text, const char *path, struct nel_err *err)
{
	for (int number = 1; *text != '\0'; number++) {
		size_t size = strcspn(text, "\n");
		bool more = text[size] == '\n';
		text[size] = '\0';
		if (size > 0 && text[size - 1] == '\r')
			text[size - 1] = '\0';
		if (*text != '\0' && *text != '#' && add_line(c, text, path, number, err) < 0)
			return -1;
		text += size + more;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct catalogue_task *const *left = a, *const *right = b;
	int order = strcmp((*left)->task, (*right)->task);
	return order != 0 ? order : (*left > *right) - (*left < *right);
}

static int build_index(struct catalogue *c, const char *path, struct nel_err *err)
{
	c->by_name = mem_calloc(c->count + 1, sizeof *c->by_name);
	for (size_t i = 0; i < c->count; i++)
		c->by_name[i] = &c->tasks[i];
	qsort(c->by_name, c->count, sizeof *c->by_name, compare);
	for (size_t i = 0; i < c->count; i++) {
		for (size_t j = i + 1; j < c->count && strcmp(c->by_name[i]->task, c->by_name[j]->task) == 0; j++)
			if (strcmp(c->by_name[i]->harness, c->by_name[j]->harness) == 0)
				return err_set(err, NEL_INVALID, "%s: %s.%s is there twice", path,
					       c->by_name[i]->harness, c->by_name[i]->task);
	}
	return 0;
}

int catalogue_load(const char *path, struct catalogue **ret_catalogue, struct nel_err *err)
{
	CLEANUP(mem_freep) char *text = NULL;
	CLEANUP(catalogue_freep) struct catalogue *c = mem_calloc(1, sizeof *c);
	if (path == NULL) {
		const struct embed_file *file = embed_find(BUILT_IN);
		if (file == NULL)
			return err_set(err, NEL_INTERNAL, "%s is not part of this program", BUILT_IN);
		path = BUILT_IN;
		text = mem_dup(file->data, file->size);
	} else if (read_file(path, &text, err) < 0) {
		return -1;
	}
	if (add_lines(c, text, path, err) < 0 || build_index(c, path, err) < 0)
		return -1;
	*ret_catalogue = TAKE(c);
	return 0;
}

void catalogue_free(struct catalogue *catalogue)
{
	if (catalogue == NULL)
		return;
	for (size_t i = 0; i < catalogue->count; i++) {
		struct catalogue_task *task = &catalogue->tasks[i];
		free(task->harness);
		free(task->task);
		free(task->container);
		for (char **type = task->endpoint_types; *type != NULL; type++)
			free(*type);
		free(task->endpoint_types);
	}
	free(catalogue->tasks);
	free(catalogue->by_name);
	free(catalogue);
}

size_t catalogue_count(const struct catalogue *catalogue)
{
	return catalogue->count;
}

const struct catalogue_task *catalogue_at(const struct catalogue *catalogue, size_t index)
{
	return &catalogue->tasks[index];
}

/* The first row with that task in the index; count when there is none. */
static size_t first_of(const struct catalogue *c, const char *task)
{
	size_t low = 0, high = c->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(c->by_name[middle]->task, task) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < c->count && strcmp(c->by_name[low]->task, task) == 0 ? low : c->count;
}

static bool is_harness(const struct catalogue_task *row, const char *name, size_t size)
{
	return strlen(row->harness) == size && strncmp(row->harness, name, size) == 0;
}

static enum catalogue_match find_in_harness(const struct catalogue *c, const char *name, size_t harness_size,
					    const struct catalogue_task **ret_task)
{
	const char *task = name + harness_size + 1;
	for (size_t i = first_of(c, task); i < c->count && strcmp(c->by_name[i]->task, task) == 0; i++) {
		if (is_harness(c->by_name[i], name, harness_size)) {
			*ret_task = c->by_name[i];
			return CATALOGUE_FOUND;
		}
	}
	for (size_t i = 0; i < c->count; i++) {
		if (is_harness(&c->tasks[i], name, harness_size)) {
			*ret_task = &c->tasks[i];
			return CATALOGUE_HARNESS_KNOWN;
		}
	}
	return CATALOGUE_UNKNOWN;
}

enum catalogue_match catalogue_find(const struct catalogue *catalogue, const char *name,
				    const struct catalogue_task **ret_task)
{
	size_t at = first_of(catalogue, name);
	if (at < catalogue->count) {
		*ret_task = catalogue->by_name[at];
		bool again = at + 1 < catalogue->count && strcmp(catalogue->by_name[at + 1]->task, name) == 0;
		return again ? CATALOGUE_AMBIGUOUS : CATALOGUE_FOUND;
	}
	const char *dot = strchr(name, '.');
	return dot == NULL ? CATALOGUE_UNKNOWN : find_in_harness(catalogue, name, (size_t)(dot - name), ret_task);
}

#include "slurm/files.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"
#include "slurm/records.h"
#include "slurm/remote.h"

#include <string.h>

#define PATH_SIZE_MAX 4096
#define LIST_OUTPUT_MAX (8 * 1024 * 1024)
#define HEADER_MAX 4096
#define END_MARK "\nend\n"

void remote_files_done(struct remote_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->items[i].path);
	free(files->items);
	*files = (struct remote_files){0};
}

void remote_chunk_done(struct remote_chunk *chunk)
{
	free(chunk->data);
	*chunk = (struct remote_chunk){0};
}

/* Without empty, "." and ".." parts. */
static bool is_relative(const char *path)
{
	if (path[0] == '\0' || strlen(path) >= PATH_SIZE_MAX)
		return false;
	for (const char *part = path;; part++) {
		size_t length = strcspn(part, "/");
		if (length == 0 || (length == 1 && part[0] == '.') || (length == 2 && part[0] == '.' && part[1] == '.'))
			return false;
		part += length;
		if (*part == '\0')
			return true;
	}
}

bool slurm_files_path_ok(const char *path)
{
	return !str_has_control(path) && is_relative(path);
}

/* Cuts the end mark off the answer's rest; its absence means that data is missing. */
static int cut_end(struct records *records, struct nel_err *err)
{
	size_t mark = strlen(END_MARK);
	if ((size_t)(records->end - records->at) < mark || memcmp(records->end - mark, END_MARK, mark) != 0)
		return records_truncated(err);
	records->end -= mark;
	return 0;
}

static int unreadable(struct nel_err *err)
{
	return err_set(err, NEL_REMOTE, "the cluster's answer cannot be read");
}

static bool is_version(const char *text)
{
	size_t length = strlen(text);
	return length > 0 && length < FILES_VERSION_SIZE && strspn(text, "0123456789.-") == length;
}

/* The first record, which is an error or must be of that kind. */
static int read_header(const char *text, size_t size, const char *kind, size_t fields, struct records *records,
		       struct record *record, struct nel_err *err)
{
	if (records_begin(text, size, records, err) != 0)
		return -1;
	if (!records_next(records, record))
		return records_truncated(err);
	if (record_is(record, "error"))
		return record_error(record, err);
	if (!record_is(record, kind) || !record_split(record, fields, fields))
		return unreadable(err);
	return cut_end(records, err);
}

/* What JSON and people cannot take, as %XX; where there is nothing of the kind, NULL. */
static char *escape_path(const char *path)
{
	if (record_is_clean(path))
		return NULL;
	CLEANUP(str_done) struct str s = {0};
	size_t size = strlen(path);
	for (size_t i = 0, length = 0; i < size; i += length) {
		uint32_t code = 0;
		length = utf8_decode(path + i, size - i, &code);
		bool plain = length > 0 && code >= 0x20 && code != '%' && (code < 0x7f || code > 0x9f);
		length = length > 0 ? length : 1;
		for (size_t b = i; b < i + length; b++)
			if (plain)
				str_append_c(&s, path[b]);
			else
				str_appendf(&s, "%%%02X", (unsigned char)path[b]);
	}
	return str_take(&s);
}

/* "<size>|<time>.<fraction>|<path>" */
static void add_entry(struct remote_files *files, const char *entry)
{
	struct record record;
	size_t length = strlen(entry);
	if (length >= sizeof record.line)
		return;
	memcpy(record.line, entry, length + 1);
	record.fields[0] = record.line;
	if (!record_split(&record, 3, 3) || !is_relative(record.fields[2]))
		return;
	record.fields[1][strcspn(record.fields[1], ".")] = '\0';
	if (files->count == FILES_LIST_MAX) {
		files->truncated = true;
		return;
	}
	char *escaped = escape_path(record.fields[2]);
	files->items[files->count++] = (struct remote_file){
	    .path = escaped != NULL ? escaped : mem_strdup(record.fields[2]),
	    .escaped = escaped != NULL,
	    .size = record_number(record.fields[0], INT64_MAX, 0),
	    .modified_at = record_time(record.fields[1]),
	};
}

static int compare_paths(const void *a, const void *b)
{
	const struct remote_file *left = a;
	const struct remote_file *right = b;
	return strcmp(left->path, right->path);
}

int files_parse_list(const char *text, size_t size, struct remote_files *ret_files, struct nel_err *err)
{
	struct records records;
	struct record record;
	if (read_header(text, size, "list", 1, &records, &record, err) != 0)
		return -1;
	size_t entries = 0;
	for (const char *at = records.at; at < records.end; at++)
		entries += *at == '\0';
	size_t room = entries < FILES_LIST_MAX ? entries : FILES_LIST_MAX;
	struct remote_files files = {.items = mem_calloc(room, sizeof *files.items)};
	for (const char *at = records.at; at < records.end;) {
		const char *end = memchr(at, '\0', (size_t)(records.end - at));
		if (end == NULL)
			break;
		add_entry(&files, at);
		at = end + 1;
	}
	files.truncated |= entries > FILES_LIST_MAX;
	if (files.count > 1)
		qsort(files.items, files.count, sizeof *files.items, compare_paths);
	*ret_files = files;
	return 0;
}

int files_parse_chunk(const char *text, size_t size, struct remote_chunk *ret_chunk, struct nel_err *err)
{
	struct records records;
	struct record record;
	if (read_header(text, size, "file", 5, &records, &record, err) != 0)
		return -1;
	size_t got = (size_t)(records.end - records.at);
	int64_t file_size = record_number(record.fields[1], INT64_MAX / 2, -1);
	int64_t start = record_number(record.fields[3], INT64_MAX / 2, -1);
	if (file_size < 0 || start < 0 || got > FILES_CHUNK_MAX || !is_version(record.fields[4]))
		return unreadable(err);
	*ret_chunk = (struct remote_chunk){.data = mem_dup(records.at, got),
					   .size = got,
					   .offset = start,
					   .file_size = file_size,
					   .modified_at = record_time(record.fields[2])};
	memcpy(ret_chunk->version, record.fields[4], strlen(record.fields[4]) + 1);
	return 0;
}

static int render_place(const char *job_dir, const char *folder, const char *path, const char *mode, struct str *data,
			struct nel_err *err)
{
	if (job_dir[0] != '/' || str_has_control(job_dir))
		return err_set(err, NEL_INVALID, "the job's directory must be an absolute path");
	if (!slurm_files_path_ok(folder) || strchr(folder, '/') != NULL)
		return err_set(err, NEL_INVALID, "there is no folder '%s'", folder);
	remote_set(data, "NEL_JOB_DIR", job_dir);
	remote_set(data, "NEL_FOLDER", folder);
	remote_set(data, "NEL_PATH", path);
	remote_set(data, "NEL_MODE", mode);
	return 0;
}

/* Names were printed without the folder of the prefix. */
static void add_root(struct remote_files *files, const char *root)
{
	for (size_t i = 0; i < files->count && root[0] != '\0'; i++) {
		char *path = mem_printf("%s/%s", root, files->items[i].path);
		free(files->items[i].path);
		files->items[i].path = path;
	}
}

int slurm_files_list(struct ssh_pool *pool, const char *job_dir, const char *folder, const char *prefix,
		     int64_t timeout_ms, struct remote_files *ret_files, struct nel_err *err)
{
	CLEANUP(str_done) struct str data = {0};
	const char *slash = strrchr(prefix, '/');
	CLEANUP(mem_freep) char *root = mem_strndup(prefix, slash == NULL ? 0 : (size_t)(slash - prefix));
	if (slash != NULL && !slurm_files_path_ok(root))
		return err_set(err, NEL_INVALID, "prefix: '%s' is not the beginning of a relative path", prefix);
	if (str_has_control(prefix))
		return err_set(err, NEL_INVALID, "prefix has control characters");
	if (render_place(job_dir, folder, root, "list", &data, err) != 0)
		return -1;
	remote_set(&data, "NEL_PREFIX", slash == NULL ? prefix : slash + 1);
	struct remote_call call = {
	    .script = "files", .data = str_text(&data), .output_max = LIST_OUTPUT_MAX, .timeout_ms = timeout_ms};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	if (remote_run(pool, &call, &result, err) != 0)
		return -1;
	if (files_parse_list(result.output, result.output_size, ret_files, err) != 0)
		return -1;
	add_root(ret_files, root);
	return 0;
}

static int read_chunk(struct ssh_pool *pool, const struct str *data, int64_t timeout_ms, struct remote_chunk *ret_chunk,
		      struct nel_err *err)
{
	struct remote_call call = {.script = "files",
				   .data = str_text(data),
				   .output_max = FILES_CHUNK_MAX + HEADER_MAX,
				   .timeout_ms = timeout_ms};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	if (remote_run(pool, &call, &result, err) != 0)
		return -1;
	return files_parse_chunk(result.output, result.output_size, ret_chunk, err);
}

int slurm_files_read(struct ssh_pool *pool, const char *job_dir, const char *folder, const char *path, int64_t offset,
		     size_t max_bytes, int64_t tail_lines, int64_t timeout_ms, struct remote_chunk *ret_chunk,
		     struct nel_err *err)
{
	CLEANUP(str_done) struct str data = {0};
	if (!slurm_files_path_ok(path))
		return err_set(err, NEL_INVALID, "'%s' is not a relative path", path);
	if (offset < 0 || tail_lines < 0)
		return err_set(err, NEL_INVALID, "offset and lines cannot be negative");
	if (render_place(job_dir, folder, path, "read", &data, err) != 0)
		return -1;
	if (max_bytes > FILES_CHUNK_MAX)
		max_bytes = FILES_CHUNK_MAX;
	remote_set_number(&data, "NEL_OFFSET", offset);
	remote_set_number(&data, "NEL_MAX_BYTES", (int64_t)max_bytes);
	remote_set_number(&data, "NEL_TAIL_LINES", tail_lines);
	if (read_chunk(pool, &data, timeout_ms, ret_chunk, err) != 0)
		return -1;
	if (tail_lines > 0) {
		/* The script says where it began to look; the lines are the end of what it looked at. */
		ret_chunk->offset = ret_chunk->file_size > (int64_t)ret_chunk->size
					? ret_chunk->file_size - (int64_t)ret_chunk->size
					: 0;
	}
	return 0;
}

int slurm_files_read_line(struct ssh_pool *pool, const char *job_dir, const char *folder, const char *path,
			  int64_t line, int64_t timeout_ms, struct remote_chunk *ret_chunk, struct nel_err *err)
{
	CLEANUP(str_done) struct str data = {0};
	if (!slurm_files_path_ok(path))
		return err_set(err, NEL_INVALID, "'%s' is not a relative path", path);
	if (line < 1)
		return err_set(err, NEL_INVALID, "lines count from 1");
	if (render_place(job_dir, folder, path, "line", &data, err) != 0)
		return -1;
	remote_set_number(&data, "NEL_LINE", line);
	remote_set_number(&data, "NEL_MAX_BYTES", FILES_CHUNK_MAX);
	return read_chunk(pool, &data, timeout_ms, ret_chunk, err);
}

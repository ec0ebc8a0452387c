/* What a client writes into a request's line and headers: api/query, api/cursor, api/range, api/media. The input's
 * first line is the query, the second the path, the third a header. */
#include "api/http/cursor.h"
#include "api/http/media.h"
#include "api/http/query.h"
#include "api/http/range.h"
#include "fuzz.h"

#define LINES 3

static void check_query(const struct query *query)
{
	struct nel_err err = {0};
	long long number = 0;
	long long time = 0;
	bool flag = false;
	CLEANUP(mem_freep) char *key = NULL;
	const char *value = NULL;
	FUZZ_CHECK(query->count <= QUERY_PARAMS_MAX);
	for (size_t i = 0; i < query->count; i++) {
		const struct query_param *p = &query->items[i];
		FUZZ_CHECK(!str_has_control(p->name) && fuzz_is_utf8(p->name));
		FUZZ_CHECK(!str_has_control(p->value) && fuzz_is_utf8(p->value));
		FUZZ_CHECK(query_get(query, p->name) != NULL);
	}
	if (query_check(query, "a label* since limit", &err) != 0)
		fuzz_check_error(&err, NEL_INVALID);
	if (query_get_int(query, "limit", 1, 500, 50, &number, &err) == 0)
		FUZZ_CHECK(number >= 1 && number <= 500);
	if (query_get_time(query, "since", &time, &err) != 0)
		fuzz_check_error(&err, NEL_INVALID);
	if (query_get_bool(query, "a", true, &flag, &err) != 0)
		fuzz_check_error(&err, NEL_INVALID);
	if (query_get_label(query, &key, &value, &err) == 0)
		FUZZ_CHECK((key == NULL) == (value == NULL) && (key == NULL || key[0] != '\0'));
}

/* Written out again, a query reads as itself. */
static void check_encode(const struct query *query)
{
	struct nel_err err = {0};
	struct str text = {0};
	CLEANUP(query_params_done) struct query again = {0};
	for (size_t i = 0; i < query->count; i++) {
		str_append(&text, i == 0 ? "" : "&");
		query_encode(&text, query->items[i].name);
		str_append_c(&text, '=');
		query_encode(&text, query->items[i].value);
	}
	CLEANUP(mem_freep) char *copy = str_take(&text);
	FUZZ_CHECK(query_parse(copy, &again, &err) == 0 && again.count == query->count);
	for (size_t i = 0; i < query->count; i++)
		FUZZ_CHECK(strcmp(again.items[i].name, query->items[i].name) == 0 &&
			   strcmp(again.items[i].value, query->items[i].value) == 0);
}

static void try_query(char *text)
{
	struct nel_err err = {0};
	CLEANUP(query_params_done) struct query query = {0};
	if (query_parse(text, &query, &err) != 0) {
		fuzz_check_error(&err, NEL_INVALID);
		FUZZ_CHECK(query.items == NULL);
		return;
	}
	check_query(&query);
	check_encode(&query);
}

static void try_cursor(const char *text)
{
	static const enum cursor_kind kinds[] = {CURSOR_EVALUATIONS, CURSOR_JOBS, CURSOR_RESULTS, CURSOR_TASKS};
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct nel_err err = {0};
		int64_t position = -1;
		char again[CURSOR_SIZE];
		if (cursor_parse(kinds[i], text, &position, &err) != 0) {
			fuzz_check_error(&err, NEL_INVALID);
			continue;
		}
		FUZZ_CHECK(position >= 0);
		cursor_format(kinds[i], position, again);
		FUZZ_CHECK(strcmp(again, text) == 0);
	}
}

static void try_path(char *path)
{
	static const char *const templates[] = {"/v1/jobs/{id}/logs", "/v1/jobs/{id}/artifacts/{path}", "/v1/jobs",
						"/v1/clusters/{name}"};
	for (size_t i = 0; i < sizeof templates / sizeof templates[0]; i++) {
		struct path_capture captures[PATH_CAPTURES_MAX];
		size_t count = 0;
		if (!path_match(templates[i], path, captures, &count))
			continue;
		FUZZ_CHECK(count <= PATH_CAPTURES_MAX);
		for (size_t c = 0; c < count; c++)
			FUZZ_CHECK(captures[c].size > 0 && captures[c].start + captures[c].size <= strlen(path));
	}
	struct nel_err err = {0};
	if (query_decode(path, false, "the path", &err) != 0)
		fuzz_check_error(&err, NEL_INVALID);
	else
		FUZZ_CHECK(!str_has_control(path) && fuzz_is_utf8(path));
}

static void try_header(const char *header)
{
	static const int64_t sizes[] = {0, 1, 1000, INT64_MAX};
	struct range range = range_parse(header);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		int64_t offset = -1;
		int64_t length = -1;
		if (!range_resolve(&range, sizes[i], &offset, &length))
			continue;
		FUZZ_CHECK(offset >= 0 && length >= 0 && offset <= sizes[i] && length <= sizes[i] - offset);
		FUZZ_CHECK(range.kind == RANGE_NONE || length > 0);
	}
	(void)media_kind_of(header);
	(void)media_prefers(header, "text/csv", "application/json");
	(void)media_etag_matches(header, "\"abc\"");
	(void)media_type_of_file(header);
	try_cursor(header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *lines[LINES] = {NULL};
	size_t at = 0;
	for (size_t i = 0; i < LINES; i++) {
		const uint8_t *end = at < size ? memchr(data + at, '\n', size - at) : NULL;
		size_t length = end == NULL ? size - at : (size_t)(end - data) - at;
		lines[i] = mem_calloc(length + 1, 1);
		if (length > 0)
			memcpy(lines[i], data + at, length);
		at += length;
		at += at < size;
	}
	try_query(lines[0]);
	try_path(lines[1]);
	try_header(lines[2]);
	for (size_t i = 0; i < LINES; i++)
		free(lines[i]);
	return 0;
}

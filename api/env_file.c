/* Owns the syntax of env files. */
#include "api/env_file.h"

#include "base/mem.h"
#include "base/str.h"

#include <string.h>

#define SPACE " \t"

struct reader {
	const char *at;
	int line;
};

static int single_quoted(struct reader *r, struct str *value, struct nel_err *err)
{
	int first_line = r->line;
	for (r->at++; *r->at != '\''; r->at++) {
		if (*r->at == '\0')
			return err_set(err, NEL_INVALID, "line %d: the quote is not closed", first_line);
		r->line += *r->at == '\n';
		str_append_c(value, *r->at);
	}
	r->at++;
	return 0;
}

static int double_quoted(struct reader *r, struct str *value, struct nel_err *err)
{
	int first_line = r->line;
	for (r->at++; *r->at != '"'; r->at++) {
		if (r->at[0] == '\\' && r->at[1] != '\0' && strchr("\"\\$`\n", r->at[1]) != NULL) {
			r->at++;
			r->line += *r->at == '\n';
			if (*r->at != '\n')
				str_append_c(value, *r->at);
			continue;
		}
		if (*r->at == '\0')
			return err_set(err, NEL_INVALID, "line %d: the quote is not closed", first_line);
		r->line += *r->at == '\n';
		str_append_c(value, *r->at);
	}
	r->at++;
	return 0;
}

static void unquoted(struct reader *r, struct str *value)
{
	size_t size = 0;
	const char *p = r->at;
	while (p[size] != '\0' && p[size] != '\n' &&
	       !(p[size] == '#' && (size == 0 || p[size - 1] == ' ' || p[size - 1] == '\t')))
		size++;
	r->at += size;
	while (size > 0 && (p[size - 1] == ' ' || p[size - 1] == '\t' || p[size - 1] == '\r'))
		size--;
	str_append_n(value, p, size);
}

/* Only blanks or a comment may be left of the line; moves to the next one. */
static int end_line(struct reader *r, struct nel_err *err)
{
	r->at += strspn(r->at, " \t\r");
	if (*r->at == '#')
		r->at += strcspn(r->at, "\n");
	if (*r->at != '\n' && *r->at != '\0')
		return err_set(err, NEL_INVALID, "line %d: text behind the closing quote", r->line);
	if (*r->at == '\n') {
		r->at++;
		r->line++;
	}
	return 0;
}

static int read_value(struct reader *r, struct str *value, struct nel_err *err)
{
	if (*r->at == '\'')
		return single_quoted(r, value, err);
	if (*r->at == '"')
		return double_quoted(r, value, err);
	unquoted(r, value);
	return 0;
}

static int read_variable(struct reader *r, struct submission *s, struct nel_err *err)
{
	int line = r->line;
	if (str_starts_with(r->at, "export ") || str_starts_with(r->at, "export\t")) {
		r->at += strlen("export ");
		r->at += strspn(r->at, SPACE);
	}
	size_t name_size = strcspn(r->at, "=\n");
	if (r->at[name_size] != '=')
		return err_set(err, NEL_INVALID, "line %d: not NAME=value", line);
	CLEANUP(mem_freep) char *name = mem_strndup(r->at, name_size);
	r->at += name_size + 1;
	struct str value = {0};
	int result = read_value(r, &value, err);
	if (result == 0 && submission_add_env(s, name, str_text(&value), err) != 0)
		result = err_prefix(err, "line %d", line);
	if (result == 0)
		result = end_line(r, err);
	if (value.data != NULL)
		secret_wipe(value.data);
	str_done(&value);
	return result;
}

int env_file_parse(const char *text, size_t size, struct submission *s, struct nel_err *err)
{
	if (memchr(text, '\0', size) != NULL)
		return err_set(err, NEL_INVALID, "the env file has a NUL byte");
	CLEANUP(mem_freep) char *copy = mem_dup(text, size);
	struct reader r = {.at = copy, .line = 1};
	int result = 0;
	while (*r.at != '\0' && result == 0) {
		r.at += strspn(r.at, SPACE);
		bool empty = *r.at == '\0' || *r.at == '\n' || *r.at == '\r' || *r.at == '#';
		result = empty ? end_line(&r, err) : read_variable(&r, s, err);
	}
	secret_wipe(copy);
	return result;
}

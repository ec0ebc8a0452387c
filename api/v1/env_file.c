/* Owns the syntax of env files: that of python-dotenv (its parser.py), which the launcher reads them with; what that
 * skips with a warning is an error here. */
#include "api/v1/env_file.h"

#include "base/mem.h"
#include "base/str.h"

#include <stddef.h>
#include <string.h>

#define SPACE " \t"

struct reader {
	const char *at;
	int line;
};

/* Appends the character that a backslash and the byte behind it stand for, or both as they are. */
static void append_escape(struct str *value, char quote, char byte)
{
	static const char letters[] = "abfnrtv", meanings[] = "\a\b\f\n\r\t\v";
	const char *letter = quote == '"' ? strchr(letters, byte) : NULL;
	if (letter != NULL)
		str_append_c(value, meanings[letter - letters]);
	else if (byte == '\\' || byte == '\'' || byte == quote)
		str_append_c(value, byte);
	else
		str_append_n(value, (char[]){'\\', byte}, 2);
}

static int quoted(struct reader *r, struct str *value, struct nel_err *err)
{
	int first_line = r->line;
	char quote = *r->at;
	for (r->at++; *r->at != quote; r->at++) {
		bool escaped = *r->at == '\\';
		r->at += escaped;
		if (*r->at == '\0')
			return err_set(err, NEL_INVALID, "line %d: the quote is not closed", first_line);
		r->line += *r->at == '\n';
		if (escaped)
			append_escape(value, quote, *r->at);
		else
			str_append_c(value, *r->at);
	}
	r->at++;
	return 0;
}

/* Up to the end of the line, or to blanks and a '#'. What is before r->at is the '=', or blanks. */
static void unquoted(struct reader *r, struct str *value)
{
	const char *p = r->at;
	size_t size = strcspn(p, "\r\n");
	r->at += size;
	for (size_t i = 0; i < size; i++)
		if (p[i] == '#' && strchr(SPACE, p[(ptrdiff_t)i - 1]) != NULL)
			size = i;
	while (size > 0 && strchr(SPACE, p[size - 1]) != NULL)
		size--;
	str_append_n(value, p, size);
}

/* python-dotenv puts variables in, within any quotes, from the file and from an environment that is not here. */
static int check_no_reference(const char *value, int line, struct nel_err *err)
{
	const char *open = strstr(value, "${");
	if (open == NULL || strchr(open, '}') == NULL)
		return 0;
	return err_set(err, NEL_INVALID,
		       "line %d: ${...} in a value is not expanded here, as other readers of such files do: write the "
		       "value itself, or send it as JSON in `env` if it is meant as it stands",
		       line);
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

static int read_variable(struct reader *r, struct submission *s, struct nel_err *err)
{
	int line = r->line;
	if (str_starts_with(r->at, "export ") || str_starts_with(r->at, "export\t")) {
		r->at += strlen("export ");
		r->at += strspn(r->at, SPACE);
	}
	size_t name_size = strcspn(r->at, "= \t\r\n#");
	CLEANUP(mem_freep) char *name = mem_strndup(r->at, name_size);
	r->at += name_size;
	r->at += strspn(r->at, SPACE);
	if (*r->at != '=')
		return err_set(err, NEL_INVALID, "line %d: not NAME=value%s", line,
			       line == 1 && strchr(r->at, '\n') == NULL
				   ? "; if this is the name of a file, curl sends what is in it with an '@' before it: "
				     "-F env_file=@FILE"
				   : "");
	r->at++;
	r->at += strspn(r->at, SPACE);
	struct str value = {0};
	int result = 0;
	if (*r->at == '\'' || *r->at == '"')
		result = quoted(r, &value, err);
	else
		unquoted(r, &value);
	if (result == 0)
		result = check_no_reference(str_text(&value), line, err);
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

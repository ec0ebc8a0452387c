/* Owns the syntax of env files: that of python-dotenv (its parser.py), which the launcher reads them with; what that
 * skips with a warning is an error here, and a byte order mark at the start is skipped. */
#include "api/v1/env_file.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define SPACE " \t"

struct env_scan {
	const char *at;
	int line;
};

/* The size of the white space at p as Python's regular expressions have it, but for the ends of lines; 0: it is none.
 */
static size_t blank_size(const char *p)
{
	static const char *const wide[] = {"\xc2\x85", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003",
					   "\u2004",   "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a",
					   "\u2028",   "\u2029", "\u202f", "\u205f", "\u3000"};
	if (*p != '\0' && strchr(SPACE "\v\f\x1c\x1d\x1e\x1f", *p) != NULL)
		return 1;
	for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++)
		if (str_starts_with(p, wide[i]))
			return strlen(wide[i]);
	return 0;
}

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

static int quoted(struct env_scan *scan, struct str *value, struct nel_err *err)
{
	int first_line = scan->line;
	char quote = *scan->at;
	for (scan->at++; *scan->at != quote; scan->at++) {
		bool escaped = *scan->at == '\\';
		scan->at += escaped;
		if (*scan->at == '\0')
			return err_set(err, NEL_INVALID, "line %d: the quote is not closed", first_line);
		scan->line += *scan->at == '\n';
		if (escaped)
			append_escape(value, quote, *scan->at);
		else
			str_append_c(value, *scan->at);
	}
	scan->at++;
	return 0;
}

/* Up to the end of the line, or to blanks and a '#'. What is before scan->at is the '=', or blanks. */
static void unquoted(struct env_scan *scan, struct str *value)
{
	const char *p = scan->at;
	size_t size = strcspn(p, "\r\n");
	size_t end = 0;
	bool behind_blank = p[-1] != '=';
	for (size_t i = 0; i < size && !(p[i] == '#' && behind_blank);) {
		size_t blank = blank_size(p + i);
		behind_blank = blank > 0;
		i += behind_blank ? blank : 1;
		if (!behind_blank)
			end = i;
	}
	scan->at += size;
	str_append_n(value, p, end);
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
static int end_line(struct env_scan *scan, struct nel_err *err)
{
	scan->at += strspn(scan->at, " \t\r");
	if (*scan->at == '#')
		scan->at += strcspn(scan->at, "\n");
	if (*scan->at != '\n' && *scan->at != '\0')
		return err_set(err, NEL_INVALID, "line %d: text behind the closing quote", scan->line);
	if (*scan->at == '\n') {
		scan->at++;
		scan->line++;
	}
	return 0;
}

static int read_variable(struct env_scan *scan, struct submission *s, struct nel_err *err)
{
	int line = scan->line;
	if (str_starts_with(scan->at, "export ") || str_starts_with(scan->at, "export\t")) {
		scan->at += strlen("export ");
		scan->at += strspn(scan->at, SPACE);
	}
	size_t name_size = strcspn(scan->at, "= \t\r\n#");
	CLEANUP(mem_freep) char *name = mem_strndup(scan->at, name_size);
	scan->at += name_size;
	scan->at += strspn(scan->at, SPACE);
	if (*scan->at != '=')
		return err_set(err, NEL_INVALID, "line %d: not NAME=value%s", line,
			       line == 1 && strchr(scan->at, '\n') == NULL
				   ? "; if this is the name of a file, curl sends what is in it with an '@' before it: "
				     "-F env_file=@FILE"
				   : "");
	scan->at++;
	while (blank_size(scan->at) > 0)
		scan->at += blank_size(scan->at);
	struct str value = {0};
	int result = 0;
	if (*scan->at == '\'' || *scan->at == '"')
		result = quoted(scan, &value, err);
	else
		unquoted(scan, &value);
	if (result == 0)
		result = check_no_reference(str_text(&value), line, err);
	if (result == 0 && submission_add_env(s, name, str_text(&value), err) != 0)
		result = err_prefix(err, "line %d", line);
	if (result == 0)
		result = end_line(scan, err);
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
	struct env_scan scan = {.at = copy + utf8_mark_size(text, size), .line = 1};
	int result = 0;
	while (*scan.at != '\0' && result == 0) {
		scan.at += strspn(scan.at, SPACE);
		bool empty = *scan.at == '\0' || *scan.at == '\n' || *scan.at == '\r' || *scan.at == '#';
		result = empty ? end_line(&scan, err) : read_variable(&scan, s, err);
	}
	secret_wipe(copy);
	return result;
}

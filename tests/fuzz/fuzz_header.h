/* Reads the generated header of run.sub as sbatch and bash do, and holds it to its shape: options of sbatch, comments,
 * and data in which every byte that came from a config stands in single quotes. */
#ifndef NEL_TESTS_FUZZ_HEADER_H
#define NEL_TESTS_FUZZ_HEADER_H

#include "fuzz.h"

#define HEADER_SHEBANG "#!/bin/bash\n"
#define HEADER_OPTION "#SBATCH --"
#define HEADER_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

/* Takes the word of an option's line as sbatch does (Slurm 22.05, src/sbatch/opt.c, _get_argument()): both quotes, '\'
 * everywhere. There must be one word and nothing else. free() it; *ret_next is behind the line. */
static inline char *fuzz_option_word(const char *line, const char **ret_next)
{
	struct str word = {0};
	char quote = '\0';
	const char *p = line + strlen("#SBATCH ");
	for (; *p != '\n' && *p != '\0'; p++) {
		if (*p == '\\') {
			p++;
			FUZZ_CHECK(*p != '\n' && *p != '\0');
			str_append_c(&word, *p);
		} else if (quote != '\0' ? *p == quote : *p == '"' || *p == '\'') {
			quote = quote != '\0' ? '\0' : *p;
		} else {
			FUZZ_CHECK(quote != '\0' || (*p != ' ' && *p != '\t' && *p != '#'));
			str_append_c(&word, *p);
		}
	}
	FUZZ_CHECK(quote == '\0' && *p == '\n');
	*ret_next = p + 1;
	return str_take(&word);
}

/* Behind a word of quoted and bare pieces; the bare ones are of few characters, which mean nothing to a shell. */
static inline const char *fuzz_shell_word(const char *p, struct str *value)
{
	for (;;) {
		size_t bare = strspn(p, HEADER_LETTERS ".-");
		str_append_n(value, p, bare);
		p += bare;
		if (p[0] == '\\' && p[1] == '\'') {
			str_append_c(value, '\'');
			p += 2;
		} else if (*p == '\'') {
			size_t length = strcspn(p + 1, "'");
			FUZZ_CHECK(p[1 + length] == '\'');
			str_append_n(value, p + 1, length);
			/* sbatch reads "#PBS" and "#BSUB" at the start of any line. */
			for (size_t i = 1; i <= length; i++)
				FUZZ_CHECK(p[i] != '\n' || p[i + 1] != '#');
			p += length + 2;
		} else {
			return p;
		}
	}
}

/* Behind the elements of "(...)". */
static inline const char *fuzz_shell_array(const char *p)
{
	struct str value = {0};
	for (p++; *p != ')';) {
		const char *word = p;
		p = fuzz_shell_word(p, &value);
		FUZZ_CHECK(p != word || *p == ' ' || *p == '\n');
		p += strspn(p, " \n");
	}
	str_done(&value);
	return p + 1;
}

/* Behind "NAME", "NAME[0]". */
static inline const char *fuzz_shell_name(const char *p)
{
	FUZZ_CHECK(str_starts_with(p, "NEL_"));
	p += strspn(p, HEADER_LETTERS);
	if (*p == '[')
		p += 1 + strspn(p + 1, "0123456789") + 1;
	return p;
}

/* One line of data: an assignment, or "readonly" and names. */
static inline const char *fuzz_shell_line(const char *p, struct str *value)
{
	static const char attempt[] = "readonly NEL_ATTEMPT=${1:-"; /* the one parameter that the header reads */
	bool constant = str_starts_with(p, "readonly ");
	if (str_starts_with(p, attempt)) {
		p += strlen(attempt);
		p += strspn(p, "0123456789");
		FUZZ_CHECK(str_starts_with(p, "}\n"));
		return p + 2;
	}
	p = fuzz_shell_name(constant ? p + strlen("readonly ") : p);
	while (constant && *p == ' ') {
		p++;
		p += str_starts_with(p, "\\\n") ? 2 : 0;
		p += strspn(p, " ");
		p = fuzz_shell_name(p);
	}
	if (*p == '=')
		p = p[1] == '(' ? fuzz_shell_array(p + 1) : fuzz_shell_word(p + 1, value);
	FUZZ_CHECK(*p == '\n');
	return p + 1;
}

static inline const char *fuzz_header_data(const char *header)
{
	FUZZ_CHECK(str_starts_with(header, HEADER_SHEBANG));
	const char *p = header + strlen(HEADER_SHEBANG);
	while (str_starts_with(p, HEADER_OPTION))
		free(fuzz_option_word(p, &p));
	return p;
}

static inline void fuzz_check_header(const char *header)
{
	const char *p = fuzz_header_data(header);
	while (*p != '\0') {
		struct str value = {0};
		if (*p == '\n')
			p++;
		else if (*p == '#')
			p += strcspn(p, "\n");
		else
			p = fuzz_shell_line(p, &value);
		str_done(&value);
	}
}

/* Is there an assignment to the name, of that value? */
static inline bool fuzz_header_has(const char *header, const char *name, const char *expected)
{
	bool found = false;
	const char *p = fuzz_header_data(header);
	while (*p != '\0' && !found) {
		if (*p == '\n' || *p == '#') {
			p += *p == '\n' ? 1 : strcspn(p, "\n");
			continue;
		}
		struct str value = {0};
		const char *at = str_starts_with(p, "readonly ") ? p + strlen("readonly ") : p;
		bool named = strncmp(at, name, strlen(name)) == 0 && at[strlen(name)] == '=';
		p = fuzz_shell_line(p, &value);
		found = named && strcmp(str_text(&value), expected) == 0;
		str_done(&value);
	}
	return found;
}

/* Does sbatch get that option? value NULL: a bare one. */
static inline bool fuzz_header_has_option(const char *header, const char *name, const char *value)
{
	bool found = false;
	CLEANUP(mem_freep)
	char *expected = mem_printf("--%s%s%s", name, value == NULL ? "" : "=", value == NULL ? "" : value);
	const char *p = header + strlen(HEADER_SHEBANG);
	while (str_starts_with(p, HEADER_OPTION)) {
		CLEANUP(mem_freep) char *word = fuzz_option_word(p, &p);
		found = found || strcmp(word, expected) == 0;
	}
	return found;
}

#endif

#include "slurm/follow.h"

#include "base/mem.h"
#include "slurm/records.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES (FOLLOW_PIECE_MAX / 3 * 4 + 256)
#define ID_MAX 999999999

void follow_render(const char *const *environment, char ret_command[REMOTE_COMMAND_SIZE], char **ret_input,
		   size_t *ret_size)
{
	const struct remote_call call = {.script = "follow"};
	remote_render(&call, environment, ret_command, ret_input, ret_size);
}

void follow_add(struct str *input, int id, int64_t offset, const char *job_dir, const char *name)
{
	str_appendf(input, "add\x1f%d\x1f%" PRId64 "\x1f%s\x1f%s\n", id, offset, job_dir, name);
}

void follow_drop(struct str *input, int id)
{
	str_appendf(input, "drop\x1f%d\n", id);
}

void follow_parser_done(struct follow_parser *parser)
{
	str_done(&parser->line);
	free(parser->data);
	*parser = (struct follow_parser){0};
}

/* Cuts the next field off *at; NULL when there is none. */
static char *cut(char **at)
{
	char *field = *at;
	if (field != NULL) {
		char *bar = strchr(field, '|');
		*at = bar == NULL ? NULL : bar + 1;
		if (bar != NULL)
			*bar = '\0';
	}
	return field;
}

static bool read_numbers(char **at, bool with_offset, struct follow_answer *answer)
{
	const char *id = cut(at);
	const char *offset = with_offset ? cut(at) : NULL;
	answer->id = id == NULL ? -1 : (int)record_number(id, ID_MAX, -1);
	answer->offset = offset == NULL ? -1 : record_number(offset, INT64_MAX / 2, -1);
	return answer->id >= 0 && (!with_offset || answer->offset >= 0);
}

static bool read_data(struct follow_parser *parser, const char *text, struct follow_answer *answer)
{
	const char *end = NULL;
	if (text == NULL)
		return false;
	if (parser->data == NULL)
		parser->data = mem_calloc(1, FOLLOW_PIECE_MAX);
	answer->data = parser->data;
	return sodium_base642bin((unsigned char *)parser->data, FOLLOW_PIECE_MAX, text, strlen(text), NULL,
				 &answer->size, &end, sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       *end == '\0';
}

/* False when the line is none of ours. */
static bool read_line(struct follow_parser *parser, char *line, struct follow_answer *answer)
{
	char *at = line;
	const char *kind = cut(&at);
	if (strcmp(kind, "poll") == 0) {
		answer->kind = FOLLOW_POLL;
		return true;
	}
	if (strcmp(kind, "start") == 0) {
		answer->kind = FOLLOW_START;
		return read_numbers(&at, true, answer);
	}
	if (strcmp(kind, "anew") == 0) {
		answer->kind = FOLLOW_ANEW;
		return read_numbers(&at, false, answer);
	}
	answer->kind = FOLLOW_DATA;
	return strcmp(kind, "data") == 0 && read_numbers(&at, true, answer) && read_data(parser, at, answer);
}

/* "error|<kind>|<text>", as of every script: here only of one that was not run. */
static int read_error(const struct follow_parser *parser, struct nel_err *err)
{
	struct record record;
	snprintf(record.line, sizeof record.line, "%s", parser->line.data);
	record.fields[0] = record.line;
	record.count = 1;
	(void)record_error(&record, err);
	if (err != NULL)
		err->kind = NEL_REMOTE;
	return -1;
}

int follow_parse(struct follow_parser *parser, const char *output, size_t size,
		 void (*answer)(const struct follow_answer *answer, void *arg), void *arg, struct nel_err *err)
{
	while (size > 0) {
		const char *newline = memchr(output, '\n', size);
		size_t part = newline == NULL ? size : (size_t)(newline - output);
		if (parser->line.len + part > LINE_MAX_BYTES)
			return err_set(err, NEL_REMOTE, "the follower's answer cannot be read");
		str_append_n(&parser->line, output, part);
		if (newline == NULL)
			return 0;
		output += part + 1;
		size -= part + 1;
		struct follow_answer one = {0};
		if (!parser->begun) /* what a login shell prints comes first */
			parser->begun = strcmp(str_text(&parser->line), "nel|begin|1") == 0;
		else if (str_starts_with(str_text(&parser->line), "error|"))
			return read_error(parser, err);
		else if (parser->line.len > 0 && read_line(parser, parser->line.data, &one))
			answer(&one, arg);
		else
			return err_set(err, NEL_REMOTE, "the follower's answer cannot be read");
		str_clear(&parser->line);
	}
	return 0;
}

/* Owns the splitting of forms, and which of their parts a submission has. */
#include "api/v1/multipart.h"

#include "api/http/media.h"
#include "api/v1/env_file.h"
#include "base/mem.h"
#include "base/str.h"

#include <string.h>
#include <strings.h>

#define BOUNDARY_SIZE_MAX 70 /* RFC 2046, section 5.1.1 */
#define HEADERS_SIZE_MAX 4096

void multipart_done(struct multipart *m)
{
	for (size_t i = 0; i < m->count; i++) {
		free(m->parts[i].name);
		free(m->parts[i].filename);
		free(m->parts[i].content_type);
	}
	free(m->parts);
	*m = (struct multipart){0};
}

/* The value of a parameter ("; name=value", quoted or not) of a header, or NULL. */
static char *parameter(const char *header, const char *name)
{
	size_t name_size = strlen(name);
	for (const char *p = strchr(header, ';'); p != NULL; p = strchr(p, ';')) {
		p++;
		p += strspn(p, " \t");
		if (strncasecmp(p, name, name_size) != 0 || p[name_size] != '=')
			continue;
		p += name_size + 1;
		if (*p == '"')
			return mem_strndup(p + 1, strcspn(p + 1, "\""));
		return mem_strndup(p, strcspn(p, "; \t"));
	}
	return NULL;
}

/* Notes what a header line of a part says. */
static void take_header(const char *line, struct multipart_part *part)
{
	static const char disposition[] = "Content-Disposition:";
	static const char type[] = "Content-Type:";
	if (strncasecmp(line, disposition, sizeof disposition - 1) == 0) {
		free(part->name);
		free(part->filename);
		part->name = parameter(line, "name");
		part->filename = parameter(line, "filename");
	} else if (strncasecmp(line, type, sizeof type - 1) == 0) {
		free(part->content_type);
		part->content_type = mem_strdup(line + sizeof type - 1);
	}
}

/* Reads the headers of the part that begins at data; *ret_size is theirs with the empty line. */
static int read_headers(const char *data, size_t size, struct multipart_part *part, size_t *ret_size,
			struct nel_err *err)
{
	size_t at = 0;
	while (at < size && at < HEADERS_SIZE_MAX) {
		const char *end = memmem(data + at, size - at, "\r\n", 2);
		if (end == NULL)
			break;
		size_t line_size = (size_t)(end - data) - at;
		if (line_size == 0) {
			*ret_size = at + 2;
			return part->name != NULL ? 0 : err_set(err, NEL_INVALID, "multipart: a part without a name");
		}
		CLEANUP(mem_freep) char *line = mem_strndup(data + at, line_size);
		take_header(line, part);
		at += line_size + 2;
	}
	return err_set(err, NEL_INVALID, "multipart: the headers of a part do not end");
}

/* The text that stands before each part: CRLF, two dashes, and the boundary. */
static int find_delimiter(const char *content_type, char **ret_delimiter, struct nel_err *err)
{
	CLEANUP(mem_freep) char *boundary = parameter(content_type, "boundary");
	size_t size = boundary == NULL ? 0 : strlen(boundary);
	if (size == 0 || size > BOUNDARY_SIZE_MAX)
		return err_set(err, NEL_INVALID, "multipart: Content-Type has no boundary of 1 to %d characters",
			       BOUNDARY_SIZE_MAX);
	*ret_delimiter = mem_printf("\r\n--%s", boundary);
	return 0;
}

/* Takes the part at *at, which is behind a delimiter's line, and moves behind the delimiter that ends it. */
static int take_part(const char *body, size_t size, const char *delimiter, size_t *at, struct multipart *m,
		     struct nel_err *err)
{
	if (m->count == MULTIPART_PARTS_MAX)
		return err_set(err, NEL_INVALID, "multipart: more than %d parts", MULTIPART_PARTS_MAX);
	m->parts = mem_realloc(m->parts, m->count + 1, sizeof *m->parts);
	struct multipart_part *part = &m->parts[m->count++];
	*part = (struct multipart_part){0};
	size_t headers_size = 0;
	if (read_headers(body + *at, size - *at, part, &headers_size, err) != 0)
		return -1;
	part->data = body + *at + headers_size;
	/* An empty part's delimiter begins with the CRLF that ends its headers. */
	const char *from = part->data - 2;
	const char *end = memmem(from, size - (size_t)(from - body), delimiter, strlen(delimiter));
	if (end == NULL)
		return err_set(err, NEL_INVALID, "multipart: the last part does not end");
	part->size = end < part->data ? 0 : (size_t)(end - part->data);
	*at = (size_t)(end - body) + strlen(delimiter);
	return 0;
}

int multipart_split(const char *content_type, const char *body, size_t size, struct multipart *ret_parts,
		    struct nel_err *err)
{
	CLEANUP(mem_freep) char *delimiter = NULL;
	CLEANUP(multipart_done) struct multipart m = {0};
	if (find_delimiter(content_type, &delimiter, err) != 0)
		return -1;
	size_t first = strlen(delimiter) - 2; /* nothing needs to stand before the first one */
	const char *start = memmem(body, size, delimiter + 2, first);
	if (start == NULL)
		return err_set(err, NEL_INVALID, "multipart: the boundary is nowhere in the body");
	size_t at = (size_t)(start - body) + first;
	while (size - at < 2 || memcmp(body + at, "--", 2) != 0) {
		while (at < size && (body[at] == ' ' || body[at] == '\t'))
			at++;
		if (size - at < 2 || memcmp(body + at, "\r\n", 2) != 0)
			return err_set(err, NEL_INVALID, "multipart: text behind a boundary");
		at += 2;
		if (take_part(body, size, delimiter, &at, &m, err) != 0)
			return -1;
	}
	*ret_parts = m;
	m = (struct multipart){0};
	return 0;
}

static bool part_is_json(const struct multipart_part *part)
{
	return media_kind_of(part->content_type) == MEDIA_JSON ||
	       (part->filename != NULL && str_ends_with(part->filename, ".json"));
}

static int take_config(const struct multipart_part *part, struct submission *s, struct nel_err *err)
{
	if (s->text != NULL)
		return err_set(err, NEL_INVALID, "multipart: more than one part \"config\"");
	s->text = mem_dup(part->data, part->size);
	s->size = part->size;
	s->json = part_is_json(part);
	return 0;
}

static int take_override(const struct multipart_part *part, struct submission *s, struct nel_err *err)
{
	CLEANUP(mem_freep) char *text = mem_dup(part->data, part->size);
	if (strlen(text) != part->size)
		return err_set(err, NEL_INVALID, "multipart: an override has a NUL byte");
	return submission_add_override(s, text, err);
}

/* "key:value", as the filters of lists have it. */
static int take_label(const struct multipart_part *part, struct submission *s, struct nel_err *err)
{
	CLEANUP(mem_freep) char *text = mem_dup(part->data, part->size);
	char *colon = strchr(text, ':');
	if (strlen(text) != part->size || colon == NULL)
		return err_set(err, NEL_INVALID, "multipart: a label must be key:value");
	*colon = '\0';
	return submission_add_label(s, text, colon + 1, err);
}

static int use_part(const struct multipart_part *part, struct submission *s, struct nel_err *err)
{
	if (strcmp(part->name, "config") == 0)
		return take_config(part, s, err);
	if (strcmp(part->name, "override") == 0)
		return take_override(part, s, err);
	if (strcmp(part->name, "label") == 0)
		return take_label(part, s, err);
	if (strcmp(part->name, "env_file") != 0)
		return err_set(err, NEL_INVALID,
			       "multipart: unknown part \"%.64s\"; known are config, env_file, label, override",
			       part->name);
	if (env_file_parse(part->data, part->size, s, err) != 0)
		return err_prefix(err, "env_file");
	return 0;
}

int multipart_parse(const char *content_type, const char *body, size_t size, struct submission *ret_submission,
		    struct nel_err *err)
{
	CLEANUP(multipart_done) struct multipart m = {0};
	CLEANUP(submission_done) struct submission s = {0};
	if (multipart_split(content_type, body, size, &m, err) != 0)
		return -1;
	for (size_t i = 0; i < m.count; i++)
		if (use_part(&m.parts[i], &s, err) != 0)
			return -1;
	if (s.text == NULL)
		return err_set(err, NEL_INVALID, "multipart: no part \"config\"");
	*ret_submission = s;
	s = (struct submission){0};
	return 0;
}

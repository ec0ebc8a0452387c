/* Owns the reading of headers that speak of types and entity tags. */
#include "api/http/media.h"

#include "base/str.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define SPACE " \t"

/* Is the word of `size` bytes equal to `name`, whatever its case? */
static bool word_is(const char *word, size_t size, const char *name)
{
	return strlen(name) == size && strncasecmp(word, name, size) == 0;
}

/* False when parameters (behind the first ';') name a charset that is not UTF-8. */
static bool charset_ok(const char *parameters)
{
	const char *p = parameters;
	while ((p = strchr(p, ';')) != NULL) {
		p++;
		p += strspn(p, SPACE);
		if (strncasecmp(p, "charset=", 8) != 0)
			continue;
		p += 8;
		p += *p == '"';
		size_t size = strcspn(p, "\"; \t");
		return word_is(p, size, "utf-8") || word_is(p, size, "utf8") || word_is(p, size, "us-ascii");
	}
	return true;
}

enum media_kind media_kind_of(const char *content_type)
{
	static const struct {
		const char *name;
		enum media_kind kind;
	} known[] = {
	    {"application/json", MEDIA_JSON},         {"application/yaml", MEDIA_YAML},
	    {"application/x-yaml", MEDIA_YAML},       {"text/yaml", MEDIA_YAML},
	    {"multipart/form-data", MEDIA_MULTIPART},
	};
	if (content_type == NULL || !charset_ok(content_type))
		return MEDIA_OTHER;
	content_type += strspn(content_type, SPACE);
	size_t size = strcspn(content_type, "; \t");
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (word_is(content_type, size, known[i].name))
			return known[i].kind;
	return MEDIA_OTHER;
}

/* Thousandths of a q parameter in "text/csv;q=0.5"; 1000 without one. */
static int quality(const char *parameters, size_t size)
{
	for (size_t i = 0; i + 2 < size; i++) {
		if (parameters[i] != ';')
			continue;
		size_t at = i + 1 + strspn(parameters + i + 1, SPACE);
		if (at + 2 >= size || (parameters[at] != 'q' && parameters[at] != 'Q') || parameters[at + 1] != '=')
			continue;
		int value = 0;
		int scale = 1000;
		for (size_t j = at + 2; j < size && scale > 0; j++) {
			if (parameters[j] == '.')
				continue;
			if (parameters[j] < '0' || parameters[j] > '9')
				break;
			value += (parameters[j] - '0') * scale;
			scale /= 10;
		}
		return value < 1000 ? value : 1000;
	}
	return 1000;
}

/* How well a media range fits a type: 3 exactly, 2 as text/star, 1 as star/star, 0 not at all. */
static int fit(const char *range, size_t size, const char *type)
{
	if (word_is(range, size, type))
		return 3;
	size_t slash = strcspn(type, "/");
	if (size == slash + 2 && strncasecmp(range, type, slash + 1) == 0 && range[slash + 1] == '*')
		return 2;
	return size == 3 && memcmp(range, "*/*", 3) == 0 ? 1 : 0;
}

/* The quality that an Accept header gives a type: of the most specific range that fits. */
static int accepted_quality(const char *accept, const char *type)
{
	int best_fit = 0;
	int best_quality = 0;
	for (const char *p = accept; *p != '\0';) {
		p += strspn(p, SPACE ",");
		size_t size = strcspn(p, ",");
		size_t name = strcspn(p, ",; \t");
		int how_well = fit(p, name, type);
		if (how_well > best_fit) {
			best_fit = how_well;
			best_quality = quality(p + name, size - name);
		}
		p += size;
	}
	return best_quality;
}

bool media_prefers(const char *accept, const char *type, const char *rather)
{
	return accept != NULL && accepted_quality(accept, type) > accepted_quality(accept, rather);
}

bool media_etag_matches(const char *if_none_match, const char *etag)
{
	if (if_none_match == NULL)
		return false;
	size_t etag_size = strlen(etag);
	for (const char *p = if_none_match; *p != '\0';) {
		p += strspn(p, SPACE ",");
		if (*p == '*')
			return true;
		if (p[0] == 'W' && p[1] == '/')
			p += 2;
		size_t size = strcspn(p, ", \t");
		if (size == etag_size && memcmp(p, etag, size) == 0)
			return true;
		p += size;
	}
	return false;
}

const char *media_type_of_file(const char *path)
{
	static const struct {
		const char *suffix;
		const char *type;
	} known[] = {
	    {".json", "application/json"},         {".jsonl", "application/jsonl"},
	    {".yml", "application/yaml"},          {".yaml", "application/yaml"},
	    {".log", "text/plain; charset=utf-8"}, {".txt", "text/plain; charset=utf-8"},
	    {".md", "text/plain; charset=utf-8"},  {".csv", "text/csv; charset=utf-8"},
	};
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (str_ends_with(path, known[i].suffix))
			return known[i].type;
	return "application/octet-stream";
}

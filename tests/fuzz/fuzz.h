/* What the fuzz targets share. Each fuzz_<name>.c is one target with the seeds in corpus/<name>/: libFuzzer runs it
 * (tests/fuzz/run), and with replay.c it is a test that takes the seeds and the inputs of regressions/<name>/. */
#ifndef NEL_TESTS_FUZZ_H
#define NEL_TESTS_FUZZ_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "config/text/problem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libFuzzer's entry: one input, 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As assert(), but in every build. */
#define FUZZ_CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

/* Bytes of well-formed UTF-8 (RFC 3629) at p: 1 to 4, or 0. Written here once more, so that the product's own reading
 * of UTF-8 is held against another. */
static inline size_t fuzz_utf8_step(const unsigned char *p, size_t size)
{
	static const struct {
		unsigned char first, last, low, high, more;
	} rows[] = {{0x01, 0x7f, 0, 0, 0},       {0xc2, 0xdf, 0x80, 0xbf, 1}, {0xe0, 0xe0, 0xa0, 0xbf, 2},
		    {0xe1, 0xec, 0x80, 0xbf, 2}, {0xed, 0xed, 0x80, 0x9f, 2}, {0xee, 0xef, 0x80, 0xbf, 2},
		    {0xf0, 0xf0, 0x90, 0xbf, 3}, {0xf1, 0xf3, 0x80, 0xbf, 3}, {0xf4, 0xf4, 0x80, 0x8f, 3}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (size <= rows[i].more || p[0] < rows[i].first || p[0] > rows[i].last)
			continue;
		if (rows[i].more > 0 && (p[1] < rows[i].low || p[1] > rows[i].high))
			return 0;
		for (size_t k = 2; k <= rows[i].more; k++)
			if (p[k] < 0x80 || p[k] > 0xbf)
				return 0;
		return (size_t)rows[i].more + 1;
	}
	return 0;
}

/* Is text something that JSON can carry? */
static inline bool fuzz_is_utf8(const char *text)
{
	size_t left = strlen(text);
	while (left > 0) {
		size_t step = fuzz_utf8_step((const unsigned char *)text, left);
		if (step == 0)
			return false;
		text += step;
		left -= step;
	}
	return true;
}

/* A function said no: of that kind, with a reason in one line. */
static inline void fuzz_check_error(const struct nel_err *err, enum nel_err_kind kind)
{
	FUZZ_CHECK(err->kind == kind);
	FUZZ_CHECK(err->msg[0] != '\0');
	FUZZ_CHECK(!str_has_control(err->msg));
}

/* The list is one that an HTTP reply can hold. */
static inline void fuzz_check_problems(const struct problems *problems)
{
	FUZZ_CHECK(problems->count <= PROBLEMS_MAX);
	for (size_t i = 0; i < problems->count; i++) {
		const struct problem *p = &problems->items[i];
		FUZZ_CHECK(p->message[0] != '\0' && !str_has_control(p->message) && fuzz_is_utf8(p->message));
		FUZZ_CHECK(!str_has_control(p->pointer) && fuzz_is_utf8(p->pointer));
		FUZZ_CHECK(p->pointer[0] == '\0' || p->pointer[0] == '/');
		FUZZ_CHECK(p->line >= 0 && (p->line > 0 ? p->column > 0 : p->column == 0));
	}
	CLEANUP(json_freep) json_t *list = problems_to_json(problems);
	FUZZ_CHECK(json_array_size(list) == problems->count);
	for (size_t i = 0; i < problems->count; i++)
		FUZZ_CHECK(json_is_string(json_object_get(json_array_get(list, i), "message")));
}

#define FUZZ_PARTS_MAX 32

/* An input of several texts, which stand apart as lines of "%%" alone. */
struct fuzz_parts {
	char *texts[FUZZ_PARTS_MAX]; /* each NUL-terminated; sizes count what is before that */
	size_t sizes[FUZZ_PARTS_MAX];
	size_t count; /* at least 1; what is beyond FUZZ_PARTS_MAX belongs to the last one */
};

static inline void fuzz_parts_done(struct fuzz_parts *parts)
{
	for (size_t i = 0; i < parts->count; i++)
		free(parts->texts[i]);
}

static inline struct fuzz_parts fuzz_split(const uint8_t *data, size_t size)
{
	static const char separator[] = "\n%%\n";
	struct fuzz_parts parts = {0};
	const char *at = (const char *)data;
	for (;;) {
		const char *end = size == 0 || parts.count == FUZZ_PARTS_MAX - 1
				      ? NULL
				      : memmem(at, size, separator, sizeof separator - 1);
		size_t length = end == NULL ? size : (size_t)(end - at);
		parts.texts[parts.count] = length == 0 ? mem_strdup("") : mem_dup(at, length);
		parts.sizes[parts.count++] = length;
		if (end == NULL)
			return parts;
		at = end + sizeof separator - 1;
		size -= length + sizeof separator - 1;
	}
}

#endif

#include "base/str.h"

#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEAREST_WORD_MAX 96

void str_done(struct str *s)
{
	free(s->data);
	*s = (struct str){0};
}

void str_clear(struct str *s)
{
	s->len = 0;
	if (s->data != NULL)
		s->data[0] = '\0';
}

static void reserve(struct str *s, size_t more)
{
	if (s->cap - s->len > more)
		return;
	size_t cap = s->cap == 0 ? 64 : s->cap;
	while (cap - s->len <= more)
		cap *= 2;
	s->data = mem_realloc(s->data, cap, 1);
	s->cap = cap;
}

void str_append_n(struct str *s, const void *data, size_t size)
{
	reserve(s, size);
	if (size != 0)
		memcpy(s->data + s->len, data, size);
	s->len += size;
	s->data[s->len] = '\0';
}

void str_append(struct str *s, const char *text)
{
	str_append_n(s, text, strlen(text));
}

void str_append_c(struct str *s, char c)
{
	if (s->cap - s->len < 2)
		reserve(s, 1);
	s->data[s->len++] = c;
	s->data[s->len] = '\0';
}

void str_append_int(struct str *s, int64_t number)
{
	char digits[24];
	char *p = digits + sizeof digits;
	uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
	do
		*--p = (char)('0' + rest % 10);
	while ((rest /= 10) != 0);
	if (number < 0)
		*--p = '-';
	str_append_n(s, p, (size_t)(digits + sizeof digits - p));
}

void str_appendf(struct str *s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	va_list again;
	va_copy(again, ap);
	size_t room = s->cap - s->len;
	int n = vsnprintf(room > 0 ? s->data + s->len : NULL, room, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n >= room) {
		reserve(s, (size_t)n);
		vsnprintf(s->data + s->len, (size_t)n + 1, fmt, again);
	}
	if (n > 0)
		s->len += (size_t)n;
	va_end(again);
}

const char *str_text(const struct str *s)
{
	return s->data == NULL ? "" : s->data;
}

char *str_take(struct str *s)
{
	char *text = s->data == NULL ? mem_calloc(1, 1) : s->data;
	*s = (struct str){0};
	return text;
}

void str_append_shell(struct str *s, const char *text)
{
	str_append_c(s, '\'');
	while (*text != '\0') {
		size_t plain = strcspn(text, "'\r");
		str_append_n(s, text, plain);
		text += plain;
		if (*text == '\'')
			str_append(s, "'\\''");
		else if (*text == '\r') /* sbatch refuses a script that has one before a newline */
			str_append(s, "'$'\\r''");
		text += *text != '\0';
	}
	str_append_c(s, '\'');
}

void str_unix_lines(char *text)
{
	char *to = text;
	for (const char *from = text; from != NULL && *from != '\0'; from++)
		if (from[0] != '\r' || from[1] != '\n')
			*to++ = *from;
	if (to != NULL)
		*to = '\0';
}

void str_append_pointer(struct str *s, const char *token)
{
	str_append_c(s, '/');
	for (const char *p = token; *p != '\0'; p++) {
		if (*p == '~')
			str_append(s, "~0");
		else if (*p == '/')
			str_append(s, "~1");
		else
			str_append_c(s, *p);
	}
}

void str_append_pointer_index(struct str *s, size_t index)
{
	str_append_c(s, '/');
	str_append_int(s, (int64_t)index);
}

bool str_has_control(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++)
		if (*p < 0x20 || *p == 0x7f)
			return true;
	return false;
}

bool str_starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends_with(const char *text, const char *suffix)
{
	size_t text_len = strlen(text);
	size_t suffix_len = strlen(suffix);
	return text_len >= suffix_len && strcmp(text + text_len - suffix_len, suffix) == 0;
}

bool str_equal(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool str_in(const char *text, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(text, *list) == 0)
			return true;
	return false;
}

bool str_to_int(const char *text, long long min, long long max, long long *ret_value)
{
	if (*text == '\0' || (*text != '-' && (*text < '0' || *text > '9')))
		return false;
	char *end = NULL;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (errno != 0 || *end != '\0' || end == text || value < min || value > max)
		return false;
	*ret_value = value;
	return true;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours each cost one. */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][NEAREST_WORD_MAX + 1];
	size_t *before = rows[0];
	size_t *last = rows[1];
	size_t *now = rows[2];
	for (size_t j = 0; j <= b_len; j++)
		last[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		now[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
			size_t d = smaller(smaller(last[j] + 1, now[j - 1] + 1), last[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d = smaller(d, before[j - 2] + 1);
			now[j] = d;
		}
		size_t *oldest = before;
		before = last;
		last = now;
		now = oldest;
	}
	return last[b_len];
}

char *str_tidy_path(const char *path)
{
	struct str out = {0};
	for (const char *at = path; *at != '\0';) {
		size_t skip = strspn(at, "/");
		size_t len = strcspn(at + skip, "/");
		if (len > 0 && !(len == 1 && at[skip] == '.')) {
			str_append_c(&out, '/');
			str_append_n(&out, at + skip, len);
		}
		at += skip + len;
	}
	if (out.len == 0)
		str_append_c(&out, '/');
	return str_take(&out);
}

const char *str_nearest(const char *word, const char *const *candidates, size_t count)
{
	size_t len = strlen(word);
	if (len == 0 || len > NEAREST_WORD_MAX)
		return NULL;
	const char *nearest = NULL;
	size_t best = len / 3 + 2;
	for (size_t i = 0; i < count; i++) {
		size_t candidate_len = strlen(candidates[i]);
		if (candidate_len > NEAREST_WORD_MAX)
			continue;
		size_t d = edit_distance(word, len, candidates[i], candidate_len);
		if (d < best && d <= (len > candidate_len ? len : candidate_len) / 3 + 1) {
			best = d;
			nearest = candidates[i];
		}
	}
	return nearest;
}

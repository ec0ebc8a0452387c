/* The list of what is wrong in a submitted text. */
#include "config/text/problem.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <string.h>

#define MESSAGE_BYTES_MAX 1000
#define POINTER_BYTES_MAX 1000

void problems_done(struct problems *p)
{
	for (size_t i = 0; i < p->count; i++) {
		free(p->items[i].pointer);
		free(p->items[i].message);
	}
	free(p->items);
	*p = (struct problems){0};
}

/* A copy that any reader can show: at most `max` bytes, UTF-8, no control characters. */
static char *clean_copy(const char *text, size_t max)
{
	CLEANUP(str_done) struct str out = {0};
	size_t left = strlen(text);
	while (left > 0) {
		uint32_t code = 0;
		size_t n = utf8_decode(text, left, &code);
		size_t step = n == 0 ? 1 : n;
		if (out.len + step > max) {
			str_append(&out, "...");
			break;
		}
		if (n == 0)
			str_append_c(&out, '?');
		else if (code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029)
			str_append_c(&out, ' ');
		else
			str_append_n(&out, text, n);
		text += step;
		left -= step;
	}
	return str_take(&out);
}

void problems_add(struct problems *p, const char *pointer, int line, int column, const char *fmt, ...)
{
	if (p->count >= PROBLEMS_MAX)
		return;
	va_list ap;
	va_start(ap, fmt);
	CLEANUP(mem_freep) char *text = NULL;
	int written = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (written < 0)
		abort();
	CLEANUP(mem_freep) char *message = clean_copy(text, MESSAGE_BYTES_MAX);
	CLEANUP(mem_freep) char *place = clean_copy(pointer, POINTER_BYTES_MAX);
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->items[i].pointer, place) == 0 && strcmp(p->items[i].message, message) == 0)
			return;
	p->items = mem_realloc(p->items, p->count + 1, sizeof *p->items);
	p->items[p->count++] = (struct problem){TAKE(place), TAKE(message), line, line == 0 ? 0 : column};
}

json_t *problems_to_json(const struct problems *p)
{
	json_t *list = json_array();
	for (size_t i = 0; i < p->count; i++) {
		const struct problem *item = &p->items[i];
		json_t *entry = json_pack("{s:s, s:s}", "pointer", item->pointer, "message", item->message);
		if (item->line > 0) {
			json_object_set_new(entry, "line", json_integer(item->line));
			json_object_set_new(entry, "column", json_integer(item->column));
		}
		json_array_append_new(list, entry);
	}
	return list;
}

#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *or_abort(void *p)
{
	if (p == NULL) {
		fputs("nel-slurmd: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *mem_calloc(size_t n, size_t size)
{
	return or_abort(calloc(n == 0 ? 1 : n, size == 0 ? 1 : size));
}

void *mem_realloc(void *p, size_t n, size_t size)
{
	if (size != 0 && n > SIZE_MAX / size)
		return or_abort(NULL);
	size_t total = n * size;
	return or_abort(realloc(p, total == 0 ? 1 : total));
}

char *mem_strdup(const char *s)
{
	return s == NULL ? NULL : or_abort(strdup(s));
}

char *mem_strndup(const char *s, size_t n)
{
	return or_abort(strndup(s, n));
}

char *mem_dup(const void *data, size_t size)
{
	char *copy = mem_calloc(size + 1, 1);
	if (size != 0)
		memcpy(copy, data, size);
	return copy;
}

char *mem_printf(const char *fmt, ...)
{
	char *out = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&out, fmt, ap);
	va_end(ap);
	return n < 0 ? or_abort(NULL) : out;
}

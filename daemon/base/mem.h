/* Memory that is there: these end the process when there is none left. The store survives that by design (a submission
 * is committed before it is answered), and a daemon that limps on without memory is worse than one that starts anew. */
#ifndef NEL_BASE_MEM_H
#define NEL_BASE_MEM_H

#include <stddef.h>

void *mem_calloc(size_t n, size_t size); /* zeroed; free() */
void *mem_realloc(void *p, size_t n, size_t size);
char *mem_strdup(const char *s); /* NULL gives NULL */
char *mem_strndup(const char *s, size_t n);
char *mem_dup(const void *data, size_t size); /* a copy with a NUL byte behind it */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif

/* Lists of texts: NULL-terminated arrays, whose texts and array are free()d together. */
#ifndef NEL_BASE_STR_LIST_H
#define NEL_BASE_STR_LIST_H

#include "base/cleanup.h"

#include <stdbool.h>

void str_list_free(char **list); /* accepts NULL */
DEFINE_FREEP(char *, str_list, str_list_free)

/* Of NULL it is NULL. */
char **str_list_copy(const char *const *list);

/* The same texts in the same order, or both NULL. */
bool str_list_equal(const char *const *a, const char *const *b);

#endif

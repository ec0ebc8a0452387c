/* Lists of texts. */
#include "base/str_list.h"

#include "base/mem.h"
#include "base/str.h"

#include <stdlib.h>

void str_list_free(char **list)
{
	for (char **text = list; text != NULL && *text != NULL; text++)
		free(*text);
	free(list);
}

char **str_list_copy(const char *const *list)
{
	size_t count = 0;
	if (list == NULL)
		return NULL;
	while (list[count] != NULL)
		count++;
	char **copy = mem_calloc(count + 1, sizeof *copy);
	for (size_t i = 0; i < count; i++)
		copy[i] = mem_strdup(list[i]);
	return copy;
}

bool str_list_equal(const char *const *a, const char *const *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	for (; *a != NULL && *b != NULL; a++, b++)
		if (!str_equal(*a, *b))
			return false;
	return *a == *b;
}

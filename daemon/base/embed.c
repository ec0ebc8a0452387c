#include "base/embed.h"

#include <string.h>

const struct embed_file *embed_find(const char *path)
{
	size_t count = 0;
	const struct embed_file *files = embed_files(&count);
	for (size_t i = 0; i < count; i++)
		if (strcmp(files[i].path, path) == 0)
			return &files[i];
	return NULL;
}

/* Stands in for libFuzzer where it is not linked: gives every file of the folders (or files) named as arguments to the
 * target, once. Arguments that begin with '-' are libFuzzer's and are passed over. */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#define INPUT_SIZE_MAX (1024 * 1024)

static int replay_file(const char *path)
{
	CLEANUP(file_closep) FILE *file = fopen(path, "re");
	/* Exactly as long as the input: a sanitizer then sees a byte read behind it. */
	CLEANUP(mem_freep) uint8_t *room = mem_calloc(1, INPUT_SIZE_MAX);
	size_t size = file == NULL ? 0 : fread(room, 1, INPUT_SIZE_MAX, file);
	if (file == NULL || ferror(file)) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	CLEANUP(mem_freep) uint8_t *data = malloc(size);
	if (size > 0 && data == NULL)
		return -1;
	if (size > 0)
		memcpy(data, room, size);
	printf("%s: %zu bytes\n", path, size);
	fflush(stdout);
	return LLVMFuzzerTestOneInput(data, size);
}

static int replay(const char *path, int *count)
{
	struct stat st;
	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
		(*count)++;
		return replay_file(path);
	}
	struct dirent **entries = NULL;
	int n = scandir(path, &entries, NULL, alphasort);
	if (n < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	int result = 0;
	for (int i = 0; i < n; i++) {
		CLEANUP(mem_freep) char *entry = mem_printf("%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.' && replay(entry, count) != 0)
			result = -1;
		free(entries[i]);
	}
	free(entries);
	return result;
}

int main(int argc, char **argv)
{
	int count = 0;
	int result = 0;
	for (int i = 1; i < argc; i++)
		if (argv[i][0] != '-' && replay(argv[i], &count) != 0)
			result = 1;
	if (count == 0)
		fprintf(stderr, "there was no input\n");
	return count == 0 ? 1 : result;
}

/*
 * Runs the stand-in for Apptainer, which lies beside this program as apptainer.py and singularity.py, with the rights
 * of root, as Apptainer's own starter has them in its setuid mode. The job's user stays the real one.
 */
#define _GNU_SOURCE
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char self[4096], script[8400];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length < 0 || argc < 1)
		return 255;
	self[length] = '\0';
	snprintf(script, sizeof(script), "%s/%s.py", dirname(self), basename(argv[0]));
	char **words = calloc((size_t)argc + 3, sizeof(*words));
	if (words == NULL)
		return 255;
	words[0] = "python3";
	words[1] = "-I"; /* no variable of the user's acts on the interpreter */
	words[2] = script;
	for (int i = 1; i < argc; i++)
		words[2 + i] = argv[i];
	execv("/usr/bin/python3", words);
	perror("apptainer");
	return 255;
}

/* Files of KEY=value lines, as `env_file` parts bring them. Pure. */
#ifndef NEL_API_V1_ENV_FILE_H
#define NEL_API_V1_ENV_FILE_H

#include "api/v1/submission.h"

/* Adds the text's variables to the submission, as python-dotenv would. A line is empty, a comment ('#'), or [export
 * ]NAME=value. In 'single quoted' a backslash escapes itself and quotes; in "double quoted" it begins \n, \t and the
 * like, too; quoted values may go on over lines; an unquoted one ends at the line's end or before " #", trimmed.
 * ${NAME}, which python-dotenv expands, is an error. INVALID with the line's number, never with a value. */
int env_file_parse(const char *text, size_t size, struct submission *s, struct nel_err *err);

#endif

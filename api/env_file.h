/* Files of KEY=value lines, as `env_file` parts bring them. Pure. */
#ifndef NEL_API_ENV_FILE_H
#define NEL_API_ENV_FILE_H

#include "api/submission.h"

/* Adds the text's variables to the submission. A line is empty, a comment ('#'), or [export ]NAME=value. Values are
 * read as a POSIX shell would, but for expansions, of which there are none: 'single quoted' is literal; in "double
 * quoted" a backslash escapes ", \, $, ` and a line's end; quoted values may go on over lines; an unquoted one ends at
 * the line's end or before " #", trimmed. INVALID with the line's number, never with a value. */
int env_file_parse(const char *text, size_t size, struct submission *s, struct nel_err *err);

#endif

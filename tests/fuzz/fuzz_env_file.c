/* api/env_file: what is read, written again as a shell would quote it, reads as itself. */
#include "api/v1/env_file.h"
#include "fuzz_submission.h"

static bool has_quote(const char *text)
{
	return strchr(text, '\'') != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nel_err err = {0};
	CLEANUP(submission_done) struct submission s = {0};
	CLEANUP(submission_done) struct submission again = {0};
	CLEANUP(mem_freep) char *text = size == 0 ? mem_strdup("") : mem_dup(data, size);
	if (env_file_parse(text, size, &s, &err) != 0) {
		fuzz_check_error(&err, NEL_INVALID);
		return 0;
	}
	fuzz_check_submission(&s);
	struct str written = {0};
	for (size_t i = 0; i < s.env_count; i++) {
		str_appendf(&written, "export %s=", s.env[i].name);
		if (!has_quote(s.env[i].value)) {
			str_append_shell(&written, s.env[i].value);
		} else {
			str_append_c(&written, '"');
			for (const char *p = s.env[i].value; *p != '\0'; p++) {
				if (strchr("\"\\$`", *p) != NULL)
					str_append_c(&written, '\\');
				str_append_c(&written, *p);
			}
			str_append_c(&written, '"');
		}
		str_append_c(&written, '\n');
	}
	FUZZ_CHECK(env_file_parse(str_text(&written), written.len, &again, &err) == 0);
	str_done(&written);
	FUZZ_CHECK(again.env_count == s.env_count);
	for (size_t i = 0; i < s.env_count; i++)
		FUZZ_CHECK(strcmp(s.env[i].name, again.env[i].name) == 0 &&
			   strcmp(s.env[i].value, again.env[i].value) == 0);
	return 0;
}

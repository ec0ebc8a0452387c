/* What must hold of a submission, whatever the form in which a client sent it. */
#ifndef NEL_TESTS_FUZZ_SUBMISSION_H
#define NEL_TESTS_FUZZ_SUBMISSION_H

#include "api/v1/submission.h"
#include "fuzz.h"

static inline void fuzz_check_submission(const struct submission *s)
{
	FUZZ_CHECK(s->override_count <= SUBMIT_OVERRIDES_MAX && s->env_count <= SUBMIT_ENV_MAX);
	FUZZ_CHECK(s->label_count <= SUBMIT_LABELS_MAX);
	for (size_t i = 0; i < s->override_count; i++)
		FUZZ_CHECK(s->overrides[i][0] != '\0' && fuzz_is_utf8(s->overrides[i]));
	for (size_t i = 0; i < s->env_count; i++) {
		const char *name = s->env[i].name;
		FUZZ_CHECK(*name != '\0' && (*name < '0' || *name > '9'));
		for (const char *p = name; *p != '\0'; p++)
			FUZZ_CHECK((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
				   *p == '_');
		FUZZ_CHECK(strlen(s->env[i].value) <= SUBMIT_ENV_SIZE_MAX);
		for (size_t k = 0; k < i; k++)
			FUZZ_CHECK(strcmp(s->env[k].name, name) != 0);
	}
	for (size_t i = 0; i < s->label_count; i++)
		FUZZ_CHECK(fuzz_is_utf8(s->labels[i].name) && fuzz_is_utf8(s->labels[i].value));
}

#endif

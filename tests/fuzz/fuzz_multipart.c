/* api/multipart: parts lie within the body. The input's first line is the Content-Type, the rest the body. */
#include "api/v1/multipart.h"
#include "fuzz_submission.h"

static void try_split(const char *type, const char *body, size_t size)
{
	struct nel_err err = {0};
	CLEANUP(multipart_done) struct multipart m = {0};
	if (multipart_split(type, body, size, &m, &err) != 0) {
		fuzz_check_error(&err, NEL_INVALID);
		return;
	}
	FUZZ_CHECK(m.count <= MULTIPART_PARTS_MAX);
	const char *last = body;
	for (size_t i = 0; i < m.count; i++) {
		FUZZ_CHECK(m.parts[i].name != NULL);
		FUZZ_CHECK(m.parts[i].data >= last && m.parts[i].data + m.parts[i].size <= body + size);
		last = m.parts[i].data + m.parts[i].size;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nel_err err = {0};
	CLEANUP(submission_done) struct submission s = {0};
	const uint8_t *end = size == 0 ? NULL : memchr(data, '\n', size);
	if (end == NULL)
		return 0;
	CLEANUP(mem_freep) char *type = mem_dup(data, (size_t)(end - data));
	size_t body_size = size - (size_t)(end - data) - 1;
	CLEANUP(mem_freep) char *body = mem_dup(end + 1, body_size);
	try_split(type, body, body_size);
	if (multipart_parse(type, body, body_size, &s, &err) != 0) {
		fuzz_check_error(&err, NEL_INVALID);
		FUZZ_CHECK(s.text == NULL);
		return 0;
	}
	FUZZ_CHECK(s.text != NULL && s.size <= body_size && s.label_count == 0);
	fuzz_check_submission(&s);
	return 0;
}

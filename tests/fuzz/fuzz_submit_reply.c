/* slurm/submit, its parser: an answer speaks of every task once, or it is an error. The first byte is how many tasks
 * there are. */
#include "fuzz.h"
#include "slurm/observe.h"
#include "slurm/submit.h"

#define TASKS_MAX 8

static void check_result(const struct submit_result *r, size_t index)
{
	FUZZ_CHECK(r->job_index == (int)index);
	FUZZ_CHECK(fuzz_is_utf8(r->message) && !str_has_control(r->message));
	switch (r->outcome) {
	case SUBMIT_ACCEPTED: FUZZ_CHECK(observe_is_job_id(r->slurm_job_id) && r->submitted_at >= 0); break;
	case SUBMIT_REUSED: FUZZ_CHECK(strlen(r->fingerprint) == SUBMIT_FINGERPRINT_SIZE - 1); break;
	case SUBMIT_REFUSED:
	case SUBMIT_RETRY:
	case SUBMIT_LIMIT:
	case SUBMIT_UNTOLD:
	case SUBMIT_PASSING:
	case SUBMIT_IN_DOUBT: FUZZ_CHECK(r->slurm_job_id[0] == '\0'); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nel_err err = {0};
	CLEANUP(submit_reply_done) struct submit_reply reply = {0};
	if (size == 0)
		return 0;
	size_t count = data[0] % TASKS_MAX + 1;
	if (submit_parse((const char *)data + 1, size - 1, count, &reply, &err) != 0) {
		FUZZ_CHECK(err.kind != NEL_OK && err.kind != NEL_INTERNAL && reply.items == NULL);
		fuzz_check_error(&err, err.kind);
		FUZZ_CHECK(fuzz_is_utf8(err.msg));
		return 0;
	}
	FUZZ_CHECK(reply.count == count);
	for (size_t i = 0; i < count; i++)
		check_result(&reply.items[i], i);
	return 0;
}

/* slurm/scores: a results.yml, which an evaluator wrote and anybody may have changed, gives scores that the store and
 * an HTTP reply can hold. */
#include "fuzz.h"
#include "slurm/scores.h"

#include <math.h>

static void check_name(const char *name)
{
	FUZZ_CHECK(fuzz_is_utf8(name) && !str_has_control(name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nel_err err = {0};
	CLEANUP(scores_done) struct scores scores = {0};
	if (scores_parse((const char *)data, size, &scores, &err) != 0) {
		fuzz_check_error(&err, NEL_INVALID);
		return 0;
	}
	FUZZ_CHECK(scores.count <= SCORES_COUNT_MAX);
	for (size_t i = 0; i < scores.count; i++) {
		check_name(scores.items[i].task);
		check_name(scores.items[i].metric);
		check_name(scores.items[i].score);
		FUZZ_CHECK(isfinite(scores.items[i].value));
		FUZZ_CHECK(isfinite(scores.items[i].stderr_) || isnan(scores.items[i].stderr_));
		FUZZ_CHECK(scores.items[i].count >= -1);
	}
	return 0;
}

/* slurm/samples and slurm/samples_pack: files of samples, which an evaluator wrote, a kill cut and anybody may have
 * changed, give rows that a test of paired outcomes and an HTTP reply can take; the same in pieces; and they come back
 * from the store as they went in. A blob is never believed, either. */
#include "base/cleanup.h"
#include "fuzz.h"
#include "slurm/samples.h"
#include "slurm/samples_pack.h"

#include <math.h>

#define KEEP_ROWS 50

static void check(const struct samples *samples)
{
	size_t count = 0;
	FUZZ_CHECK(samples->set_count <= SAMPLES_SETS_MAX);
	for (size_t i = 0; i < samples->set_count; i++) {
		const struct sample_set *set = &samples->sets[i];
		FUZZ_CHECK(fuzz_is_utf8(set->filter) && !str_has_control(set->filter));
		FUZZ_CHECK(set->metric_count <= SAMPLE_METRICS_MAX);
		count += set->count;
		for (size_t k = 0; k < set->count; k++)
			FUZZ_CHECK(set->rows[k].id >= 0);
		for (size_t m = 0; m < set->metric_count; m++) {
			FUZZ_CHECK(fuzz_is_utf8(set->metrics[m]) && !str_has_control(set->metrics[m]));
			for (size_t k = 0; k < set->count; k++)
				FUZZ_CHECK(isfinite(set->values[m][k]) || isnan(set->values[m][k]));
		}
	}
	FUZZ_CHECK(count == samples->count);
}

static void check_pack(const struct samples *samples)
{
	struct nel_err err = {0};
	CLEANUP(mem_freep) char *data = NULL;
	CLEANUP(samples_done) struct samples back = {0};
	size_t size = 0;
	FUZZ_CHECK(samples_pack(samples, &data, &size, &err) == 0);
	FUZZ_CHECK(samples_unpack(data, size, &back, &err) == 0);
	FUZZ_CHECK(back.set_count == samples->set_count && back.count == samples->count);
	for (size_t i = 0; i < back.set_count; i++)
		for (size_t k = 0; k < back.sets[i].count; k++)
			FUZZ_CHECK(samples_item(&back.sets[i].rows[k]) == samples_item(&samples->sets[i].rows[k]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const paths[] = {"samples_t_2026-01-02T03-04-05.6.jsonl", "byob_predictions.jsonl",
					    "a/results.jsonl"};
	struct nel_err err = {0};
	CLEANUP(samples_done) struct samples blob = {0};
	if (samples_unpack((const char *)data, size, &blob, &err) != 0)
		fuzz_check_error(&err, NEL_INVALID);
	for (size_t i = 0; i < 3; i++) {
		CLEANUP(samples_reader_freep) struct samples_reader *reader = samples_reader_new(KEEP_ROWS);
		CLEANUP(samples_done) struct samples whole = {0};
		CLEANUP(samples_done) struct samples pieces = {0};
		FUZZ_CHECK(samples_reader_begin(reader, paths[i]));
		samples_reader_feed(reader, (const char *)data, size);
		samples_reader_take(reader, &whole);
		FUZZ_CHECK(whole.count <= KEEP_ROWS);
		FUZZ_CHECK(samples_reader_begin(reader, paths[i]));
		for (size_t at = 0; at < size; at += 7)
			samples_reader_feed(reader, (const char *)data + at, size - at < 7 ? size - at : 7);
		samples_reader_take(reader, &pieces);
		check(&whole);
		FUZZ_CHECK(pieces.count == whole.count && pieces.spoilt == whole.spoilt &&
			   pieces.left_out == whole.left_out);
		check_pack(&whole);
	}
	return 0;
}

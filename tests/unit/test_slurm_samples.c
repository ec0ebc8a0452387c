#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "slurm/samples.h"
#include "slurm/samples_pack.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#define LM_EVAL_FILE "out/samples_ifeval_2026-01-02T03-04-05.678901.jsonl"

/* As lm_eval/evaluator.py and its tracker write them: one pass a filter, texts before the numbers. */
static const char lm_eval[] =
    "{\"doc_id\": 0, \"doc\": {\"question\": \"a \\\"b\\\" {\", \"acc\": 7}, \"target\": 5, \"arguments\": "
    "{\"gen_args_0\": "
    "{\"arg_0\": \"]\"}}, \"resps\": [[\"\\ud800 5\"]], \"filtered_resps\": [\"5\"], \"filter\": \"strict\", "
    "\"metrics\": "
    "[\"exact_match\", \"inst_level\", \"f1\", \"ppl\"], \"doc_hash\": \"aa\", \"prompt_hash\": \"p1\", "
    "\"target_hash\": "
    "\"t\", \"exact_match\": 1.0, \"inst_level\": [true, false, false, true], \"f1\": [1, 0], \"ppl\": NaN, "
    "\"unlisted\": 3}\n"
    "{\"doc_id\": 1, \"doc\": {}, \"filter\": \"strict\", \"metrics\": [\"exact_match\", \"ppl\"], \"doc_hash\": "
    "\"bb\", "
    "\"exact_match\": false, \"ppl\": -2.5e-1}\n"
    "{\"doc_id\": 0, \"doc\": {}, \"filter\": \"flexible\", \"metrics\": [\"exact_match\"], \"doc_hash\": \"aa\", "
    "\"prompt_hash\": \"p2\", \"exact_match\": 0}\n";

static void read_one(const char *path, const char *text, size_t size, size_t keep_rows, struct samples *ret_samples)
{
	CLEANUP(samples_reader_freep) struct samples_reader *reader = samples_reader_new(keep_rows);
	assert_true(samples_reader_begin(reader, path));
	samples_reader_feed(reader, text, size);
	samples_reader_take(reader, ret_samples);
}

static double value_of(const struct sample_set *set, const char *metric, size_t row)
{
	for (size_t i = 0; i < set->metric_count; i++)
		if (strcmp(set->metrics[i], metric) == 0)
			return set->values[i][row];
	fail_msg("no metric %s", metric);
	return NAN;
}

static bool has_metric(const struct sample_set *set, const char *metric)
{
	for (size_t i = 0; i < set->metric_count; i++)
		if (strcmp(set->metrics[i], metric) == 0)
			return true;
	return false;
}

static void test_samples_of_the_harness_are_read_by_filter(void **state)
{
	(void)state;
	CLEANUP(samples_done) struct samples samples = {0};
	read_one(LM_EVAL_FILE, lm_eval, strlen(lm_eval), 100, &samples);
	assert_int_equal(samples.set_count, 2);
	assert_int_equal(samples.count, 3);
	assert_int_equal(samples.spoilt, 0);
	const struct sample_set *strict = &samples.sets[0], *flexible = &samples.sets[1];
	assert_string_equal(strict->file, LM_EVAL_FILE);
	assert_string_equal(strict->task, "ifeval");
	assert_string_equal(strict->filter, "strict");
	assert_int_equal(strict->count, 2);
	assert_false(strict->named);
	assert_true(value_of(strict, "exact_match", 0) == 1 && value_of(strict, "exact_match", 1) == 0);
	assert_true(value_of(strict, "inst_level", 0) == 0.5 && isnan(value_of(strict, "inst_level", 1)));
	assert_true(isnan(value_of(strict, "ppl", 0)) && value_of(strict, "ppl", 1) == -0.25);
	assert_false(has_metric(strict, "f1") || has_metric(strict, "unlisted") || has_metric(strict, "acc"));
	assert_string_equal(flexible->filter, "flexible");
	assert_int_equal(flexible->rows[0].line, 3);
	/* One document is one item, whatever the filter and the prompt; another is another. */
	assert_true(samples_item(&strict->rows[0]) == samples_item(&flexible->rows[0]));
	assert_true(samples_item(&strict->rows[0]) != samples_item(&strict->rows[1]));
}

/* An id alone is no item: a data set that has changed has other content under it. */
static void test_samples_with_one_id_and_other_content_are_other_items(void **state)
{
	(void)state;
	static const char *const texts[] = {"{\"doc_id\": 3, \"doc_hash\": \"aa\", \"acc\": 1}",
					    "{\"doc_id\": 3, \"doc_hash\": \"ab\", \"acc\": 1}",
					    "{\"doc_id\": 3, \"prompt_hash\": \"pp\", \"acc\": 1}",
					    "{\"doc_id\": 3, \"acc\": 1}", "{\"doc_id\": \"3\", \"doc_hash\": \"aa\"}"};
	uint64_t items[5];
	for (size_t i = 0; i < 5; i++) {
		CLEANUP(samples_done) struct samples samples = {0};
		read_one("samples_t.jsonl", texts[i], strlen(texts[i]), 100, &samples);
		assert_int_equal(samples.count, 1);
		assert_string_equal(samples.sets[0].task, "t");
		assert_true(samples.sets[0].named == (i == 4));
		items[i] = samples_item(&samples.sets[0].rows[0]);
		for (size_t k = 0; k < i; k++)
			assert_true(items[k] != items[i]);
	}
}

/* The answer's hash says which item it is where nothing else does, and only there. */
static void test_samples_with_the_hash_of_the_answer_alone_pair_by_it(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		bool pair;
	} cases[] = {
	    {"{\"doc_id\": 3, \"target_hash\": \"t1\", \"acc\": 1}",
	     "{\"acc\": 0, \"target_hash\": \"t1\", \"doc_id\": 3}", true},
	    {"{\"doc_id\": 3, \"target_hash\": \"t1\"}", "{\"doc_id\": 3, \"target_hash\": \"t2\"}", false},
	    {"{\"doc_id\": 3, \"target_hash\": \"t1\"}", "{\"doc_id\": 4, \"target_hash\": \"t1\"}", false},
	    {"{\"doc_id\": 3, \"target_hash\": \"t1\"}", "{\"doc_id\": 3}", false},
	    {"{\"doc_id\": 3, \"target_hash\": \"t1\", \"doc_hash\": \"d\"}",
	     "{\"doc_id\": 3, \"target_hash\": \"t2\", \"doc_hash\": \"d\"}", true},
	    {"{\"doc_id\": 3, \"target_hash\": \"t1\", \"prompt_hash\": \"p\"}",
	     "{\"doc_id\": 3, \"prompt_hash\": \"p\"}", true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(samples_done) struct samples a = {0};
		CLEANUP(samples_done) struct samples b = {0};
		read_one("samples_t.jsonl", cases[i].a, strlen(cases[i].a), 100, &a);
		read_one("samples_t.jsonl", cases[i].b, strlen(cases[i].b), 100, &b);
		assert_int_equal(a.count, 1);
		assert_false(has_metric(&a.sets[0], "target_hash"));
		if ((samples_item(&a.sets[0].rows[0]) == samples_item(&b.sets[0].rows[0])) != cases[i].pair)
			fail_msg("%s and %s", cases[i].a, cases[i].b);
	}
}

/* Its runner adds the data set's size to the ids of each further repeat. */
static void test_samples_of_byob_repeats_are_of_one_item(void **state)
{
	(void)state;
	CLEANUP(str_done) struct str text = {0};
	for (int repeat = 0; repeat < 3; repeat++)
		for (int item = 0; item < 4; item++)
			str_appendf(&text,
				    "{\"sample_id\": %d, \"prompt\": \"Q%d\", \"response\": \"r\", \"target\": \"%d\", "
				    "\"scores\": %s, \"status\": \"%s\", \"error\": null, \"metadata\": {\"q\": "
				    "{\"_repeat\": 9}, "
				    "\"_repeat\": %d}}\n",
				    repeat * 4 + item, item, item,
				    item == 2 ? "null" : "{\"correct\": true, \"judge\": 0.75, \"grade\": \"C\"}",
				    item == 2 ? "skipped_model_error" : "scored", repeat);
	CLEANUP(samples_done) struct samples samples = {0};
	read_one("byob_predictions.jsonl", text.data, text.len, 100, &samples);
	assert_int_equal(samples.set_count, 1);
	const struct sample_set *set = &samples.sets[0];
	assert_int_equal(set->count, 12);
	assert_int_equal(set->metric_count, 2);
	assert_string_equal(set->task, "");
	for (size_t i = 0; i < 12; i++) {
		assert_int_equal(set->rows[i].id, i % 4);
		assert_int_equal(set->rows[i].repeat, i / 4);
		assert_true(samples_item(&set->rows[i]) == samples_item(&set->rows[i % 4]));
		assert_true(i % 4 == 2 ? isnan(value_of(set, "correct", i)) : value_of(set, "judge", i) == 0.75);
	}
}

static void test_samples_of_n5_are_read(void **state)
{
	(void)state;
	static const char text[] =
	    "{\"problem_idx\": 7, \"repeat\": 0, \"reward\": 1.0, \"model_response\": \"x\", \"expected_answer\": "
	    "\"4\", "
	    "\"scoring_details\": {\"method\": \"exact\", \"format_ok\": true}, \"tokens\": 31}\r\n"
	    "{\"problem_idx\": 7, \"repeat\": 1, \"reward\": 0, \"expected_answer\": \"4\", \"scoring_details\": {}}\n";
	CLEANUP(samples_done) struct samples samples = {0};
	read_one("a/results.jsonl", text, strlen(text), 100, &samples);
	assert_int_equal(samples.count, 2);
	const struct sample_set *set = &samples.sets[0];
	assert_int_equal(set->metric_count, 2);
	assert_true(value_of(set, "reward", 0) == 1 && value_of(set, "reward", 1) == 0);
	assert_true(value_of(set, "format_ok", 0) == 1);
	assert_int_equal(set->rows[1].id, 7);
	assert_int_equal(set->rows[1].repeat, 1);
	assert_true(samples_item(&set->rows[0]) == samples_item(&set->rows[1]));
}

static void test_samples_spoilt_lines_cost_themselves(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		size_t size;
	} cases[] = {
#define LINE(text) {text, sizeof text - 1}
	    LINE("{\"doc_id\": 1, \"acc\": 1"),
	    LINE("{\"doc_id\": 1, \"acc\": 1}}"),
	    LINE("{\"doc_id\": 1 \"acc\": 1}"),
	    LINE("{\"doc_id\": 1, \"doc\": {\"a\": [1}, \"acc\": 1}"),
	    LINE("{\"doc_id\": -1, \"acc\": 1}"),
	    LINE("{\"doc_id\": 1.5, \"acc\": 1}"),
	    LINE("{\"doc_id\": 99999999999999999999, \"acc\": 1}"),
	    LINE("{\"acc\": 1}"),
	    LINE("[1]"),
	    LINE("\0\0\0\0\0\0"),
	    LINE("{\"doc_id\": 1, \"doc\": \"a\0\"}"),
	    LINE("{\"doc_id\": 1, \"doc\": [\0]}"),
	    LINE("Traceback (most recent call last):"),
	    LINE("{\"doc_id\": 1, \"doc\": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["),
	    LINE("{\"doc_id\": 1, \"doc\": \"\\"),
#undef LINE
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(samples_done) struct samples samples = {0};
		CLEANUP(str_done) struct str text = {0};
		str_append(&text, "{\"doc_id\": 0, \"acc\": 1}\n");
		str_append_n(&text, cases[i].line, cases[i].size);
		str_append(&text, "\n \n{\"doc_id\": 2, \"acc\": 1}");
		read_one("samples_t.jsonl", text.data, text.len, 100, &samples);
		if (samples.count != 2 || samples.spoilt != 1)
			fail_msg("case %zu: %zu samples, %zu spoilt", i, samples.count, samples.spoilt);
		assert_int_equal(samples.sets[0].rows[1].line, 4);
	}
}

static void test_samples_are_the_same_in_pieces_of_any_size(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 40; piece += 3) {
		CLEANUP(samples_reader_freep) struct samples_reader *reader = samples_reader_new(100);
		CLEANUP(samples_done) struct samples samples = {0};
		assert_false(samples_reader_begin(reader, "report.json"));
		samples_reader_feed(reader, lm_eval, 100);
		assert_true(samples_reader_begin(reader, LM_EVAL_FILE));
		for (size_t at = 0; at < strlen(lm_eval); at += piece)
			samples_reader_feed(reader, lm_eval + at,
					    strlen(lm_eval) - at < piece ? strlen(lm_eval) - at : piece);
		samples_reader_take(reader, &samples);
		assert_int_equal(samples.count, 3);
		assert_int_equal(samples.spoilt, 0);
	}
}

static void test_samples_beyond_the_limits_are_left_out_and_counted(void **state)
{
	(void)state;
	CLEANUP(samples_done) struct samples few = {0};
	read_one(LM_EVAL_FILE, lm_eval, strlen(lm_eval), 2, &few);
	assert_int_equal(few.count, 2);
	assert_int_equal(few.left_out, 1);

	CLEANUP(samples_reader_freep) struct samples_reader *reader = samples_reader_new(100);
	CLEANUP(samples_done) struct samples samples = {0};
	CLEANUP(mem_freep) char *megabyte = mem_calloc(1 << 20, 1);
	memset(megabyte, 'x', 1 << 20);
	assert_true(samples_reader_begin(reader, "samples_t.jsonl"));
	static const char before[] = "{\"doc_id\": 1, \"resps\": \"", after[] = "\", \"acc\": 1}\n";
	for (int megabytes = 15; megabytes <= 17; megabytes++) {
		samples_reader_feed(reader, before, strlen(before));
		for (int i = 0; i < megabytes; i++)
			samples_reader_feed(reader, megabyte, 1 << 20);
		samples_reader_feed(reader, after, strlen(after));
	}
	samples_reader_take(reader, &samples);
	assert_int_equal(samples.count, 1);
	assert_int_equal(samples.spoilt, 2);

	CLEANUP(str_done) struct str text = {0};
	str_append(&text, "{\"doc_id\": 1");
	for (int i = 0; i < 200; i++)
		str_appendf(&text, ", \"m%d\": %d", i, i);
	str_append(&text, "}\n");
	CLEANUP(samples_done) struct samples many = {0};
	read_one("samples_t.jsonl", text.data, text.len, 10, &many);
	assert_int_equal(many.sets[0].metric_count, SAMPLE_METRICS_MAX);
}

static void test_samples_file_tells_names(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		const char *task; /* NULL: no file of samples */
		enum sample_format format;
	} cases[] = {
	    {"samples_a_b_2026-01-02T03-04-05.6.jsonl", "a_b", SAMPLE_LM_EVAL},
	    {"x/y/samples_a.jsonl", "a", SAMPLE_LM_EVAL},
	    {"samples_.jsonl", NULL, 0},
	    {"samples_a.json", NULL, 0},
	    {"samples_x/results.json", NULL, 0},
	    {"results.jsonl", "", SAMPLE_N5},
	    {"b/byob_predictions.jsonl", "", SAMPLE_BYOB},
	    {"questions.log", NULL, 0},
	    {"", NULL, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		enum sample_format format;
		const char *task;
		size_t size;
		assert_true(samples_file(cases[i].path, &format, &task, &size) == (cases[i].task != NULL));
		if (cases[i].task == NULL)
			continue;
		assert_int_equal(format, cases[i].format);
		assert_int_equal(size, strlen(cases[i].task));
		assert_memory_equal(task, cases[i].task, size);
	}
}

static void test_samples_mask_names_are_masked(void **state)
{
	(void)state;
	static const char text[] = "{\"doc_id\": 1, \"filter\": \"of s3cret\", \"s3cret\": 1}\n";
	CLEANUP(json_freep) json_t *env = json_pack("{s:s}", "A", "s3cret");
	CLEANUP(mask_freep) struct mask *mask = mask_new(env);
	CLEANUP(samples_done) struct samples samples = {0};
	read_one("samples_s3cret.jsonl", text, strlen(text), 10, &samples);
	samples_mask(&samples, mask);
	assert_string_equal(samples.sets[0].task, "******");
	assert_string_equal(samples.sets[0].filter, "of ******");
	assert_string_equal(samples.sets[0].metrics[0], "******");
}

static void assert_same(const struct samples *a, const struct samples *b)
{
	assert_int_equal(a->set_count, b->set_count);
	assert_int_equal(a->count, b->count);
	assert_int_equal(a->left_out, b->left_out);
	assert_int_equal(a->spoilt, b->spoilt);
	for (size_t i = 0; i < a->set_count; i++) {
		const struct sample_set *left = &a->sets[i], *right = &b->sets[i];
		assert_string_equal(left->file, right->file);
		assert_string_equal(left->task, right->task);
		assert_string_equal(left->filter, right->filter);
		assert_int_equal(left->named, right->named);
		assert_int_equal(left->count, right->count);
		assert_int_equal(left->metric_count, right->metric_count);
		for (size_t k = 0; k < left->count; k++) {
			assert_true(left->rows[k].id == right->rows[k].id && left->rows[k].hash == right->rows[k].hash);
			assert_true(left->rows[k].repeat == right->rows[k].repeat &&
				    left->rows[k].line == right->rows[k].line);
		}
		for (size_t m = 0; m < left->metric_count; m++) {
			assert_string_equal(left->metrics[m], right->metrics[m]);
			for (size_t k = 0; k < left->count; k++) {
				double x = left->values[m][k], y = right->values[m][k];
				if (isnan(x) ? !isnan(y) : fabs(x - y) > 1e-7 * fabs(x))
					fail_msg("%s of %zu: %g is %g", left->metrics[m], k, x, y);
			}
		}
	}
}

static void test_samples_pack_gives_back_what_it_took(void **state)
{
	(void)state;
	struct nel_err err;
	struct samples inputs[3] = {0};
	CLEANUP(str_done) struct str text = {0};
	for (int i = 0; i < 1000; i++) /* more values than a table has, named ids that go up and down */
		str_appendf(&text, "{\"doc_id\": \"n%d\", \"doc_hash\": \"%d\", \"many\": %.17g, \"few\": %.17g}\n", i,
			    i % 7, i / 3.0 - 100, i % 255 / 7.0);
	str_append(&text, "broken\n");
	read_one(LM_EVAL_FILE, lm_eval, strlen(lm_eval), 2, &inputs[1]);
	read_one("samples_t.jsonl", text.data, text.len, 5000, &inputs[2]);
	for (size_t i = 0; i < 3; i++) {
		CLEANUP(mem_freep) char *data = NULL;
		CLEANUP(samples_done) struct samples output = {0};
		size_t size = 0;
		assert_int_equal(samples_pack(&inputs[i], &data, &size, &err), 0);
		assert_int_equal(samples_unpack(data, size, &output, &err), 0);
		assert_same(&inputs[i], &output);
		if (i == 2) /* what takes few values is kept to the last bit */
			assert_true(value_of(&output.sets[0], "few", 1) == 1 / 7.0);
		for (size_t cut = 0; cut < size; cut += 1 + size / 50) {
			struct samples none = {0};
			assert_int_equal(samples_unpack(data, cut, &none, &err), -1);
			assert_int_equal(err.kind, NEL_INVALID);
		}
		samples_done(&inputs[i]);
	}
}

static void test_samples_pack_of_100000_is_a_few_hundred_kilobytes(void **state)
{
	(void)state;
	CLEANUP(samples_reader_freep) struct samples_reader *reader = samples_reader_new(SAMPLES_KEEP_ROWS_DEFAULT);
	CLEANUP(samples_done) struct samples samples = {0};
	CLEANUP(mem_freep) char *data = NULL;
	struct nel_err err;
	size_t size = 0;
	assert_true(samples_reader_begin(reader, "samples_big.jsonl"));
	for (unsigned i = 0; i < 100000; i++) {
		char line[200];
		int length = snprintf(line, sizeof line,
				      "{\"doc_id\": %u, \"doc_hash\": \"%08x%u\", \"filter\": \"none\", \"acc\": %u}\n",
				      i, i * 2654435761u, i, i * 2654435761u >> 31);
		samples_reader_feed(reader, line, (size_t)length);
	}
	samples_reader_take(reader, &samples);
	assert_int_equal(samples.count, 100000);
	assert_int_equal(samples_pack(&samples, &data, &size, &err), 0);
	assert_in_range(size, 400000, 500000);
}

static long peak_kb(void)
{
	struct rusage usage;
	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

/* Texts are passed over: 200 MB of them cost no more than their 100,000 rows and the longest line. */
static void test_samples_reading_100000_takes_little_memory(void **state)
{
	(void)state;
	enum { TEXT = 2000, COUNT = 100000 };
	CLEANUP(samples_reader_freep) struct samples_reader *reader = samples_reader_new(SAMPLES_KEEP_ROWS_DEFAULT);
	CLEANUP(samples_done) struct samples samples = {0};
	CLEANUP(mem_freep) char *text = mem_calloc(1, TEXT + 1);
	memset(text, 'q', TEXT);
	text[TEXT] = 0;
	long before_kb = peak_kb();
	assert_true(samples_reader_begin(reader, "samples_big.jsonl"));
	for (unsigned i = 0; i < COUNT; i++) {
		char head[120];
		snprintf(head, sizeof head, "{\"doc_id\": %u, \"doc_hash\": \"%08x\", \"acc\": %u, \"doc\": \"", i,
			 i * 2654435761u, i & 1);
		samples_reader_feed(reader, head, strlen(head));
		samples_reader_feed(reader, text, TEXT);
		samples_reader_feed(reader, "\"}\n", 3);
	}
	samples_reader_take(reader, &samples);
	assert_int_equal(samples.count, COUNT);
	assert_int_equal(samples.spoilt, 0);
	if (peak_kb() - before_kb > 64 * 1024)
		fail_msg("%ld KiB more for %d samples", peak_kb() - before_kb, COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_samples_of_the_harness_are_read_by_filter),
	    cmocka_unit_test(test_samples_with_one_id_and_other_content_are_other_items),
	    cmocka_unit_test(test_samples_with_the_hash_of_the_answer_alone_pair_by_it),
	    cmocka_unit_test(test_samples_of_byob_repeats_are_of_one_item),
	    cmocka_unit_test(test_samples_of_n5_are_read),
	    cmocka_unit_test(test_samples_spoilt_lines_cost_themselves),
	    cmocka_unit_test(test_samples_are_the_same_in_pieces_of_any_size),
	    cmocka_unit_test(test_samples_beyond_the_limits_are_left_out_and_counted),
	    cmocka_unit_test(test_samples_file_tells_names),
	    cmocka_unit_test(test_samples_mask_names_are_masked),
	    cmocka_unit_test(test_samples_pack_gives_back_what_it_took),
	    cmocka_unit_test(test_samples_pack_of_100000_is_a_few_hundred_kilobytes),
	    cmocka_unit_test(test_samples_reading_100000_takes_little_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

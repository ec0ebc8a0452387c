/* Which cluster the clusters' answers choose, and what is told of them. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "cmocka_all.h"
#include "sched/placement_document.h"

#include <string.h>

#define NOW_S 1764547200 /* 2025-12-01T00:00:00Z */
#define NOT_ASKED (-1)
#define MAX 3

static const char *const clusters[MAX] = {"alpha", "beta", "gamma"};

struct said {
	int answer;  /* NOT_ASKED: nothing yet */
	int start_s; /* from now; 0: not known */
	bool had;
};

static json_t *document_of(const struct said *said, size_t count)
{
	json_t *document = json_pack("{s:s, s:[]}", "state", "choosing", "candidates");
	clock_fake_set_ms((int64_t)NOW_S * 1000);
	for (size_t i = 0; i < count; i++) {
		bool left_out = said[i].answer == ANSWER_LEFT_OUT;
		json_array_append_new(placement_document_candidates(document),
				      json_pack("{s:s, s:o, s:b, s:n, s:o}", "cluster", clusters[i], "answer",
						left_out ? json_string("left_out") : json_null(), "had", said[i].had,
						"expected_start", "message",
						left_out ? json_string("it lacks a path") : json_null()));
		if (left_out || said[i].answer == NOT_ASKED)
			continue;
		const char *message = said[i].answer == ANSWER_REFUSED  ? "sbatch: Invalid partition"
				      : said[i].answer == ANSWER_SILENT ? "no answer in 5 s"
									: NULL;
		assert_true(placement_document_take(document, clusters[i], (enum placement_answer)said[i].answer,
						    said[i].start_s != 0 ? NOW_S + said[i].start_s : 0, message));
	}
	clock_fake_set_ms(-1);
	return document;
}

static void assert_cluster(const char *what, size_t number, const char *got, const char *want)
{
	if ((got == NULL) != (want == NULL) || (got != NULL && strcmp(got, want) != 0))
		fail_msg("case %zu, %s: %s, not %s", number, what, got != NULL ? got : "none",
			 want != NULL ? want : "none");
}

static void test_placement_document_choice_of_answers(void **state)
{
	(void)state;
	static const struct {
		struct said said[MAX];
		const char *best;
		const char *choice;
	} cases[] = {
	    /* The first to start, wherever it stands; of equals the first. */
	    {{{ANSWER_STARTS, 300, false}, {ANSWER_STARTS, 200, false}, {ANSWER_STARTS, 250, false}}, "beta", "beta"},
	    {{{ANSWER_STARTS, 100, false}, {ANSWER_STARTS, 200, false}, {ANSWER_STARTS, 100, false}}, "alpha", "alpha"},
	    {{{ANSWER_STARTS, 300, false}, {ANSWER_STARTS, 200, false}, {ANSWER_STARTS, 100, false}}, "gamma", "gamma"},
	    /* One that says when, before one that only takes it; of those the first. */
	    {{{ANSWER_TAKES, 0, false}, {ANSWER_STARTS, 90000, false}, {ANSWER_TAKES, 0, false}}, "beta", "beta"},
	    {{{ANSWER_REFUSED, 0, false}, {ANSWER_TAKES, 0, false}, {ANSWER_TAKES, 0, false}}, "beta", "beta"},
	    /* One that takes it, whatever the others say. */
	    {{{ANSWER_SILENT, 0, false}, {ANSWER_REFUSED, 0, false}, {ANSWER_TAKES, 0, false}}, "gamma", "gamma"},
	    /* All refuse: the first that is open. One that is silent is waited for. */
	    {{{ANSWER_REFUSED, 0, false}, {ANSWER_REFUSED, 0, false}, {ANSWER_REFUSED, 0, false}}, NULL, "alpha"},
	    {{{ANSWER_LEFT_OUT, 0, false}, {ANSWER_REFUSED, 0, false}, {ANSWER_REFUSED, 0, false}}, NULL, "beta"},
	    {{{ANSWER_REFUSED, 0, false}, {ANSWER_SILENT, 0, false}, {ANSWER_REFUSED, 0, false}}, NULL, NULL},
	    {{{ANSWER_SILENT, 0, false}, {ANSWER_SILENT, 0, false}, {ANSWER_SILENT, 0, false}}, NULL, NULL},
	    {{{ANSWER_REFUSED, 0, false}, {NOT_ASKED, 0, false}, {ANSWER_REFUSED, 0, false}}, NULL, NULL},
	    /* What has had it, or is left out, is not chosen. */
	    {{{ANSWER_STARTS, 1, true}, {ANSWER_STARTS, 500, false}, {ANSWER_TAKES, 0, false}}, "beta", "beta"},
	    {{{ANSWER_STARTS, 1, true}, {ANSWER_LEFT_OUT, 0, false}, {ANSWER_REFUSED, 0, false}}, NULL, "gamma"},
	    {{{ANSWER_TAKES, 0, true}, {ANSWER_TAKES, 0, true}, {ANSWER_LEFT_OUT, 0, false}}, NULL, NULL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		json_t *document = document_of(cases[i].said, MAX);
		assert_cluster("best", i, placement_document_best(document), cases[i].best);
		assert_cluster("choice", i, placement_document_choice(document), cases[i].choice);
		json_decref(document);
	}
	json_t *none = document_of(NULL, 0);
	assert_null(placement_document_choice(none));
	assert_false(placement_document_has_open(none));
	json_decref(none);
}

static void test_placement_document_tells_what_each_said(void **state)
{
	(void)state;
	static const struct {
		struct said said[MAX];
		const char *text;
	} cases[] = {
	    {{{ANSWER_STARTS, 60, false}, {ANSWER_TAKES, 0, false}, {ANSWER_SILENT, 0, false}},
	     "alpha: would start at 2025-12-01T00:01:00Z; beta: would take it; gamma: no answer in 5 s"},
	    {{{ANSWER_STARTS, 60, true}, {ANSWER_REFUSED, 0, false}, {ANSWER_LEFT_OUT, 0, false}},
	     "alpha: has had it; beta: sbatch: Invalid partition; gamma: it lacks a path"},
	    {{{NOT_ASKED, 0, false}, {ANSWER_STARTS, 0, false}, {ANSWER_TAKES, 0, true}},
	     "alpha: not asked; beta: would start at an unknown time; gamma: has had it"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(str_done) struct str text = {0};
		json_t *document = document_of(cases[i].said, MAX);
		placement_document_describe(document, &text);
		assert_string_equal(str_text(&text), cases[i].text);
		json_decref(document);
	}
}

/* The first answer is the one that counts. */
static void test_placement_document_take_counts_once(void **state)
{
	(void)state;
	static const struct said said[] = {
	    {ANSWER_SILENT, 0, false}, {NOT_ASKED, 0, false}, {ANSWER_LEFT_OUT, 0, false}};
	json_t *document = document_of(said, MAX);
	assert_false(placement_document_take(document, "alpha", ANSWER_STARTS, NOW_S, NULL));
	assert_false(placement_document_take(document, "gamma", ANSWER_STARTS, NOW_S, NULL));
	assert_false(placement_document_take(document, "delta", ANSWER_STARTS, NOW_S, NULL));
	assert_null(placement_document_best(document));
	assert_true(placement_document_take(document, "beta", ANSWER_STARTS, NOW_S + 5, NULL));
	assert_string_equal(placement_document_choice(document), "beta");
	const json_t *beta = placement_document_candidate(document, "beta");
	assert_int_equal(placement_document_time(beta, "expected_start"), NOW_S + 5);
	assert_string_equal(placement_document_text(beta, "answer"), "starts");
	assert_true(placement_document_time(beta, "asked_at") > 0);
	assert_true(placement_document_has_open(document));
	json_decref(document);
}

static void test_placement_state_names_are_read_back(void **state)
{
	(void)state;
	for (int i = PLACEMENT_CHOOSING; i <= PLACEMENT_SETTLED; i++)
		assert_int_equal(placement_state_from(placement_state_name((enum placement_state)i)), i);
	assert_int_equal(placement_state_from("unheard of"), PLACEMENT_SETTLED);
	assert_int_equal(placement_state_from(NULL), PLACEMENT_SETTLED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_placement_document_choice_of_answers),
	    cmocka_unit_test(test_placement_document_tells_what_each_said),
	    cmocka_unit_test(test_placement_document_take_counts_once),
	    cmocka_unit_test(test_placement_state_names_are_read_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

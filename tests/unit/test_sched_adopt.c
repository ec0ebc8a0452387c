/* What was found on a cluster and the store lacks: how it is put together, and which attempt goes on. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "cmocka_all.h"
#include "sched/adopt.h"
#include "sched/origin.h"
#include "sched_fixture.h"

#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define A "aaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbb"

static void test_adopt_choose_by_what_is_there(void **state)
{
	static const struct {
		const char *name;
		const char *found; /* a number each; '?': its Slurm job is not known; '!': it has begun */
		int newest;
		bool in_job;
		bool unsure;
		int chosen; /* the number; 0: none */
	} cases[] = {
	    {"nothing", "", 0, false, true, 0},
	    {"a queued job was submitted since", "1", 0, false, false, 1},
	    {"a chain went on", "1! 2! 3! 4!", 2, false, false, 4},
	    {"the store knows all", "1! 2", 2, false, false, 0},
	    {"of a known chain what may be on its way is sent anew, under its claim", "1! 2?", 1, false, false, 0},
	    {"of an unknown one it is looked up", "1! 2?", 0, false, true, 2},
	    {"the first may be on its way", "1?", 0, false, true, 1},
	    {"a successor in Slurm's queue is nobody's turn yet", "1! 2", 1, true, false, 0},
	    {"one that has begun is", "1! 2! 3", 1, true, false, 2},
	    {"the first of a chain is nobody's successor", "1", 0, true, false, 1},
	    {"of one unknown the one that runs", "1! 2", 0, true, true, 1},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct lost_attempt found[8] = {0};
		size_t count = 0;
		for (const char *at = cases[i].found; *at != '\0'; at++) {
			if (*at == '?')
				found[count - 1].id[0] = '\0';
			else if (*at == '!')
				found[count - 1].begun = true;
			else if (*at != ' ')
				found[count++] = (struct lost_attempt){.number = *at - '0', .id = "7"};
		}
		size_t chosen = adopt_choose(found, count, cases[i].newest, cases[i].in_job, cases[i].unsure);
		int number = chosen == count ? 0 : found[chosen].number;
		if (number != cases[i].chosen)
			fail_msg("%s: %d, not %d", cases[i].name, number, cases[i].chosen);
	}
}

static void test_adopt_budget_from_follows_what_was_left(void **state)
{
	static const struct {
		int64_t elapsed_s[4];
		int count;
		int64_t limit_s;
		int64_t left_s;
		int from;
	} cases[] = {
	    {{0}, 0, 3600, 3600, 1},
	    {{600, 600}, 2, 3600, 2400, 1},
	    {{600, 600}, 2, 3600, 2402, 1},       /* clocks differ */
	    {{3600, 0}, 1, 3600, 3600, 2},        /* a person gave a new one */
	    {{3600, 600, 600}, 3, 3600, 2400, 2}, /* and it was used since */
	    {{3600, 600, 600}, 3, 3600, 3000, 3},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(
		    adopt_budget_from(cases[i].elapsed_s, cases[i].count, cases[i].limit_s, cases[i].left_s),
		    cases[i].from);
}

static struct look_job job_of(const char *evaluation, int index, int attempt, const char *id, int64_t submitted)
{
	struct look_job job = {.index = index, .attempt = attempt, .submitted = submitted, .live = true};
	snprintf(job.evaluation, sizeof job.evaluation, "%s", evaluation);
	snprintf(job.id, sizeof job.id, "%s", id);
	job.name = mem_printf("a-b.m.%d-%s.%d", index, evaluation, attempt);
	job.rundir = mem_printf("/other/20260131_120000-%s", evaluation);
	return job;
}

static void test_lost_evaluations_group_by_evaluation_the_oldest_first(void **state)
{
	(void)state;
	struct look_job jobs[] = {job_of(A, 0, 2, "12", 300), job_of(B, 0, 1, "11", 200), job_of(A, 1, 1, "13", 400)};
	char *rundirs[] = {mem_strdup("/out/20260131_120000-" A)};
	const struct look_reply reply = {.jobs = jobs, .job_count = 3, .rundirs = rundirs, .rundir_count = 1};
	CLEANUP(lost_evaluations_done) struct lost_evaluations list = {0};
	CLEANUP(lost_evaluations_done) struct lost_evaluations copy = {0};
	lost_evaluations_group(&reply, &list);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0].id, B);
	assert_string_equal(list.items[1].id, A);
	assert_int_equal(list.items[1].job_count, 2);
	assert_int_equal(list.items[1].since, 300);
	assert_string_equal(list.items[1].rundir,
			    "/out/20260131_120000-" A); /* what is there counts more than a name */
	lost_evaluations_drop(&list, 0);
	lost_evaluations_copy(&list, 8, &copy);
	assert_int_equal(copy.count, 1);

	/* The run directory knows of attempt 1, which Slurm has forgotten, and of 2. */
	struct lost_evaluation *lost = &copy.items[0];
	lost->origin.attempts = mem_calloc(3, sizeof *lost->origin.attempts);
	lost->origin.attempts[0] =
	    (struct origin_attempt){.folder = mem_strdup("m.0"), .number = 2, .id = "12", .submitted = 299};
	lost->origin.attempts[1] =
	    (struct origin_attempt){.folder = mem_strdup("m.0"), .number = 1, .id = "9", .begun = true};
	lost->origin.attempts[2] = (struct origin_attempt){.folder = mem_strdup("artifacts"), .number = 1, .id = "5"};
	lost->origin.attempt_count = 3;
	lost_evaluation_merge(lost);
	assert_int_equal(lost->attempt_count, 3);
	assert_int_equal(lost->attempts[0].number, 1);
	assert_string_equal(lost->attempts[0].id, "9");
	assert_int_equal(lost->attempts[1].submitted, 300); /* Slurm's own */
	assert_int_equal(lost->attempts[2].index, 1);
	CLEANUP(mem_freep) char *stem = lost_evaluation_stem(lost, 0);
	assert_string_equal(stem, "a-b.m.0-" A);
	CLEANUP(mem_freep) char *folder = lost_evaluation_folder(lost, 0);
	assert_string_equal(folder, "/out/20260131_120000-" A "/m.0");
	for (size_t i = 0; i < COUNT(jobs); i++) {
		free(jobs[i].name);
		free(jobs[i].rundir);
	}
	free(rundirs[0]);
}

/* Another version's is listed, and the look goes on: an error would have it looked at again without an end. */
static void test_adopt_of_another_format_is_listed_as_unusable(void **state)
{
	struct fixture *f = *state;
	struct scene scene;
	const struct before before = {.state = CHAIN_QUEUED};
	scene_init(&scene, f, &before);
	struct lost_evaluation lost = {.id = A, .rundir = mem_strdup("/out/20260131_120000-" A), .live = true};
	lost.document = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s}", "format", ORIGIN_FORMAT + 1, "id", A, "user",
				  "anna", "cluster", alpha, "identity", account, "rundir", lost.rundir);
	assert_int_equal(adopt_evaluation(&scene.s, scene.watch, &lost, &f->err), 0);
	CLEANUP(orphan_list_done) struct orphan_list list = {0};
	assert_int_equal(orphans_list(f->db, alpha, NULL, 0, 10, &list, &f->err), 0);
	assert_int_equal(list.count, 1);
	assert_int_equal(list.items[0].outcome, ORPHAN_UNUSABLE);
	assert_string_equal(list.items[0].why, "its .origin is of another version of nel-slurmd");
	free(lost.rundir);
	json_decref(lost.document);
	scene_done(&scene);
}

/* The directories above it may be spelled otherwise: Slurm tells the path without symbolic links. */
static void test_adopt_takes_only_what_has_the_name_it_was_made_under(void **state)
{
	static const struct {
		const char *sealed;
		const char *why; /* how it begins */
	} cases[] = {
	    {"/out/20260131_120001-" A, "it is not in the directory that it was made in"},
	    {"20260131_120000-" A, "its .origin lacks something"},
	    {"", "its .origin lacks something"},
	    {"/link/20260131_120000-" A, "its config cannot be used"}, /* the next that is looked at */
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fixture *f = *state;
		struct scene scene;
		const struct before before = {.state = CHAIN_QUEUED};
		scene_init(&scene, f, &before);
		struct lost_evaluation lost = {.id = A, .rundir = mem_strdup("/out/20260131_120000-" A), .live = true};
		lost.document = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s}", "format", ORIGIN_FORMAT, "id", A, "user",
					  "anna", "cluster", alpha, "identity", account, "rundir", cases[i].sealed);
		assert_int_equal(adopt_evaluation(&scene.s, scene.watch, &lost, &f->err), 0);
		CLEANUP(orphan_list_done) struct orphan_list list = {0};
		assert_int_equal(orphans_list(f->db, alpha, NULL, 0, 10, &list, &f->err), 0);
		assert_int_equal(list.count, 1);
		assert_int_equal(list.items[0].outcome, ORPHAN_UNUSABLE);
		assert_ptr_equal(strstr(list.items[0].why, cases[i].why), list.items[0].why);
		free(lost.rundir);
		json_decref(lost.document);
		scene_done(&scene);
		fixture_teardown(state);
		assert_int_equal(fixture_setup(state), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_adopt_choose_by_what_is_there),
	    cmocka_unit_test(test_adopt_budget_from_follows_what_was_left),
	    cmocka_unit_test(test_lost_evaluations_group_by_evaluation_the_oldest_first),
	    cmocka_unit_test_setup_teardown(test_adopt_of_another_format_is_listed_as_unusable, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_adopt_takes_only_what_has_the_name_it_was_made_under, fixture_setup,
					    fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What is known of a cluster: when it is observed, asked for accounting, and logged in to again. */
#include "sched/cluster_watch.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define START_MS 1000000000

static char alpha[] = "alpha";
static char beta[] = "beta";
static char account[] = "svc";

struct scene {
	struct settings settings;
	struct settings_cluster clusters[2];
	struct cluster_watches watches;
	struct cluster_watch *watch; /* of svc on alpha */
};

static void scene_init(struct scene *scene)
{
	*scene = (struct scene){0};
	scene->clusters[0] = (struct settings_cluster){
	    .name = alpha, .username = account, .poll_interval_s = 30, .accounting = ACCOUNTING_AUTO};
	scene->clusters[1] = (struct settings_cluster){
	    .name = beta, .identity_per_user = true, .poll_interval_s = 30, .accounting = ACCOUNTING_NONE};
	scene->settings.clusters = scene->clusters;
	scene->settings.cluster_count = 2;
	clock_fake_set_ms(START_MS);
	cluster_watches_init(&scene->watches, &scene->settings);
	scene->watch = cluster_watch_get(&scene->watches, "alpha", "svc");
	assert_non_null(scene->watch);
}

static void scene_done(struct scene *scene)
{
	cluster_watches_done(&scene->watches);
	clock_fake_set_ms(-1);
}

static void assert_between(int64_t value, int64_t low, int64_t high)
{
	if (value < low || value > high)
		fail_msg("%lld is not between %lld and %lld", (long long)value, (long long)low, (long long)high);
}

static void test_get_makes_one_for_each_identity_that_the_settings_have(void **state)
{
	struct scene scene;
	(void)state;
	scene_init(&scene);
	assert_ptr_equal(cluster_watch_get(&scene.watches, "alpha", "svc"), scene.watch);
	assert_null(cluster_watch_get(&scene.watches, "alpha", "somebody"));
	assert_null(cluster_watch_get(&scene.watches, "gamma", "svc"));
	struct cluster_watch *ann = cluster_watch_get(&scene.watches, "beta", "ann/ann");
	assert_ptr_not_equal(ann, cluster_watch_get(&scene.watches, "beta", "bob/bob"));
	assert_ptr_equal(ann, cluster_watch_get(&scene.watches, "beta", "ann/ann"));
	assert_false(scene.watch->accounting_known); /* auto: the cluster is asked */
	assert_true(ann->accounting_known && !ann->accounting);
	scene_done(&scene);
}

static void test_plan_is_sooner_after_a_change_and_later_while_nothing_happens(void **state)
{
	struct scene scene;
	(void)state;
	scene_init(&scene);
	assert_true(cluster_watch_is_due(scene.watch, START_MS)); /* at once for the first time */
	cluster_watch_plan(scene.watch, true);
	static const int64_t intervals_ms[] = {2000, 4000, 8000, 16000, 30000, 30000};
	assert_between(scene.watch->next_ms - START_MS, 900, 1100);
	for (size_t i = 0; i < COUNT(intervals_ms); i++) {
		cluster_watch_plan(scene.watch, false);
		assert_int_equal(scene.watch->interval_ms, intervals_ms[i]);
		assert_between(scene.watch->next_ms - START_MS, intervals_ms[i] * 9 / 10, intervals_ms[i] * 11 / 10);
	}
	assert_false(cluster_watch_is_due(scene.watch, START_MS));
	cluster_watch_quicken(scene.watch);
	assert_int_equal(scene.watch->next_ms, START_MS + 1000);
	cluster_watch_quicken(scene.watch); /* never later than it is */
	clock_fake_set_ms(START_MS + 500);
	cluster_watch_quicken(scene.watch);
	assert_int_equal(scene.watch->next_ms, START_MS + 1000);
	scene.watch->observing = true;
	assert_false(cluster_watch_is_due(scene.watch, scene.watch->next_ms));
	cluster_watch_quicken(NULL);
	scene_done(&scene);
}

static void test_failed_asks_later_each_time_up_to_ten_intervals(void **state)
{
	struct scene scene;
	struct observation_stats stats;
	(void)state;
	scene_init(&scene);
	int64_t most_ms = 30000;
	for (int i = 1; i <= 12; i++) {
		cluster_watch_failed(&scene.watches, scene.watch, "no route");
		assert_int_equal(scene.watch->failures, i);
		/* Up to a quarter less, so that many do not come at once. */
		assert_between(scene.watch->next_ms - START_MS, most_ms * 3 / 4, most_ms);
		most_ms = most_ms * 2 < 300000 ? most_ms * 2 : 300000;
	}
	int64_t next_ms = scene.watch->next_ms;
	cluster_watch_quicken(scene.watch); /* a change of a chain is no reason to ask a cluster that fails */
	assert_int_equal(scene.watch->next_ms, next_ms);
	cluster_watches_stats(&scene.watches, "alpha", "svc", &stats);
	assert_int_equal(stats.failures, 12);
	assert_string_equal(stats.error, "no route");
	assert_int_equal(stats.observed_at, 0);
	cluster_watch_plan(scene.watch, false);
	cluster_watch_note_stats(&scene.watches, scene.watch, NULL);
	cluster_watches_stats(&scene.watches, "alpha", "svc", &stats);
	assert_int_equal(stats.failures, 0);
	assert_string_equal(stats.error, "");
	assert_int_equal(stats.observed_at, START_MS / 1000);
	scene_done(&scene);
}

static void test_release_says_what_may_be_asked_again(void **state)
{
	static const struct {
		bool observing;
		bool sacct_asked;
		bool early;
		bool told_early;
		bool observing_after;
		bool sacct_asked_after;
	} cases[] = {
	    {true, false, false, false, false, false}, /* a whole answer */
	    {true, true, false, false, false, true},   /* while sacct is still asked by an earlier one */
	    {true, false, true, false, false, true},   /* squeue's part: squeue may be asked again */
	    {true, true, false, true, true, false},    /* sacct's part: another observation may be under way */
	    {false, true, false, true, false, false},
	};
	struct scene scene;
	(void)state;
	scene_init(&scene);
	for (size_t i = 0; i < COUNT(cases); i++) {
		scene.watch->observing = cases[i].observing;
		scene.watch->sacct_asked = cases[i].sacct_asked;
		scene.watch->sacct_since_ms = 1;
		cluster_watch_release(scene.watch, cases[i].early, cases[i].told_early);
		assert_int_equal(scene.watch->observing, cases[i].observing_after);
		assert_int_equal(scene.watch->sacct_asked, cases[i].sacct_asked_after);
		assert_int_equal(scene.watch->sacct_since_ms, cases[i].early ? START_MS : 1);
	}
	scene_done(&scene);
}

static void test_note_sacct_pauses_one_that_fails(void **state)
{
	struct scene scene;
	(void)state;
	scene_init(&scene);
	struct observe_reply failed = {.sacct_asked = true, .sacct_failed = true, .message = "slurmdbd is down"};
	const struct observe_reply not_asked = {0};
	const struct observe_reply answered = {.sacct_asked = true};
	int64_t most_ms = 10000;
	for (int i = 0; i < 10; i++) {
		cluster_watch_note_sacct(scene.watch, &failed);
		assert_between(scene.watch->sacct_ms - START_MS, most_ms * 3 / 4, most_ms);
		most_ms = most_ms * 2 < 300000 ? most_ms * 2 : 300000;
	}
	assert_string_equal(scene.watch->sacct_error, "slurmdbd is down");
	cluster_watch_note_sacct(scene.watch, &not_asked);
	assert_int_equal(scene.watch->sacct_failures, 10);
	assert_string_equal(scene.watch->sacct_error, "slurmdbd is down");
	cluster_watch_note_sacct(scene.watch, &answered);
	assert_int_equal(scene.watch->sacct_failures, 0);
	assert_int_equal(scene.watch->sacct_ms, 0);
	assert_string_equal(scene.watch->sacct_error, "");
	scene_done(&scene);
}

static void test_refused_doubles_the_pause_up_to_a_minute(void **state)
{
	static const int64_t pauses_ms[] = {10000, 20000, 40000, 60000, 60000};
	struct scene scene;
	(void)state;
	scene_init(&scene);
	int64_t now_ms = START_MS;
	for (size_t i = 0; i < COUNT(pauses_ms); i++) {
		clock_fake_set_ms(now_ms);
		cluster_watch_refused(scene.watch, "no");
		/* Answers that were under way: they are the same refusal. */
		cluster_watch_refused(scene.watch, "credentials");
		assert_int_equal(scene.watch->refused_ms, now_ms + pauses_ms[i]);
		assert_string_equal(scene.watch->refused_why, "credentials");
		now_ms = scene.watch->refused_ms;
	}
	cluster_watch_let_in(scene.watch);
	assert_int_equal(scene.watch->refused_ms, 0);
	cluster_watch_refused(scene.watch, "no");
	assert_int_equal(scene.watch->refused_ms, clock_mono_ms() + 10000);
	scene_done(&scene);
}

static struct active_chain *add(struct active_chains *chains, struct scene *scene, int64_t seq, const char *cluster,
				const char *identity)
{
	struct job_row row = {
	    .seq = seq, .chain.seq = seq, .cluster = mem_strdup(cluster), .identity = mem_strdup(identity)};
	struct active_chain *chain = active_chains_put(chains, &row);
	cluster_watch_of(&scene->watches, chain);
	chain->due_ms = INT64_MAX;
	return chain;
}

static void test_nudge_has_the_chains_of_that_login_tried_at_once(void **state)
{
	struct scene scene;
	struct active_chains chains = {0};
	(void)state;
	scene_init(&scene);
	struct active_chain *ann = add(&chains, &scene, 1, "beta", "ann/ann");
	struct active_chain *bob = add(&chains, &scene, 2, "beta", "bob/bob");
	cluster_watch_refused(ann->watch, "no");
	cluster_watch_refused(bob->watch, "no");
	assert_false(cluster_watches_nudge(&scene.watches, "beta", "carol/carol"));
	assert_true(cluster_watches_nudge(&scene.watches, "beta", "ann/ann"));
	cluster_watches_take_nudges(&scene.watches, &chains);
	assert_int_equal(ann->due_ms, 0);
	assert_int_equal(ann->watch->refused_ms, 0);
	assert_true(bob->due_ms > 0 && bob->watch->refused_ms > 0);
	ann->due_ms = 7;
	cluster_watches_take_nudges(&scene.watches, &chains); /* once */
	assert_int_equal(ann->due_ms, 7);
	active_chains_done(&chains);
	scene_done(&scene);
}

static void test_adopt_keeps_what_is_known_as_far_as_it_is_the_same(void **state)
{
	struct scene scene;
	(void)state;
	scene_init(&scene);
	struct cluster_watch *ann = cluster_watch_get(&scene.watches, "beta", "ann/ann");
	scene.watch->accounting_known = true;
	scene.watch->accounting = true;
	scene.watch->next_ms = START_MS + 30000;
	cluster_watch_refused(scene.watch, "no");
	struct settings_cluster next = scene.clusters[0];
	struct settings settings = {.clusters = &next, .cluster_count = 1};
	next.poll_interval_s = 5;
	cluster_watches_adopt(&scene.watches, &settings);
	assert_true(scene.watch->accounting_known && scene.watch->accounting);
	assert_ptr_equal(scene.watch->cluster, &next);
	assert_int_equal(scene.watch->next_ms, START_MS + 1000);
	assert_int_equal(scene.watch->refused_ms, 0);
	assert_ptr_equal(ann->cluster, &scene.clusters[1]); /* its chains end as they began */
	assert_ptr_equal(ann, cluster_watch_get(&scene.watches, "beta", "ann/ann"));
	assert_null(cluster_watch_get(&scene.watches, "beta", "bob/bob"));
	struct settings_cluster third = next;
	struct settings other = {.clusters = &third, .cluster_count = 1};
	third.accounting = ACCOUNTING_NONE;
	cluster_watches_adopt(&scene.watches, &other);
	assert_true(scene.watch->accounting_known && !scene.watch->accounting);
	scene_done(&scene);
}

static void test_stats_of_all_identities_are_the_latest_good_look_and_the_worst_failures(void **state)
{
	struct scene scene;
	struct observation_stats stats;
	(void)state;
	scene_init(&scene);
	struct cluster_watch *ann = cluster_watch_get(&scene.watches, "beta", "ann/ann");
	struct cluster_watch *bob = cluster_watch_get(&scene.watches, "beta", "bob/bob");
	cluster_watch_note_cost(&scene.watches, ann, false, 10, 100);
	cluster_watch_note_stats(&scene.watches, ann, NULL);
	clock_fake_set_ms(START_MS + 5000);
	cluster_watch_note_cost(&scene.watches, bob, true, 20, 1);
	cluster_watch_failed(&scene.watches, bob, "refused");
	cluster_watches_stats(&scene.watches, "beta", NULL, &stats);
	assert_int_equal(stats.observed_at, START_MS / 1000);
	assert_int_equal(stats.failures, 1);
	assert_string_equal(stats.error, "refused");
	assert_int_equal(stats.looks, 1);
	assert_int_equal(stats.bad_looks, 1);
	assert_int_equal(stats.looks_ms, 30);
	assert_int_equal(stats.looks_bytes, 101);
	cluster_watches_stats(&scene.watches, "beta", "ann/ann", &stats);
	assert_int_equal(stats.failures, 0);
	cluster_watches_stats(&scene.watches, "gamma", NULL, &stats);
	assert_int_equal(stats.looks + stats.bad_looks + stats.observed_at, 0);
	scene_done(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_get_makes_one_for_each_identity_that_the_settings_have),
	    cmocka_unit_test(test_plan_is_sooner_after_a_change_and_later_while_nothing_happens),
	    cmocka_unit_test(test_failed_asks_later_each_time_up_to_ten_intervals),
	    cmocka_unit_test(test_release_says_what_may_be_asked_again),
	    cmocka_unit_test(test_note_sacct_pauses_one_that_fails),
	    cmocka_unit_test(test_refused_doubles_the_pause_up_to_a_minute),
	    cmocka_unit_test(test_nudge_has_the_chains_of_that_login_tried_at_once),
	    cmocka_unit_test(test_adopt_keeps_what_is_known_as_far_as_it_is_the_same),
	    cmocka_unit_test(test_stats_of_all_identities_are_the_latest_good_look_and_the_worst_failures),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

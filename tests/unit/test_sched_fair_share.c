/* Turns of active chains: what counts against which limit, and the positions that readers see. */
#include "sched/fair_share.h"

#include "base/mem.h"
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Settings with two clusters, and chains. */
struct scene {
	struct settings settings;
	struct settings_cluster clusters[2];
	struct settings_person people[1];
	struct active_chains set;
	struct fair_share *fair;
	struct active_chain *waiting[16];
	size_t count;
};

static char alpha[] = "alpha";
static char beta[] = "beta";
static char carol[] = "carol";

static void scene_init(struct scene *scene)
{
	*scene = (struct scene){.fair = fair_share_new()};
	scene->clusters[0] = (struct settings_cluster){.name = alpha, .submitted_jobs = -1};
	scene->clusters[1] = (struct settings_cluster){.name = beta, .submitted_jobs = -1};
	scene->people[0] = (struct settings_person){.name = carol, .active_jobs = 2, .submitted_jobs = 1, .weight = 4};
	scene->settings.clusters = scene->clusters;
	scene->settings.cluster_count = 2;
	scene->settings.people = scene->people;
	scene->settings.person_count = 1;
	scene->settings.limits.active_jobs_per_user = 5;
	scene->settings.limits.submitted_jobs_per_user = 3;
}

static void scene_done(struct scene *scene)
{
	active_chains_done(&scene->set);
	fair_share_free(scene->fair);
}

static struct active_chain *add(struct scene *scene, int64_t seq, const char *user, const char *cluster,
				enum chain_state state)
{
	struct job_row row = {.seq = 100 + seq,
			      .chain.seq = seq,
			      .user = mem_strdup(user),
			      .cluster = mem_strdup(cluster),
			      .identity = mem_strdup("svc"),
			      .chain.resume_mode = mem_strdup("daemon"),
			      .state = state};
	struct active_chain *chain = active_chains_put(&scene->set, &row);
	if (state == CHAIN_QUEUED || state == CHAIN_RESUMING)
		scene->waiting[scene->count++] = chain;
	return chain;
}

/* The jobs whose turn has come, as "3 1". */
static void assert_turns(struct scene *scene, const char *wanted)
{
	char order[256] = "";
	size_t size = 0;
	struct active_chain *waiting[16];
	memcpy(waiting, scene->waiting, sizeof waiting);
	size_t count = fair_share_take(scene->fair, &scene->settings, NULL, &scene->set, waiting, scene->count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(waiting[i]->turn, i + 1);
		size +=
		    (size_t)snprintf(order + size, sizeof order - size, "%s%d", i > 0 ? " " : "", (int)waiting[i]->seq);
	}
	assert_string_equal(order, wanted);
}

static void assert_position(struct scene *scene, int64_t seq, int64_t position, int64_t queue, enum admission_hold hold,
			    int64_t has, int64_t most)
{
	struct queue_position seen;
	assert_true(fair_share_position(scene->fair, seq, &seen));
	assert_int_equal(seen.position, position);
	assert_int_equal(seen.queue, queue);
	assert_int_equal(seen.hold, hold);
	assert_int_equal(seen.has, has);
	assert_int_equal(seen.most, most);
}

static void test_turns_take_counts_what_is_or_may_be_in_slurm(void **state)
{
	(void)state;
	static const struct {
		enum chain_state state;
		bool ending;
		const char *mode;
		int in_slurm;
	} cases[] = {
	    {CHAIN_SUBMITTING, false, "daemon", 1}, {CHAIN_PENDING, false, "daemon", 1},
	    {CHAIN_RUNNING, false, "daemon", 1},    {CHAIN_CANCELLING, false, "daemon", 1},
	    {CHAIN_RUNNING, true, "daemon", 0},     {CHAIN_RESUMING, false, "daemon", 0},
	    {CHAIN_FAILED, false, "daemon", 0},     {CHAIN_RUNNING, false, "in_job", 2},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct scene scene;
		scene_init(&scene);
		struct active_chain *chain = add(&scene, 1, "alice", "alpha", cases[i].state);
		chain->ending = cases[i].ending;
		free(chain->common->row.resume_mode);
		chain->common->row.resume_mode = mem_strdup(cases[i].mode);
		scene.count = 0; /* one that waits for something else */
		for (int64_t seq = 2; seq <= 5; seq++)
			add(&scene, seq, "alice", "beta", CHAIN_QUEUED);
		static const char *const turns[] = {"2 3 4", "2 3", "2"};
		assert_turns(&scene, turns[cases[i].in_slurm]);
		scene_done(&scene);
	}
}

static void test_turns_take_counts_begun_chains_as_active(void **state)
{
	(void)state;
	struct scene scene;
	scene_init(&scene);
	for (int64_t seq = 1; seq <= 4; seq++)
		add(&scene, seq, "alice", "alpha", CHAIN_RESUMING);
	scene.count = 0; /* all four wait out a back-off */
	add(&scene, 5, "alice", "alpha", CHAIN_QUEUED);
	add(&scene, 6, "alice", "alpha", CHAIN_QUEUED);
	assert_turns(&scene, "5");
	assert_position(&scene, 6, 2, 2, ADMISSION_PERSON_ACTIVE, 5, 5);
	scene_done(&scene);
}

static void test_turns_take_uses_limits_and_weight_of_single_people(void **state)
{
	(void)state;
	struct scene scene;
	scene_init(&scene);
	add(&scene, 1, "carol", "alpha", CHAIN_QUEUED);
	add(&scene, 2, "carol", "alpha", CHAIN_QUEUED);
	for (int64_t seq = 3; seq <= 6; seq++)
		add(&scene, seq, "alice", "alpha", CHAIN_QUEUED);
	assert_turns(&scene, "1 3 4 5");
	assert_position(&scene, 2, 3, 6, ADMISSION_PERSON_IN_SLURM, 1,
			1); /* before alice's second, for carol's weight */
	assert_position(&scene, 6, 6, 6, ADMISSION_PERSON_IN_SLURM, 3, 3);
	scene_done(&scene);
}

static void test_turns_take_at_a_clusters_limit_holds_everybody_there(void **state)
{
	(void)state;
	struct scene scene;
	scene_init(&scene);
	scene.clusters[0].submitted_jobs = 2;
	add(&scene, 1, "alice", "alpha", CHAIN_RUNNING);
	add(&scene, 2, "alice", "alpha", CHAIN_QUEUED);
	add(&scene, 3, "bob", "alpha", CHAIN_QUEUED);
	add(&scene, 4, "bob", "beta", CHAIN_QUEUED);
	assert_turns(&scene, "3 4");
	assert_position(&scene, 2, 2, 2, ADMISSION_CLUSTER_FULL, 2, 2);
	scene_done(&scene);
}

static void test_turns_take_again_sees_changed_limits_and_keeps_positions_else(void **state)
{
	(void)state;
	struct scene scene;
	scene_init(&scene);
	scene.clusters[0].submitted_jobs = 1;
	add(&scene, 1, "alice", "alpha", CHAIN_RUNNING);
	add(&scene, 2, "bob", "alpha", CHAIN_QUEUED);
	assert_turns(&scene, "");
	int64_t version = fair_share_version(scene.fair);
	assert_turns(&scene, "");
	assert_int_equal(fair_share_version(scene.fair), version); /* nothing changed, nothing is made anew */
	assert_position(&scene, 2, 1, 1, ADMISSION_CLUSTER_FULL, 1, 1);
	scene.clusters[0].submitted_jobs = 2;
	assert_turns(&scene, "2");
	assert_turns(&scene, "2"); /* not sent yet: it is its turn still */
	scene.count = 0;
	assert_turns(&scene, "");
	struct queue_position position;
	assert_false(fair_share_position(scene.fair, 2, &position));
	assert_true(fair_share_version(scene.fair) > version);
	scene_done(&scene);
}

static void test_turns_retry_takes_the_fair_first_of_those_that_slurm_refused(void **state)
{
	(void)state;
	struct scene scene;
	scene_init(&scene);
	for (int64_t seq = 1; seq <= 2; seq++)
		add(&scene, seq, "alice", "alpha", CHAIN_RUNNING);
	struct active_chain *limited[4];
	static const char *const users[] = {"alice", "alice", "bob", "bob"};
	for (size_t i = 0; i < 4; i++) {
		limited[i] = add(&scene, 3 + (int64_t)i, users[i], i == 3 ? "beta" : "alpha", CHAIN_SUBMITTING);
		limited[i]->limited = true;
		limited[i]->due_ms = 1000;
	}
	add(&scene, 9, "bob", "alpha", CHAIN_QUEUED); /* held until those before it are through */
	assert_turns(&scene, "");
	assert_position(&scene, 9, 1, 1, ADMISSION_SLURM_LIMIT, 0, 0);
	assert_true(fair_share_retry(scene.fair, &scene.settings, &scene.set, "alpha", "svc", 1));
	assert_int_equal(limited[2]->due_ms, 0);
	assert_int_equal(limited[0]->due_ms, 1000);
	assert_int_equal(limited[3]->due_ms, 1000);
	for (size_t i = 0; i < 4; i++)
		limited[i]->limited = false;
	assert_false(fair_share_retry(scene.fair, &scene.settings, &scene.set, "alpha", "svc", 1));
	scene_done(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_turns_take_counts_what_is_or_may_be_in_slurm),
	    cmocka_unit_test(test_turns_take_counts_begun_chains_as_active),
	    cmocka_unit_test(test_turns_take_uses_limits_and_weight_of_single_people),
	    cmocka_unit_test(test_turns_take_at_a_clusters_limit_holds_everybody_there),
	    cmocka_unit_test(test_turns_take_again_sees_changed_limits_and_keeps_positions_else),
	    cmocka_unit_test(test_turns_retry_takes_the_fair_first_of_those_that_slurm_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

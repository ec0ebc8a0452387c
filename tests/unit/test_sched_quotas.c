/* Quotas of GPU hours: what is counted towards them, from rows to turns. */
#include "cmocka_all.h"
#include "db_fixture.h"

#include "base/clock.h"
#include "db/usage.h"
#include "sched/fair_share.h"

#define NOW_S 1764547200        /* 2025-12-01T00:00:00Z */
#define NEXT_MONTH_S 1767225600 /* 2026-01-01T00:00:00Z */
#define HOUR 3600

struct scene {
	struct fixture *f;
	struct settings settings;
	struct settings_cluster cluster;
	struct settings_quota users[1];
	struct settings_quota labels[1];
	struct active_chains set;
	struct fair_share *fair;
	struct active_chain *waiting[8];
	size_t count;
	struct evaluation_row evaluation;
};

static void scene_init(struct scene *scene, struct fixture *f, int number, const char *label)
{
	struct label labels[] = {{.key = (char *)"team", .value = (char *)label}};
	*scene = (struct scene){.f = f, .fair = fair_share_new()};
	scene->cluster = (struct settings_cluster){.name = (char *)"alpha", .submitted_jobs = -1};
	scene->settings.clusters = &scene->cluster;
	scene->settings.cluster_count = 1;
	scene->settings.limits.active_jobs_per_user = 100;
	scene->settings.limits.submitted_jobs_per_user = 100;
	scene->settings.quotas = (struct settings_quotas){
	    .any = true, .all_gpu_s = -1, .default_gpu_s = -1, .users = scene->users, .labels = scene->labels};
	scene->evaluation = sample_evaluation(number);
	scene->evaluation.labels = labels;
	scene->evaluation.label_count = label != NULL;
	assert_ok(f, evaluations_insert(f->db, &scene->evaluation, &f->err));
	scene->evaluation.labels = NULL;
	clock_fake_set_ms((int64_t)NOW_S * 1000);
}

static void scene_done(struct scene *scene)
{
	active_chains_done(&scene->set);
	fair_share_free(scene->fair);
	clock_fake_set_ms(-1);
}

/* Of eight GPUs, and one hour at most an attempt. */
static struct active_chain *add(struct scene *scene, int index, enum chain_state state)
{
	struct fixture *f = scene->f;
	struct job_row row = sample_job(&scene->evaluation, index);
	row.state = state;
	row.chain.walltime_s = HOUR;
	row.gpus = 8;
	assert_ok(f, jobs_insert(f->db, &row, &f->err));
	struct job_row loaded = {0};
	assert_ok(f, jobs_get_seq(f->db, row.seq, &loaded, &f->err));
	struct active_chain *chain = active_chains_put(&scene->set, &loaded);
	if (state == CHAIN_QUEUED || state == CHAIN_RESUMING)
		scene->waiting[scene->count++] = chain;
	else
		chain->common->attempt =
		    (struct attempt_row){.number = 1, .gpus = 8, .time_limit_s = HOUR, .elapsed_s = -1};
	return chain;
}

static size_t take(struct scene *scene)
{
	struct active_chain *waiting[8];
	memcpy(waiting, scene->waiting, sizeof waiting);
	return fair_share_take(scene->fair, &scene->settings, scene->f->db, &scene->set, waiting, scene->count);
}

/* What the ledger has: an attempt of the scene's evaluation that ended then. */
static void used(struct scene *scene, const char *attempt, int64_t ended_at, int64_t gpu_s)
{
	struct fixture *f = scene->f;
	struct job_row job = sample_job(&scene->evaluation, 7);
	job.evaluation_seq = scene->evaluation.seq;
	const struct job_row *jobs[] = {&job};
	const struct usage_row row = {.attempt = attempt, .ended_at = ended_at, .run_s = gpu_s / 8, .gpu_s = gpu_s};
	assert_ok(f, usage_put(f->db, &row, jobs, 1, &f->err));
}

static void assert_held(struct scene *scene, const struct active_chain *chain, enum admission_hold hold, int64_t has,
			int64_t most)
{
	struct queue_position seen;
	assert_true(fair_share_position(scene->fair, chain->seq, &seen));
	assert_int_equal(seen.hold, hold);
	assert_int_equal(seen.has, has);
	assert_int_equal(seen.most, most);
	assert_int_equal(seen.until_s, NEXT_MONTH_S);
}

/* Each attempt asks, a chain's first and a later one; and what a quota is passed by is what went may still use. */
static void test_quota_of_a_person_holds_first_and_later_attempts(void **state)
{
	struct scene scene;
	scene_init(&scene, *state, 1, NULL);
	scene.users[0] = (struct settings_quota){.name = (char *)"anna", .gpu_s = 20 * HOUR};
	scene.settings.quotas.user_count = 1;
	used(&scene, "last-month", NOW_S - 1, 1000 * HOUR);
	used(&scene, "a", NOW_S, 3 * HOUR);
	struct active_chain *first = add(&scene, 0, CHAIN_QUEUED);
	struct active_chain *later = add(&scene, 1, CHAIN_RESUMING);
	add(&scene, 2, CHAIN_QUEUED);
	struct active_chain *held = add(&scene, 3, CHAIN_QUEUED);
	assert_int_equal(take(&scene), 3); /* 3, 11, 19 are below 20 */
	assert_int_equal(later->turn, 1);
	assert_int_equal(first->turn, 2);
	assert_held(&scene, held, ADMISSION_PERSON_QUOTA, 27, 20);
	/* sacct knows better; and the next month has a quota of its own. */
	assert_ok(scene.f, usage_settle(scene.f->db, "a", HOUR, 20 * HOUR, &scene.f->err));
	assert_int_equal(take(&scene), 0);
	assert_held(&scene, later, ADMISSION_PERSON_QUOTA, 20, 20);
	clock_fake_set_ms((int64_t)NEXT_MONTH_S * 1000);
	assert_int_equal(take(&scene), 3);
	/* No quota. */
	clock_fake_set_ms((int64_t)NOW_S * 1000);
	scene.users[0].gpu_s = -1;
	assert_int_equal(take(&scene), 4);
	scene_done(&scene);
}

static void test_quota_counts_what_is_in_slurm(void **state)
{
	static const struct {
		enum chain_state state;
		int64_t started_at;
		int64_t ended_at;
		bool ending;
		int64_t hours; /* of GPUs */
	} cases[] = {
	    {CHAIN_SUBMITTING, 0, 0, false, 8}, /* all that it may use */
	    {CHAIN_PENDING, 0, 0, false, 8},
	    {CHAIN_RUNNING, NOW_S - HOUR / 2, 0, false, 4}, /* what it has used */
	    {CHAIN_CANCELLING, NOW_S - HOUR / 4, 0, false, 2},
	    {CHAIN_CANCELLING, 0, 0, false, 0},
	    {CHAIN_RUNNING, NOW_S - HOUR, NOW_S, true, 0}, /* the ledger has it */
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct scene scene;
		scene_init(&scene, *state, 10 + (int)i, NULL);
		scene.settings.quotas.default_gpu_s = 0;
		struct active_chain *chain = add(&scene, 0, cases[i].state);
		chain->common->attempt.started_at = cases[i].started_at;
		chain->common->attempt.ended_at = cases[i].ended_at;
		chain->ending = cases[i].ending;
		struct active_chain *held = add(&scene, 1, CHAIN_QUEUED);
		assert_int_equal(take(&scene), 0);
		assert_held(&scene, held, ADMISSION_PERSON_QUOTA, cases[i].hours, 0);
		scene_done(&scene);
	}
}

static void test_quota_of_a_label_and_of_all(void **state)
{
	struct scene scene;
	struct queue_position seen;
	scene_init(&scene, *state, 30, "red: or blue");
	scene.labels[0] = (struct settings_quota){.name = (char *)"team:red: or blue", .gpu_s = 10 * HOUR};
	scene.settings.quotas.label_count = 1;
	struct active_chain *held = add(&scene, 0, CHAIN_QUEUED);
	used(&scene, "b", NOW_S + 5, 10 * HOUR - 1);
	assert_int_equal(take(&scene), 1);
	used(&scene, "c", NOW_S + 5, 1);
	assert_int_equal(take(&scene), 0);
	assert_held(&scene, held, ADMISSION_LABEL_QUOTA, 10, 10);
	assert_true(fair_share_position(scene.fair, held->seq, &seen));
	assert_string_equal(seen.label, "team:red: or blue");
	/* Other settings, which have another label. */
	struct settings others = scene.settings;
	struct settings_quota blue = {.name = (char *)"team:blue", .gpu_s = 0};
	others.quotas.labels = &blue;
	struct active_chain *waiting[] = {held};
	assert_int_equal(fair_share_take(scene.fair, &others, scene.f->db, &scene.set, waiting, 1), 1);
	others.quotas.all_gpu_s = 10 * HOUR;
	assert_int_equal(fair_share_take(scene.fair, &others, scene.f->db, &scene.set, waiting, 1), 0);
	assert_held(&scene, held, ADMISSION_ALL_QUOTA, 10, 10);
	/* What is taken out of the ledger, or told twice, counts once. */
	used(&scene, "c", NOW_S + 5, 1);
	assert_int_equal(query_number(scene.f->db->sqlite, "SELECT gpu_s FROM usage_months WHERE kind = 'label'"),
			 36000);
	query_number(scene.f->db->sqlite, "DELETE FROM usage WHERE attempt = 'b' RETURNING 1");
	assert_int_equal(query_number(scene.f->db->sqlite, "SELECT count(*) FROM usage_months WHERE gpu_s <> 1"), 0);
	assert_int_equal(query_number(scene.f->db->sqlite, "SELECT count(*) FROM usage_months"), 3);
	scene_done(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_quota_of_a_person_holds_first_and_later_attempts, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_quota_counts_what_is_in_slurm, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_quota_of_a_label_and_of_all, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

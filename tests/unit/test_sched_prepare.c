/* What the actions hand out: which chains, with what, and when nothing. The workers are real; the cluster is a port at
 * which nobody listens, so that every action comes back as failed. */
#include "db/fingerprints.h"
#include "sched_fixture.h"

static char nowhere[] = "127.0.0.1";
static char no_file[] = "/nonexistent/file";

static void prepare_init(struct scene *scene, struct fixture *f, const struct before *before)
{
	scene_init(scene, f, before);
	clock_fake_set_ms(-1); /* workers wait by it */
	scene->cluster.hostname = nowhere;
	scene->cluster.address = nowhere;
	scene->cluster.port = 1;
	scene->cluster.key_file = no_file;
	scene->cluster.known_hosts_file = no_file;
	scene->cluster.connect_timeout_s = 5;
	scene->cluster.submitted_jobs = -1;
	scene->settings.limits.active_jobs_per_user = 10;
	scene->settings.limits.submitted_jobs_per_user = 10;
	scene->settings.database = f->path;
	scene->s.inbox = queue_new(16);
	scene->s.fair_share = fair_share_new();
	assert_ok(f, lanes_start(&scene->settings, NULL, &scene->s.lanes, &f->err));
}

static void prepare_done(struct scene *scene)
{
	lanes_stop(scene->s.lanes);
	queue_close(scene->s.inbox);
	while (queue_length(scene->s.inbox) > 0)
		action_free(queue_pop(scene->s.inbox, 0));
	lanes_free(scene->s.lanes);
	queue_free(scene->s.inbox);
	fair_share_free(scene->s.fair_share);
	scene_done(scene);
}

static void prepare(struct scene *scene, const struct action_type *type)
{
	struct chain_list due = {0};
	if (type->is_due != NULL && type->is_due(scene->chain, clock_now_s()))
		chain_list_add(&due, scene->chain);
	type->prepare(&scene->s, &due);
	free(due.items);
}

/* The action that was handed out, back from its worker. */
static struct action *handed_out(const struct scene *scene, const struct action_type *type)
{
	struct action *action = queue_pop(scene->s.inbox, 60000);
	assert_non_null(action);
	assert_ptr_equal(action->type, type);
	assert_true(action->failed);
	assert_int_equal(action->count, 1);
	assert_int_equal(action->items[0].seq, scene->chain->seq);
	assert_int_equal(action->items[0].attempt, scene->chain->common->attempt.number);
	return action;
}

static void assert_nothing_handed_out(const struct scene *scene)
{
	assert_int_equal(lanes_threads(scene->s.lanes), 0);
	assert_int_equal(queue_length(scene->s.inbox), 0);
}

static void test_prepare_observe_asks_once_for_all_that_can_be_seen(void **state)
{
	static const struct before pending = {.state = CHAIN_PENDING};
	struct scene scene;
	prepare_init(&scene, *state, &pending);
	prepare(&scene, &action_observe);
	assert_nothing_handed_out(&scene); /* it is not time */
	scene.watch->next_ms = 0;
	scene.watch->sacct_ms = INT64_MAX; /* it has failed lately */
	prepare(&scene, &action_observe);
	assert_true(scene.watch->observing);
	prepare(&scene, &action_observe); /* one at a time */
	CLEANUP(action_freep) struct action *action = handed_out(&scene, &action_observe);
	assert_string_equal(action->items[0].slurm_job_id, "77");
	assert_true(action->ask_accounting && action->skip_sacct);
	assert_true(action->count_nodes && scene.watch->count_ms > clock_mono_ms()); /* not with each observation */
	assert_null(scene.chain->in_flight);                                         /* it may be cancelled meanwhile */
	assert_int_equal(queue_length(scene.s.inbox), 0);
	prepare_done(&scene);
}

static void test_prepare_observe_asks_nothing_of_what_slurm_cannot_have(void **state)
{
	static const struct before cases[] = {
	    {.state = CHAIN_QUEUED},
	    {.state = CHAIN_SUBMITTING},
	    {.state = CHAIN_RESUMING, .slurm_state = "TIMEOUT"},
	    {.state = CHAIN_CANCELLING, .nobody = true},
	    {.state = CHAIN_RUNNING, .slurm_state = "COMPLETED", .ending_with = EVENT_END_SUCCESS},
	    {.state = CHAIN_FAILED, .slurm_state = "FAILED"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct scene scene;
		prepare_init(&scene, *state, &cases[i]);
		scene.watch->next_ms = 0;
		prepare(&scene, &action_observe);
		assert_nothing_handed_out(&scene);
		prepare_done(&scene);
	}
}

static void test_prepare_cancel_and_collect_hand_out_what_pends(void **state)
{
	static const struct {
		struct before before;
		const struct action_type *type;
		enum collect_export_request wanted;
		const char *fingerprint; /* of its checkpoints when it was submitted */
	} cases[] = {
	    {{.state = CHAIN_CANCELLING, .slurm_state = "RUNNING", .cancelled = true}, &action_cancel, 0, NULL},
	    {{.state = CHAIN_RUNNING, .slurm_state = "COMPLETED", .ending_with = EVENT_END_SUCCESS},
	     &action_collect,
	     COLLECT_EXPORT_FOLLOW,
	     NULL},
	    {{.state = CHAIN_RUNNING, .slurm_state = "COMPLETED", .ending_with = EVENT_END_SUCCESS},
	     &action_collect,
	     COLLECT_EXPORT_FOLLOW,
	     "f"},
	    {{.state = CHAIN_RUNNING, .slurm_state = "FAILED", .ending_with = EVENT_END_FAILURE},
	     &action_collect,
	     COLLECT_EXPORT_CANCEL,
	     NULL},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct scene scene;
		prepare_init(&scene, *state, &cases[i].before);
		bool finds = cases[i].fingerprint != NULL;
		if (finds)
			assert_ok(scene.f, fingerprints_put(scene.f->db, scene.chain->job.seq, "[\"/c\"]",
							    cases[i].fingerprint, &scene.f->err));
		prepare(&scene, &action_submit);
		assert_nothing_handed_out(&scene);
		prepare(&scene, cases[i].type);
		assert_non_null(scene.chain->in_flight);
		CLEANUP(action_freep) struct action *action = handed_out(&scene, cases[i].type);
		assert_string_equal(action->items[0].slurm_job_id, "77");
		assert_int_equal(action->items[0].export_request, cases[i].wanted);
		assert_false(action->items[0].export_only);
		assert_int_equal(action->items[0].checkpoints != NULL, finds);
		assert_int_equal(action->timeout_ms, finds ? 80000 : 60000);
		prepare_done(&scene);
	}
}

static void test_prepare_puts_off_what_no_worker_takes(void **state)
{
	static const struct {
		struct before before;
		const struct action_type *type;
	} cases[] = {
	    {{.state = CHAIN_CANCELLING, .slurm_state = "RUNNING", .cancelled = true}, &action_cancel},
	    {{.state = CHAIN_RUNNING, .slurm_state = "COMPLETED", .ending_with = EVENT_END_SUCCESS}, &action_collect},
	    {{.state = CHAIN_PENDING}, &action_observe},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct scene scene;
		prepare_init(&scene, *state, &cases[i].before);
		lanes_interrupt(scene.s.lanes);
		scene.watch->next_ms = 0;
		prepare(&scene, cases[i].type);
		assert_null(scene.chain->in_flight);
		assert_false(scene.watch->observing);
		assert_true(cases[i].type == &action_observe ? !cluster_watch_is_due(scene.watch, clock_mono_ms())
							     : scene.chain->due_ms > clock_mono_ms());
		prepare_done(&scene);
	}
}

/* A chain that cannot be sent now says why, and nothing of it is intended. */
static void test_prepare_submit_holds_what_cannot_be_sent(void **state)
{
	enum hold { CONFIG, GONE, REFUSED, FULL, LIMIT };
	static const struct {
		enum hold hold;
		enum chain_state state;
		const char *reason;
		const char *waiting_on;
	} cases[] = {
	    {CONFIG, CHAIN_FAILED, "the stored config cannot be used", NULL},
	    {GONE, CHAIN_QUEUED, NULL, "the settings to name cluster alpha with account svc-nel again"},
	    {REFUSED, CHAIN_QUEUED, NULL, "credentials for alpha"},
	    {FULL, CHAIN_QUEUED, NULL, NULL},
	    {LIMIT, CHAIN_QUEUED, NULL, NULL},
	};
	static const struct before queued = {.state = CHAIN_QUEUED};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct scene scene;
		prepare_init(&scene, *state, &queued);
		struct settings none = scene.settings;
		none.cluster_count = 0;
		if (cases[i].hold == GONE) {
			scene.s.watches.settings = &none;
			scene.chain->watch = NULL;
			free(scene.chain->job.identity);
			scene.chain->job.identity = mem_strdup("svc-nel");
			cluster_watches_done(&scene.s.watches);
			cluster_watches_init(&scene.s.watches, &none);
		} else if (cases[i].hold == REFUSED) {
			cluster_watch_refused(scene.watch, "credentials for alpha");
		} else if (cases[i].hold == FULL) {
			scene.watch->sending = 3; /* of 4 sessions */
		} else if (cases[i].hold == LIMIT) {
			scene.settings.limits.active_jobs_per_user = 0;
		}
		prepare(&scene, &action_submit);
		assert_nothing_handed_out(&scene);
		if (scene.chain->job.state != cases[i].state)
			fail_msg("case %zu: %s", i, chain_state_name(scene.chain->job.state));
		assert_part("hold", "the reason", scene.chain->job.reason, cases[i].reason);
		assert_part("hold", "waiting_on", scene.chain->job.waiting_on, cases[i].waiting_on);
		assert_int_equal(scene.chain->common->attempt.number, 0);
		if (cases[i].hold == REFUSED)
			assert_int_equal(scene.chain->due_ms, scene.watch->refused_ms);
		prepare_done(&scene);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_prepare_observe_asks_once_for_all_that_can_be_seen, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_prepare_observe_asks_nothing_of_what_slurm_cannot_have, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_prepare_cancel_and_collect_hand_out_what_pends, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_prepare_puts_off_what_no_worker_takes, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_prepare_submit_holds_what_cannot_be_sent, fixture_setup,
					    fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What an observation makes of a chain, and of what is known of its cluster: rows before, answer, rows after. What each
 * state of Slurm's means for an attempt stands in test_sched_reconcile.c. */
#include "sched_fixture.h"

#include "db/observations.h"

static struct observation *seen(struct action *action, enum sighting squeue, enum sighting sacct, const char *state)
{
	action->observed.items = mem_calloc(1, sizeof *action->observed.items);
	action->observed.count = 1;
	action->use_sacct = true;
	action->observed.sacct_asked = true;
	struct observation *o = &action->observed.items[0];
	*o = (struct observation){.squeue = squeue,
				  .sacct = sacct,
				  .progress = -1,
				  .stamp_exit = -1,
				  .elapsed_s = -1,
				  .stamp_elapsed_s = -1,
				  .exit_code = -1};
	snprintf(o->state, sizeof o->state, "%s", state);
	return o;
}

static struct action *waiting(struct scene *scene)
{
	struct action *action = answer_new(scene, &action_observe);
	struct observation *o = seen(action, SIGHT_SEEN, SIGHT_UNOBSERVABLE, "PENDING");
	o->reason = mem_strdup("Resources");
	return action;
}

static struct action *running(struct scene *scene)
{
	struct action *action = answer_new(scene, &action_observe);
	struct observation *o = seen(action, SIGHT_SEEN, SIGHT_UNOBSERVABLE, "RUNNING");
	o->started_at = NOW_S - 20;
	o->elapsed_s = 20;
	o->progress = 3;
	o->nodes = mem_strdup("n1");
	return action;
}

static struct action *ended(struct scene *scene, const char *slurm_state, int exit_code)
{
	struct action *action = answer_new(scene, &action_observe);
	struct observation *o = seen(action, SIGHT_ABSENT, SIGHT_SEEN, slurm_state);
	o->started_at = NOW_S - 400;
	o->ended_at = NOW_S;
	o->elapsed_s = 400;
	o->exit_code = exit_code;
	o->nodes = mem_strdup("n1");
	return action;
}

static struct action *completed(struct scene *scene)
{
	return ended(scene, "COMPLETED", 0);
}

static struct action *timeout(struct scene *scene)
{
	return ended(scene, "TIMEOUT", 0);
}

static struct action *failed_job(struct scene *scene)
{
	return ended(scene, "FAILED", 3);
}

static struct action *cancelled(struct scene *scene)
{
	return ended(scene, "CANCELLED", 0);
}

static struct action *absent(struct scene *scene)
{
	struct action *action = answer_new(scene, &action_observe);
	seen(action, SIGHT_ABSENT, SIGHT_ABSENT, "");
	return action;
}

static struct action *unobservable(struct scene *scene)
{
	struct action *action = answer_new(scene, &action_observe);
	seen(action, SIGHT_UNOBSERVABLE, SIGHT_UNOBSERVABLE, "");
	return action;
}

static struct action *squeue_failed(struct scene *scene)
{
	struct action *action = unobservable(scene);
	action->observed.slurm_failed = true;
	snprintf(action->observed.message, sizeof action->observed.message, "squeue: timed out");
	return action;
}

static struct action *connection_lost(struct scene *scene)
{
	struct action *action = answer_new(scene, &action_observe);
	action->failed = true;
	err_set(&action->err, NEL_REMOTE, "the connection was cut");
	return action;
}

static struct action *early_absent(struct scene *scene)
{
	struct action *action = answer_new(scene, &action_observe);
	seen(action, SIGHT_UNOBSERVABLE, SIGHT_UNOBSERVABLE, "");
	action->early = true;
	return action;
}

static struct action *early_running(struct scene *scene)
{
	struct action *action = running(scene);
	action->early = true;
	return action;
}

/* sacct took its time; squeue has been asked again since, and has had the job then. */
static struct action *end_that_is_older_than_a_sight(struct scene *scene)
{
	struct action *action = completed(scene);
	action->told_early = true;
	scene->watch->sacct_since_ms = clock_mono_ms() - 5000;
	scene->chain->seen_alive_ms = clock_mono_ms() - 1000;
	return action;
}

static struct action *end_told_late(struct scene *scene)
{
	struct action *action = end_that_is_older_than_a_sight(scene);
	scene->chain->seen_alive_ms = clock_mono_ms() - 9000;
	return action;
}

static void test_take_observe(void **state)
{
	static const struct {
		const char *name;
		struct before before;
		struct action *(*answer)(struct scene *scene);
		struct after after;
	} cases[] = {
	    {"it waits in Slurm",
	     {.state = CHAIN_PENDING},
	     waiting,
	     {.state = CHAIN_PENDING, .waiting_on = "Resources", .events = ""}},
	    {"it has begun",
	     {.state = CHAIN_PENDING},
	     running,
	     {.state = CHAIN_RUNNING, .events = "attempt.started job.state evaluation.state"}},
	    {"it runs on",
	     {.state = CHAIN_RUNNING, .slurm_state = "RUNNING", .started_at = NOW_S - 20},
	     running,
	     {.state = CHAIN_RUNNING, .events = ""}},
	    {"Slurm has requeued it",
	     {.state = CHAIN_RUNNING, .slurm_state = "RUNNING", .started_at = NOW_S - 20},
	     waiting,
	     {.state = CHAIN_PENDING, .waiting_on = "Resources", .events = "job.state evaluation.state"}},
	    {"it ended well: the end is told with the scores",
	     {.state = CHAIN_RUNNING, .slurm_state = "RUNNING", .started_at = NOW_S - 400},
	     completed,
	     {.state = CHAIN_RUNNING, .pending = ACTION_COLLECT, .ending = true, .events = "attempt.ended"}},
	    {"it ended well before it was seen running",
	     {.state = CHAIN_PENDING},
	     completed,
	     {.state = CHAIN_PENDING,
	      .pending = ACTION_COLLECT,
	      .ending = true,
	      .events = "attempt.started attempt.ended"}},
	    {"a time-out, and another attempt follows",
	     {.state = CHAIN_RUNNING, .slurm_state = "RUNNING", .started_at = NOW_S - 400},
	     timeout,
	     {.state = CHAIN_RESUMING,
	      .reason = "attempt 1 ended with TIMEOUT and will be continued",
	      .waiting_on = "its turn",
	      .events = "attempt.ended job.state evaluation.state"}},
	    {"a time-out, and the budget is spent",
	     {.state = CHAIN_RUNNING,
	      .slurm_state = "RUNNING",
	      .started_at = NOW_S - 400,
	      .attempt = 2,
	      .budget_limit_s = 500},
	     timeout,
	     {.state = CHAIN_RUNNING, .pending = ACTION_COLLECT, .ending = true, .events = "attempt.ended"}},
	    {"a time-out, and nothing is resumed",
	     {.state = CHAIN_RUNNING, .slurm_state = "RUNNING", .started_at = NOW_S - 400, .resume_mode = "off"},
	     timeout,
	     {.state = CHAIN_RUNNING, .pending = ACTION_COLLECT, .ending = true, .events = "attempt.ended"}},
	    {"it failed",
	     {.state = CHAIN_RUNNING, .slurm_state = "RUNNING", .started_at = NOW_S - 400},
	     failed_job,
	     {.state = CHAIN_RUNNING, .pending = ACTION_COLLECT, .ending = true, .events = "attempt.ended"}},
	    {"it was to be cancelled, and is",
	     {.state = CHAIN_CANCELLING, .slurm_state = "RUNNING", .started_at = NOW_S - 400, .cancelled = true},
	     cancelled,
	     {.state = CHAIN_CANCELLING,
	      .pending = ACTION_COLLECT,
	      .reason = "cancelled by anna",
	      .ending = true,
	      .events = "attempt.ended"}},
	    {"it was to be cancelled, and ran into its time limit first",
	     {.state = CHAIN_CANCELLING, .slurm_state = "RUNNING", .started_at = NOW_S - 400, .cancelled = true},
	     timeout,
	     {.state = CHAIN_CANCELLING,
	      .pending = ACTION_COLLECT,
	      .reason = "cancelled by anna",
	      .ending = true,
	      .events = "attempt.ended"}},
	    {"neither squeue nor sacct has it: it may be back",
	     {.state = CHAIN_RUNNING, .slurm_state = "RUNNING", .started_at = NOW_S - 400},
	     absent,
	     {.state = CHAIN_RUNNING, .events = ""}},
	    {"neither has it, for longer than the deadline",
	     {.state = CHAIN_RUNNING, .slurm_state = "RUNNING", .started_at = NOW_S - 400, .absent_since = NOW_S - 301},
	     absent,
	     {.state = CHAIN_RUNNING, .pending = ACTION_COLLECT, .ending = true, .events = "attempt.ended"}},
	    {"nothing was learnt of it, for longer than the deadline: no end",
	     {.state = CHAIN_RUNNING, .slurm_state = "RUNNING", .started_at = NOW_S - 400, .absent_since = NOW_S - 301},
	     unobservable,
	     {.state = CHAIN_RUNNING, .events = ""}},
	    {"squeue's part of an answer has begun it",
	     {.state = CHAIN_PENDING},
	     early_running,
	     {.state = CHAIN_RUNNING, .events = "attempt.started job.state evaluation.state"}},
	    {"squeue's part lacks it: sacct may have its end",
	     {.state = CHAIN_RUNNING, .slurm_state = "RUNNING", .absent_since = NOW_S - 301},
	     early_absent,
	     {.state = CHAIN_RUNNING, .events = ""}},
	    {"sacct's end is older than squeue's sight: another source says that it lives",
	     {.state = CHAIN_RUNNING, .slurm_state = "RUNNING"},
	     end_that_is_older_than_a_sight,
	     {.state = CHAIN_RUNNING, .events = ""}},
	    {"sacct's end, told after squeue's part",
	     {.state = CHAIN_RUNNING, .slurm_state = "RUNNING"},
	     end_told_late,
	     {.state = CHAIN_RUNNING,
	      .pending = ACTION_COLLECT,
	      .ending = true,
	      .events = "attempt.started attempt.ended"}},
	    {"squeue failed: nothing is learnt of the chain",
	     {.state = CHAIN_RUNNING, .slurm_state = "RUNNING", .absent_since = NOW_S - 301},
	     squeue_failed,
	     {.state = CHAIN_RUNNING, .events = "cluster.unreachable"}},
	    {"the connection was cut",
	     {.state = CHAIN_RUNNING, .slurm_state = "RUNNING"},
	     connection_lost,
	     {.state = CHAIN_RUNNING, .events = "cluster.unreachable"}},
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_take(cases[i].name, *state, &cases[i].before, cases[i].answer, &cases[i].after);
}

/* An answer frees the watch for the next observation, whether it can be stored or not. */
static void test_take_observe_frees_its_watch(void **state)
{
	static const struct before before = {.state = CHAIN_PENDING};
	for (int stored = 0; stored < 2; stored++) {
		struct scene scene;
		scene_init(&scene, *state, &before);
		struct action *action = running(&scene);
		scene.watch->observing = true;
		scene.watch->sacct_asked = true;
		spoil(&scene);
		scene.failing = stored ? 0 : 1;
		answers_take(&scene.s, action);
		spoil_end(&scene);
		assert_false(scene.watch->observing);
		assert_true(scene.watch->sacct_asked); /* an earlier one has still to answer */
		assert_int_equal(scene.chain->stale, !stored);
		/* A change is looked after soon; a store that is full a second later. */
		int64_t next_ms = scene.watch->next_ms - clock_mono_ms();
		assert_true(next_ms >= 900 && next_ms <= 1100);
		assert_false(cluster_watch_is_due(scene.watch, clock_mono_ms()));
		assert_true(cluster_watch_is_due(scene.watch, scene.watch->next_ms));
		scene_done(&scene);
	}
}

/* A chain that is in another action stays there. */
static void test_take_observe_leaves_chains_in_flight(void **state)
{
	static const struct before before = {.state = CHAIN_CANCELLING, .slurm_state = "RUNNING", .cancelled = true};
	struct scene scene;
	scene_init(&scene, *state, &before);
	scene.chain->in_flight = &action_cancel;
	answers_take(&scene.s, running(&scene));
	assert_non_null(scene.chain->in_flight);
	assert_int_equal(scene.chain->pending, ACTION_CANCEL);
	scene_done(&scene);
}

static void test_take_observe_counts_what_an_attempt_has_used(void **state)
{
	static const struct before before = {
	    .state = CHAIN_RUNNING, .slurm_state = "RUNNING", .started_at = NOW_S - 400};
	static const struct {
		struct action *(*answer)(struct scene *scene);
		int64_t wasted;
	} cases[] = {{completed, 0}, {timeout, 3200}};
	struct fixture *f = *state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct scene scene;
		scene_init(&scene, f, &before);
		sql(f, "DELETE FROM totals");
		answers_take(&scene.s, cases[i].answer(&scene));
		assert_int_equal(query_number(f->db->sqlite, "SELECT value FROM totals WHERE name = 'gpu_seconds'"),
				 3200);
		assert_int_equal(
		    query_number(f->db->sqlite, "SELECT value FROM totals WHERE name = 'gpu_seconds_wasted'"),
		    cases[i].wasted);
		assert_int_equal(scene.chain->common->row.budget_used_s, 400);
		scene_done(&scene);
	}
}

static int64_t ledger_number(struct fixture *f, const char *what)
{
	CLEANUP(mem_freep) char *query = mem_printf("SELECT %s FROM usage", what);
	return query_number(f->db->sqlite, query);
}

/* squeue tells of an end that sacct does not have yet; a later observation asks again, and takes what sacct says. */
static void test_take_observe_settles_the_ledger_by_sacct(void **state)
{
	static const struct before before = {
	    .state = CHAIN_RUNNING, .slurm_state = "RUNNING", .started_at = NOW_S - 400};
	static const struct {
		enum sighting sacct;
		bool acct_ended;
		int64_t gpu_s;
		int64_t asks;
	} cases[] = {{SIGHT_UNOBSERVABLE, false, 3200, 0}, /* it failed */
		     {SIGHT_ABSENT, false, 3200, 1},
		     {SIGHT_SEEN, false, 3200, 2}, /* it says RUNNING */
		     {SIGHT_SEEN, true, 401 * 4, 2}};
	struct fixture *f = *state;
	struct scene scene;
	scene_init(&scene, f, &before);
	struct action *end = timeout(&scene);
	end->observed.items[0].squeue = SIGHT_SEEN;
	end->observed.items[0].sacct = SIGHT_ABSENT;
	answers_take(&scene.s, end);
	assert_int_equal(ledger_number(f, "source = 'service'"), 1);
	assert_int_equal(ledger_number(f, "lost_gpu_s"), 3200);
	int64_t now_s = NOW_S + 9;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct action *later = answer_new(&scene, &action_observe);
		assert_ok(f, usage_unsettled(f->db, "alpha", "svc-nel", now_s, 20, &later->unsettled, &f->err));
		assert_int_equal(later->unsettled.count, 0); /* not yet */
		now_s = NOW_S + (10 << (3 * ledger_number(f, "asks")));
		assert_ok(f, usage_unsettled(f->db, "alpha", "other", now_s, 20, &later->unsettled, &f->err));
		assert_int_equal(later->unsettled.count, 0); /* another login's */
		assert_ok(f, usage_unsettled(f->db, "alpha", "svc-nel", now_s, 20, &later->unsettled, &f->err));
		assert_int_equal(later->unsettled.count, 1);
		assert_string_equal(later->unsettled.items[0].slurm_job_id, "77");
		seen(later, SIGHT_UNOBSERVABLE, SIGHT_UNOBSERVABLE, "");
		later->observed.items = mem_realloc(later->observed.items, 2, sizeof *later->observed.items);
		later->observed.count = 2;
		later->observed.items[1] = (struct observation){.squeue = SIGHT_ABSENT,
								.sacct = cases[i].sacct,
								.acct_ended = cases[i].acct_ended,
								.acct_elapsed_s = 401,
								.gpu_s = 401 * 4};
		answers_take(&scene.s, later);
		assert_int_equal(ledger_number(f, "gpu_s"), cases[i].gpu_s);
		assert_int_equal(ledger_number(f, "lost_gpu_s"), cases[i].gpu_s);
		assert_int_equal(ledger_number(f, "asks"), cases[i].asks);
		now_s = NOW_S + (10 << (3 * cases[i].asks)) - 1;
	}
	assert_int_equal(ledger_number(f, "source = 'sacct' AND run_s = 401"), 1);
	/* Asked after five times at most, and for a week. */
	struct unsettled_list none = {0};
	sql(f, "UPDATE usage SET source = 'service', asks = 5");
	assert_ok(f, usage_unsettled(f->db, "alpha", "svc-nel", NOW_S + 86400, 20, &none, &f->err));
	assert_int_equal(none.count, 0);
	sql(f, "UPDATE usage SET asks = 4");
	assert_ok(f, usage_unsettled(f->db, "alpha", "svc-nel", NOW_S + 8 * 86400, 20, &none, &f->err));
	assert_int_equal(none.count, 0);
	scene_done(&scene);
}

/* Nothing is to be seen on the cluster any more: an attempt that ended before sacct knew is asked about all the same.
 */
static void test_prepare_observe_asks_about_ended_attempts_alone(void **state)
{
	static const struct before before = {
	    .state = CHAIN_RUNNING, .slurm_state = "RUNNING", .started_at = NOW_S - 400};
	struct fixture *f = *state;
	struct scene scene;
	scene_init(&scene, f, &before);
	struct action *end = timeout(&scene);
	end->observed.items[0].squeue = SIGHT_SEEN;
	end->observed.items[0].sacct = SIGHT_ABSENT;
	answers_take(&scene.s, end);
	assert_int_equal(ledger_number(f, "source = 'service'"), 1);
	active_chains_remove(&scene.s.chains, scene.chain);
	/* Nobody listens there, so the answer is that it failed; what it asked about is in it. */
	scene.cluster.hostname = scene.cluster.address = (char *)"127.0.0.1";
	scene.cluster.port = 1;
	scene.cluster.known_hosts_file = scene.cluster.key_file = (char *)"/nonexistent";
	scene.cluster.connect_timeout_s = 5;
	scene.s.inbox = queue_new(16);
	assert_ok(f, lanes_start(&scene.settings, NULL, &scene.s.lanes, &f->err));
	const struct chain_list none = {0};
	static const struct {
		int64_t after_s; /* its end */
		bool accounting;
		bool known;
		bool asks;
		bool fails;                           /* as it does when nobody changes its answer */
	} cases[] = {{9, true, true, false, false},   /* not yet */
		     {15, true, true, false, false},  /* looked for 6 s ago */
		     {20, false, true, false, false}, /* nobody knows more of it there */
		     {31, true, true, true, true},
		     {60, true, true, false, false}, /* it failed lately */
		     {400, true, true, true, false},
		     {450, false, false, true, false}}; /* after a restart: whether anybody does is found out first */
	for (size_t i = 0; i < COUNT(cases); i++) {
		clock_fake_set_ms((NOW_S + cases[i].after_s) * 1000);
		scene.watch->accounting = cases[i].accounting;
		scene.watch->accounting_known = cases[i].known;
		scene.watch->next_ms = 0;
		action_observe.prepare(&scene.s, &none);
		if (scene.watch->observing != cases[i].asks)
			fail_msg("case %zu: observing %d", i, scene.watch->observing);
		if (!cases[i].asks)
			continue;
		CLEANUP(action_freep) struct action *answer = queue_pop(scene.s.inbox, 120000);
		assert_non_null(answer);
		assert_int_equal(answer->count, 0);
		assert_int_equal(answer->unsettled.count, 1);
		assert_string_equal(answer->unsettled.items[0].slurm_job_id, "77");
		if (cases[i].fails) {
			assert_true(answer->failed);
			answers_take(&scene.s, TAKE(answer));
			assert_false(scene.watch->observing);
			assert_int_equal(scene.watch->failures, 0); /* nothing waits for it */
			assert_int_equal(
			    query_number(f->db->sqlite, "SELECT count(*) FROM events WHERE kind LIKE 'cluster.%'"), 0);
			continue;
		}
		/* As sacct would have answered. */
		answer->failed = false;
		answer->use_sacct = answer->observed.sacct_asked = true;
		answer->observed.items = mem_calloc(1, sizeof *answer->observed.items);
		answer->observed.count = 1;
		answer->observed.items[0] = (struct observation){.squeue = SIGHT_ABSENT,
								 .sacct = SIGHT_SEEN,
								 .acct_ended = true,
								 .acct_elapsed_s = 402,
								 .gpu_s = 1000 + (int64_t)i};
		answers_take(&scene.s, TAKE(answer));
		assert_false(scene.watch->observing);
		assert_int_equal(ledger_number(f, "gpu_s"), 1000 + (int64_t)i);
		assert_int_equal(ledger_number(f, "source = 'sacct'"), 1);
		sql(f, "UPDATE usage SET source = 'service'");
	}
	lanes_stop(scene.s.lanes);
	lanes_free(scene.s.lanes);
	queue_close(scene.s.inbox);
	queue_free(scene.s.inbox);
	scene_done(&scene);
}

static int64_t stored_observed_at(const struct scene *scene)
{
	struct fixture *f = scene->f;
	CLEANUP(job_row_done) struct job_row row = {0};
	assert_ok(f, jobs_get_seq(f->db, scene->chain->job.seq, &row, &f->err));
	assert_int_equal(row.observation, scene->chain->job.observation);
	return row.observed_at;
}

/* Takes it at that second; returns how many rows it wrote. */
static int take_at(struct scene *scene, int64_t at_s, struct action *action)
{
	clock_fake_set_ms(at_s * 1000);
	int64_t before = sqlite3_total_changes64(scene->f->db->sqlite);
	answers_take(&scene->s, action);
	assert_false(scene->chain->stale);
	return (int)(sqlite3_total_changes64(scene->f->db->sqlite) - before);
}

/* Where nothing has changed two rows are written, when it was and that it was (the audit's), whatever the number of
 * chains; and each shows when it was seen. */
static void test_take_observe_writes_only_what_has_changed(void **state)
{
	static const struct before before = {.state = CHAIN_PENDING};
	struct scene scene;
	scene_init(&scene, *state, &before);
	take_at(&scene, NOW_S, running(&scene));
	assert_int_equal(stored_observed_at(&scene), NOW_S);
	for (int64_t at_s = NOW_S + 30; at_s < NOW_S + 100; at_s += 30) {
		assert_int_equal(take_at(&scene, at_s, running(&scene)), 2);
		assert_int_equal(stored_observed_at(&scene), at_s);
	}
	/* What could not be observed keeps its time, also when the others of its account were. */
	take_at(&scene, NOW_S + 120, unobservable(&scene));
	assert_int_equal(stored_observed_at(&scene), NOW_S + 90);
	int64_t id = 0;
	assert_ok(scene.f, observations_set(scene.f->db, "alpha", "svc-nel", NOW_S + 125, &id, &scene.f->err));
	take_at(&scene, NOW_S + 130, completed(&scene));
	assert_int_equal(stored_observed_at(&scene), NOW_S + 130);
	assert_int_equal(scene.chain->job.observation, 0); /* it has ended, and is not observed again */
	scene_done(&scene);
}

/* Two chains of an account, of which one is missing in an answer. */
static void test_take_observe_leaves_out_what_was_not_seen(void **state)
{
	static const struct before before = {.state = CHAIN_RUNNING, .slurm_state = "RUNNING"};
	struct scene scene;
	struct fixture *f = *state;
	scene_init(&scene, f, &before);
	struct evaluation_row evaluation = sample_evaluation(77);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct job_row other = sample_job(&evaluation, 0);
	other.state = CHAIN_RUNNING;
	assert_ok(f, jobs_insert(f->db, &other, &f->err));
	struct job_row row = {0};
	assert_ok(f, jobs_get_seq(f->db, other.seq, &row, &f->err));
	struct active_chain *chain = active_chains_put(&scene.s.chains, &row);
	int64_t id = 0;
	assert_ok(f, observations_set(f->db, "alpha", "svc-nel", NOW_S - 30, &id, &f->err));
	assert_ok(f, observations_join(f->db, other.seq, id, &f->err));
	chain->job.observation = id;
	chain->job.observed_at = NOW_S - 30;
	answers_take(&scene.s, running(&scene));
	assert_int_equal(stored_observed_at(&scene), NOW_S);
	assert_int_equal(chain->job.observation, 0);
	assert_int_equal(
	    query_number(f->db->sqlite, "SELECT observed_at FROM jobs WHERE observation IS NULL AND idx = 0"),
	    NOW_S - 30);
	scene_done(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_take_observe, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_take_observe_frees_its_watch, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_take_observe_leaves_chains_in_flight, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_take_observe_writes_only_what_has_changed, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_take_observe_leaves_out_what_was_not_seen, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_take_observe_settles_the_ledger_by_sacct, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_prepare_observe_asks_about_ended_attempts_alone, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_take_observe_counts_what_an_attempt_has_used, fixture_setup,
					    fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

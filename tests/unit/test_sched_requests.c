/* What people ask for: rows before, request, rows after; every write failing in turn. */
#include "sched/requests.h"

#include "db/failures.h"
#include "sched_fixture.h"

enum request { CANCEL, RESUME, RESUME_ANEW };

static void ask(const struct scene *scene, enum request request)
{
	char text[300];
	const char *what = request == CANCEL ? "cancel_requested_at = 9, cancel_requested_by = 'anna'"
			   : request == RESUME
			       ? "resume_requested_at = 9, resume_requested_by = 'anna', cancel_requested_at = NULL"
			       : "resume_requested_at = 9, resume_requested_by = 'anna', resume_resets_budget = 1";
	snprintf(text, sizeof text,
		 "UPDATE chains SET budget_used_s = 100; UPDATE jobs SET attention = 1, %s WHERE seq = %d", what,
		 (int)scene->chain->job.seq);
	sql(scene->f, text);
	scene->chain->common->row.budget_used_s = 100; /* the chain is the scheduler's alone */
}

static int take(struct scene *scene)
{
	int rc = requests_take(&scene->s, &scene->f->err);
	if (rc != 0) /* as the scheduler does */
		active_chains_mark_stale(&scene->s.chains);
	return rc;
}

static void assert_requests(const char *name, struct fixture *f, const struct before *before, bool never_sent,
			    enum request request, const struct after *after)
{
	int writes = 0;
	for (int failing = 0; failing <= writes; failing++) {
		struct scene scene;
		scene_init(&scene, f, before);
		scene.chain->first_send = never_sent;
		ask(&scene, request);
		CLEANUP(mem_freep) char *was = dump(f);
		spoil(&scene);
		scene.failing = failing;
		int rc = take(&scene);
		spoil_end(&scene);
		CLEANUP(mem_freep) char *is = dump(f);
		if (failing == 0) {
			assert_ok(f, rc);
			writes = scene.writes;
			assert_after(name, &scene, after);
		} else if (rc == 0 || scene.chain->stale != (failing > 1) || strcmp(was, is) != 0) {
			/* The first takes the marks; no chain has been looked at then. */
			fail_msg("%s: write %d of %d failed: %d, stale %d", name, failing, writes, rc,
				 scene.chain->stale);
		}
		scene_done(&scene);
	}
}

#define CANCELLED .reason = "cancelled by anna"

static void test_requests_take(void **state)
{
	static const struct {
		const char *name;
		struct before before;
		bool never_sent; /* its newest attempt */
		enum request request;
		struct after after;
	} cases[] = {
	    {"cancel one that waits for its turn",
	     {.state = CHAIN_QUEUED},
	     false,
	     CANCEL,
	     {.state = CHAIN_CANCELLED,
	      CANCELLED,
	      .events = "job.state evaluation.state evaluation.ended",
	      .collected = true}},
	    {"cancel one whose attempt may be on its way",
	     {.state = CHAIN_SUBMITTING},
	     false,
	     CANCEL,
	     {.state = CHAIN_CANCELLING,
	      .pending = ACTION_SUBMIT,
	      CANCELLED,
	      .waiting_on = "the cluster to end the job",
	      .events = "job.state evaluation.state"}},
	    {"cancel one whose attempt was never sent",
	     {.state = CHAIN_SUBMITTING},
	     true,
	     CANCEL,
	     {.state = CHAIN_CANCELLED,
	      CANCELLED,
	      .events = "job.state evaluation.state job.state evaluation.state evaluation.ended",
	      .collected = true}},
	    {"cancel one whose second attempt was never sent: files of the first are there",
	     {.state = CHAIN_SUBMITTING, .attempt = 2},
	     true,
	     CANCEL,
	     {.state = CHAIN_CANCELLING,
	      .pending = ACTION_COLLECT,
	      CANCELLED,
	      .waiting_on = "the cluster to end the job",
	      .events = "job.state evaluation.state",
	      .ending = true}},
	    {"cancel one in Slurm's queue",
	     {.state = CHAIN_PENDING},
	     false,
	     CANCEL,
	     {.state = CHAIN_CANCELLING,
	      .pending = ACTION_CANCEL,
	      CANCELLED,
	      .waiting_on = "the cluster to end the job",
	      .events = "job.state evaluation.state"}},
	    {"cancel one that runs",
	     {.state = CHAIN_RUNNING, .slurm_state = "RUNNING", .started_at = NOW_S - 20},
	     false,
	     CANCEL,
	     {.state = CHAIN_CANCELLING,
	      .pending = ACTION_CANCEL,
	      CANCELLED,
	      .waiting_on = "the cluster to end the job",
	      .events = "job.state evaluation.state"}},
	    {"cancel one between two attempts: the cluster has its files",
	     {.state = CHAIN_RESUMING, .slurm_state = "TIMEOUT"},
	     false,
	     CANCEL,
	     {.state = CHAIN_RESUMING, .pending = ACTION_COLLECT, .events = "", .ending = true}},
	    {"cancel one that has ended",
	     {.state = CHAIN_FAILED, .slurm_state = "FAILED"},
	     false,
	     CANCEL,
	     {.state = CHAIN_FAILED, .pending = ACTION_COLLECT, .events = ""}},
	    {"cancel one whose end is known and not yet told: it ends as it did",
	     {.state = CHAIN_RUNNING, .slurm_state = "COMPLETED", .ending_with = EVENT_END_SUCCESS},
	     false,
	     CANCEL,
	     {.state = CHAIN_RUNNING, .pending = ACTION_COLLECT, .events = "", .ending = true}},
	    {"resume a failed one",
	     {.state = CHAIN_FAILED, .slurm_state = "FAILED"},
	     false,
	     RESUME,
	     {.state = CHAIN_RESUMING,
	      .reason = "resumed by anna; 100 s of the walltime budget are used",
	      .waiting_on = "its turn",
	      .events = "job.state evaluation.state"}},
	    {"resume one whose budget is spent, with a new one",
	     {.state = CHAIN_BUDGET_EXHAUSTED, .slurm_state = "TIMEOUT", .budget_limit_s = 100},
	     false,
	     RESUME_ANEW,
	     {.state = CHAIN_RESUMING,
	      .reason = "with a new walltime budget",
	      .waiting_on = "its turn",
	      .events = "job.state evaluation.state"}},
	    {"resume one that has succeeded: nothing",
	     {.state = CHAIN_SUCCEEDED, .slurm_state = "COMPLETED"},
	     false,
	     RESUME,
	     {.state = CHAIN_SUCCEEDED, .pending = ACTION_COLLECT, .events = ""}},
	    {"resume one that runs: nothing",
	     {.state = CHAIN_RUNNING, .slurm_state = "RUNNING"},
	     false,
	     RESUME,
	     {.state = CHAIN_RUNNING, .events = ""}},
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_requests(cases[i].name, *state, &cases[i].before, cases[i].never_sent, cases[i].request,
				&cases[i].after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_requests_take, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

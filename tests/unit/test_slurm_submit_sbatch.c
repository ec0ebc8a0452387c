/* Submission: what sbatch says, and the parser of what remote_submit.sh makes of it. */
#include "submit_local.h"

#define BEGIN "\nnel|begin|1\n"

static void test_parse_outcomes_are_read(void **state)
{
	(void)state;
	const char *text =
	    "motd\n" BEGIN "task|2|refused|Invalid account | or so\ntask|0|accepted|4711|1700000000|5400|why | so\n"
	    "task|1|retry|later\ntask|3|in_doubt|wait\nend\n";
	CLEANUP(submit_reply_done) struct submit_reply reply = {0};
	struct nel_err err;
	assert_int_equal(submit_parse(text, strlen(text), 4, &reply, &err), 0);
	assert_int_equal(reply.items[0].outcome, SUBMIT_ACCEPTED);
	assert_string_equal(reply.items[0].slurm_job_id, "4711");
	assert_int_equal(reply.items[0].submitted_at, 1700000000);
	assert_int_equal(reply.items[0].time_limit_s, 5400);
	assert_int_equal(reply.items[1].outcome, SUBMIT_RETRY);
	assert_int_equal(reply.items[2].outcome, SUBMIT_REFUSED);
	assert_string_equal(reply.items[2].message, "Invalid account | or so");
	assert_int_equal(reply.items[3].outcome, SUBMIT_IN_DOUBT);
}

static void test_parse_bad_answers_are_errors(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum nel_err_kind kind;
	} cases[] = {
	    {"", NEL_REMOTE},
	    {"task|0|retry|x\nend\n", NEL_REMOTE},
	    {"x nel|begin|1\ntask|0|retry|x\nend\n", NEL_REMOTE},
	    {BEGIN "task|0|retry|x\n", NEL_REMOTE},
	    {BEGIN "task|0|retry|x\nend", NEL_REMOTE},
	    {BEGIN "end\n", NEL_REMOTE},
	    {BEGIN "task|1|retry|x\nend\n", NEL_REMOTE},
	    {BEGIN "task|-1|retry|x\nend\n", NEL_REMOTE},
	    {BEGIN "task|0|accepted|12x|5|0|\nend\n", NEL_REMOTE},
	    {BEGIN "task|0|accepted||5|0|\nend\n", NEL_REMOTE},
	    {BEGIN "task|0|accepted|12\nend\n", NEL_REMOTE},
	    {BEGIN "task|0|accepted|12|5\nend\n", NEL_REMOTE},
	    {BEGIN "task|0|accepted|12|5|60\nend\n", NEL_REMOTE},
	    {BEGIN "task|0|accepted|1234567890123456789012345|5|0|\nend\n", NEL_REMOTE},
	    {BEGIN "task|0|accepted|123456789012345678901|5|0|\nend\n", NEL_REMOTE}, /* could not be observed */
	    {BEGIN "task|0|perhaps|x\nend\n", NEL_REMOTE},
	    {BEGIN "error|invalid|cannot make it\nend\n", NEL_INVALID},
	    {BEGIN "error|busy|No space left on device\nend\n", NEL_BUSY},
	    {BEGIN "error|odd|x\nend\n", NEL_REMOTE},
	    {BEGIN "error|busy|\nend\n", NEL_BUSY},
	    {BEGIN "error\nend\n", NEL_REMOTE},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct submit_reply reply = {0};
		struct nel_err err = {0};
		assert_int_equal(submit_parse(cases[i].text, strlen(cases[i].text), 1, &reply, &err), -1);
		assert_int_equal(err.kind, cases[i].kind);
		assert_int_not_equal(strlen(err.msg), 0);
	}
}

/* An id counts when it is certain: in Slurm's own form and nothing else, or when Slurm says it for the unique name.
 * Never is another number taken, nor the job sent again. */
static void test_submit_with_noisy_sbatch_takes_no_other_number(void **state)
{
	(void)state;
	static const struct {
		const char *said;
		const char *status;
		bool at_once;
	} cases[] = {
	    {"ID", "0", true},
	    {"ID;alpha", "0", true},
	    {"4500\nID", "0", false},
	    {"ID\n4500", "0", false},
	    {"4500;EUR\nSubmitted batch job ID", "0", false},
	    {"This job costs 17 GPU hours\nID\nBudget: 900", "0", false},
	    {"", "0", false},
	    {" ", "0", false},
	    {"12345678901234567890123", "0", false},
	    {"ID", "3", false}, /* a wrapper's own failure, afterwards */
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char id[8];
		snprintf(id, sizeof id, "%zu", 100 + i);
		CLEANUP(mem_freep) char *rundir = mem_printf("out/noisy-%zu", i);
		run("printf '%s\\n' >$FAKE/sbatch_says; echo %s >$FAKE/sbatch_status", cases[i].said, cases[i].status);
		run(": >$FAKE/fail_squeue");
		CLEANUP(sent_done) struct sent first = send_with(1, no_sources, rundir, (int)i + 1, false);
		if (cases[i].at_once)
			assert_outcome(&first, 0, SUBMIT_ACCEPTED, id);
		else
			assert_outcome(&first, 0, SUBMIT_IN_DOUBT, "");
		remove_control("fail_squeue");
		CLEANUP(sent_done) struct sent again = send_with(1, no_sources, rundir, (int)i + 1, false);
		assert_outcome(&again, 0, SUBMIT_ACCEPTED, id);
	}
	assert_output("wc -l <$FAKE/jobs", "10");
	assert_output("grep -c ^sbatch $FAKE/calls", "10");
}

static void test_submit_middle_task_refused_fails_it_alone(void **state)
{
	(void)state;
	write_control("fail_sbatch.a-n.t1.1-e.1", "sbatch: error: Batch job submission failed: Invalid account or "
						  "account/partition combination specified\n");
	for (int i = 0; i < 2; i++) {
		CLEANUP(sent_done) struct sent sent = send_tasks(3);
		assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
		assert_outcome(&sent, 1, SUBMIT_REFUSED, "Invalid account");
		assert_outcome(&sent, 2, SUBMIT_ACCEPTED, "101");
	}
}

/* The next job id is that of the attempt before. With that one gone, nothing is to be waited for. */
static void test_submit_with_a_dependency_on_its_own_id_goes_without_it(void **state)
{
	(void)state;
	write_control("dependency_problem", "");
	write_control("jobs", "99|RUNNING|1000|a-n.t0.0-e.7\n");
	CLEANUP(sent_done) struct sent waits = send_with(1, no_sources, "out/run", 1, false);
	assert_outcome(&waits, 0, SUBMIT_RETRY, "dependency problem");
	assert_output("grep -c ^sbatch $FAKE/calls", "1");
	write_control("jobs", "98|RUNNING|1000|a-n.t1.1-e.7\n");
	CLEANUP(sent_done) struct sent goes = send_with(1, no_sources, "out/run", 1, false);
	assert_outcome(&goes, 0, SUBMIT_ACCEPTED, "101");
	assert_output("grep ^sbatch $FAKE/calls | tail -n 1", "sbatch --parsable --dependency=0 run.sub");
}

/* MaxJobCount: sbatch would try for two minutes by itself. It is ended while it sleeps, and nothing is in doubt. */
static void test_submit_with_sbatch_that_sleeps_is_a_limit_at_once(void **state)
{
	(void)state;
	run("mv \"$FAKE/bin/sbatch\" \"$FAKE/bin/sbatch.kept\"; printf '%%s\n' '#!/bin/bash' "
	    "'echo $$ >>\"$FAKE/sleepers\"' "
	    "'echo \"sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\" >&2' "
	    "'exec sleep 100' >\"$FAKE/bin/sbatch\"; chmod +x \"$FAKE/bin/sbatch\"");
	CLEANUP(sent_done) struct sent sent = send_with(2, no_sources, "out/sleeps", 1, false);
	run("mv \"$FAKE/bin/sbatch.kept\" \"$FAKE/bin/sbatch\"");
	/* On a machine so slow that it may have been awake again, that it is looked up first is right as well. */
	if (sent.reply.items[0].outcome != SUBMIT_IN_DOUBT) {
		assert_outcome(&sent, 0, SUBMIT_LIMIT, "temporarily unable");
		assert_outcome(&sent, 1, SUBMIT_LIMIT, "temporarily unable");
		assert_output("ls $FAKE/out/sleeps/t0.0/.submitted", "");
	}
	assert_output("wc -l <$FAKE/sleepers; kill -0 $(cat $FAKE/sleepers) 2>/dev/null && echo alive", "1");
}

static void test_submit_failures_of_sbatch_are_told_apart(void **state)
{
	(void)state;
	static const struct {
		const char *said;
		enum submit_outcome outcome;
	} cases[] = {
	    {"sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
	     SUBMIT_RETRY},
	    {"sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received", SUBMIT_IN_DOUBT},
#define POLICY \
	"sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's " \
	"size " \
	"and/or time limits)"
	    /* As Slurm 22.05.8 says it, set with sacctmgr: MaxSubmitJobs of a user; GrpSubmitJobs of an account; of a
	     * QOS MaxSubmitJobsPerUser, GrpSubmitJobs, MaxSubmitJobsPerAccount. */
	    {"sbatch: error: AssocMaxSubmitJobLimit\n" POLICY, SUBMIT_LIMIT},
	    {"sbatch: error: AssocGrpSubmitJobsLimit\n" POLICY, SUBMIT_LIMIT},
	    {"sbatch: error: QOSMaxSubmitJobPerUserLimit\n" POLICY, SUBMIT_LIMIT},
	    {"sbatch: error: QOSGrpSubmitJobsLimit\n" POLICY, SUBMIT_LIMIT},
	    {"sbatch: error: MaxSubmitJobsPerAccount\n" POLICY, SUBMIT_LIMIT},
	    /* MaxWall of a user; of a QOS MaxWall, and with DenyOnLimit MaxTRESPerJob and MaxTRESPerUser. */
	    {"sbatch: error: AssocMaxWallDurationPerJobLimit\n" POLICY, SUBMIT_REFUSED},
	    {"sbatch: error: QOSMaxWallDurationPerJobLimit\n" POLICY, SUBMIT_REFUSED},
	    {"sbatch: error: QOSMaxCpuPerJobLimit\n" POLICY, SUBMIT_REFUSED},
	    {"sbatch: error: QOSMaxCpuPerUserLimit\n" POLICY, SUBMIT_REFUSED},
	    /* Others say no more than this. */
	    {POLICY, SUBMIT_UNTOLD},
	    {"sbatch: error: Please ask the team for more.\n" POLICY, SUBMIT_UNTOLD},
	    {"sbatch: error: Slurm job queue full, sleeping and retrying\nsbatch: error: Batch job submission failed: "
	     "Resource temporarily unavailable",
	     SUBMIT_LIMIT},
	    {"sbatch: error: Batch job submission failed: Resource temporarily unavailable", SUBMIT_RETRY},
	    {"sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified",
	     SUBMIT_REFUSED},
	    {"sbatch: error: Batch job submission failed: Requested time limit is invalid (missing or exceeds some "
	     "limit)",
	     SUBMIT_REFUSED},
	    {"sbatch: error: Batch job submission failed: Node count specification invalid", SUBMIT_REFUSED},
#undef POLICY
	    {"sbatch: error: invalid partition specified: x\nsbatch: error: Batch job submission failed: Invalid "
	     "partition "
	     "name specified",
	     SUBMIT_REFUSED},
	    {"sbatch: error: Batch job submission failed: Requested node configuration is not available",
	     SUBMIT_REFUSED},
	    {"sbatch: error: Batch job submission failed: Invalid qos specification", SUBMIT_REFUSED},
	    {"sbatch: unrecognized option '--nonsense'", SUBMIT_REFUSED},
	    /* What may pass. */
	    {"sbatch: error: Batch job submission failed: Required partition not available (inactive or drain)",
	     SUBMIT_PASSING},
	    {"sbatch: error: Batch job submission failed: Requested reservation is invalid", SUBMIT_PASSING},
	    {"sbatch: error: Batch job submission failed: Access denied to requested reservation", SUBMIT_REFUSED},
	    {"sbatch: error: Batch job submission failed: Incompatible versions of client and server code",
	     SUBMIT_PASSING},
	    {"sbatch: error: The cluster is down for maintenance until noon.\nsbatch: error: Batch job submission "
	     "failed: Unspecified error",
	     SUBMIT_PASSING},
	    {"sbatch: error: Batch job submission failed: Requested operation is presently disabled", SUBMIT_PASSING},
	    {"sbatch: error while loading shared libraries: libmunge.so.2: cannot open shared object file: No such "
	     "file "
	     "or directory",
	     SUBMIT_PASSING},
	    {"/bin/bash: line 1: /opt/slurm/bin/sbatch: Stale file handle", SUBMIT_PASSING},
	    {"sbatch: error: Unable to open file run.sub", SUBMIT_PASSING},
	    {"sbatch: error: read: Input/output error", SUBMIT_PASSING},
	    {"sbatch: error: Batch job submission failed: Protocol authentication error", SUBMIT_RETRY},
	    {"", SUBMIT_IN_DOUBT},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char rundir[32];
		snprintf(rundir, sizeof rundir, "out/run%zu", i);
		write_control("fail_sbatch", cases[i].said);
		CLEANUP(sent_done) struct sent sent = send_with(1, no_sources, rundir, 1, false);
		assert_outcome(&sent, 0, cases[i].outcome, "");
		CLEANUP(mem_freep) char *claims = mem_printf("ls $FAKE/%s/t0.0/.submitted", rundir);
		assert_output(claims, cases[i].outcome == SUBMIT_IN_DOUBT ? "1" : "");
	}
	remove_control("fail_sbatch");
	/* What was not submitted can be sent again. */
	CLEANUP(sent_done) struct sent again = send_with(1, no_sources, "out/run0", 1, false);
	assert_outcome(&again, 0, SUBMIT_ACCEPTED, "100");
}

/* An sbatch that cannot be run, and a message with a path that reads like one of its beginnings. */
static void test_submit_with_sbatch_that_cannot_be_run_is_passing(void **state)
{
	(void)state;
	static const struct {
		const char *status;
		const char *said;
		enum submit_outcome outcome;
		const char *text;
	} cases[] = {
	    {"127", "sbatch: symbol lookup error: undefined symbol", SUBMIT_PASSING,
	     "(exit status 127): symbol lookup"},
	    {"126", "bash: sbatch: Permission denied", SUBMIT_PASSING, "(exit status 126): bash: sbatch: Permission"},
	    {"1", "sbatch: error: bad path /out/sbatch: error: /x", SUBMIT_REFUSED, "bad path /out/sbatch: error: /x"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char rundir[32];
		snprintf(rundir, sizeof rundir, "out/cannot%zu", i);
		run("mv $FAKE/bin/sbatch $FAKE/bin/sbatch.real; printf '#!/bin/bash\necho \"%s\" >&2; exit %s\n' "
		    ">$FAKE/bin/sbatch; chmod +x $FAKE/bin/sbatch",
		    cases[i].said, cases[i].status);
		CLEANUP(sent_done) struct sent sent = send_with(1, no_sources, rundir, 1, false);
		assert_outcome(&sent, 0, cases[i].outcome, cases[i].text);
		run("mv $FAKE/bin/sbatch.real $FAKE/bin/sbatch");
		CLEANUP(sent_done) struct sent again = send_with(1, no_sources, rundir, 1, false);
		assert_int_equal(again.reply.items[0].outcome, SUBMIT_ACCEPTED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse_outcomes_are_read),
	    cmocka_unit_test(test_parse_bad_answers_are_errors),
	    SCRIPT_TEST(test_submit_with_noisy_sbatch_takes_no_other_number),
	    SCRIPT_TEST(test_submit_middle_task_refused_fails_it_alone),
	    SCRIPT_TEST(test_submit_with_a_dependency_on_its_own_id_goes_without_it),
	    SCRIPT_TEST(test_submit_with_sbatch_that_sleeps_is_a_limit_at_once),
	    SCRIPT_TEST(test_submit_failures_of_sbatch_are_told_apart),
	    SCRIPT_TEST(test_submit_with_sbatch_that_cannot_be_run_is_passing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

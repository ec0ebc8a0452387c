/* Submission: the answer's parser, and remote_submit.sh run here under stand-ins for Slurm. */
#include "slurm/submit.h"
#include "slurm_local.h"

#include <sys/mount.h>
#include <sys/stat.h>

#define BEGIN "\nnel|begin|1\n"

/* The parser. */

static void test_parse_outcomes_are_read(void **state)
{
	(void)state;
	const char *text = "motd\n" BEGIN "task|2|refused|Invalid account | or so\ntask|0|accepted|4711|1700000000\n"
			   "task|1|retry|later\ntask|3|in_doubt|wait\nend\n";
	CLEANUP(submit_reply_done) struct submit_reply reply = {0};
	struct nel_err err;
	assert_int_equal(submit_parse(text, strlen(text), 4, &reply, &err), 0);
	assert_int_equal(reply.items[0].outcome, SUBMIT_ACCEPTED);
	assert_string_equal(reply.items[0].slurm_job_id, "4711");
	assert_int_equal(reply.items[0].submitted_at, 1700000000);
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
	    {BEGIN "task|0|accepted|12x|5\nend\n", NEL_REMOTE},
	    {BEGIN "task|0|accepted||5\nend\n", NEL_REMOTE},
	    {BEGIN "task|0|accepted|12\nend\n", NEL_REMOTE},
	    {BEGIN "task|0|accepted|1234567890123456789012345|5\nend\n", NEL_REMOTE},
	    {BEGIN "task|0|accepted|123456789012345678901|5\nend\n", NEL_REMOTE}, /* could not be observed */
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

/* The script. */

static const char *const no_sources[] = {NULL};

struct sent {
	struct submit_reply reply;
	struct nel_err err;
	int status;
};

static void sent_done(struct sent *sent)
{
	submit_reply_done(&sent->reply);
}

/* For the next submissions: their attempts are looked up only. */
static bool adopt_only;
/* People share the account. */
static bool shared;
/* The number of their first task. */
static size_t first_task;

/* The run directory as an earlier try has left it. */
#define OWN_RUNDIR "mkdir -p $FAKE/out; mkdir -m 700 $FAKE/out/run; echo run >$FAKE/out/run/.claim; "

/* Makes the files of count tasks named t0, t1, ... and sends them. */
static struct sent send_with(size_t count, const char *const *sources, const char *rundir, int number, bool in_job)
{
	CLEANUP(mem_freep) char *dir = mem_printf("%s/%s", local_dir, rundir);
	struct submit_task tasks[8] = {0};
	char names[8][2][96];
	CLEANUP(str_done) struct str make = {0};
	str_appendf(&make, "rm -rf %s/tar.$$; mkdir %s/tar.$$; cd %s/tar.$$;", local_dir, local_dir, local_dir);
	for (size_t i = 0; i < count; i++) {
		snprintf(names[i][0], 96, "t%zu.%zu", first_task + i, first_task + i);
		snprintf(names[i][1], 96, "a-n.t%zu.%zu-e.%d", first_task + i, first_task + i, number);
		str_appendf(&make,
			    "mkdir -p '%s/logs'; printf '#!/bin/bash\\n#SBATCH --job-name=%%s\\n' '%s' >'%s/run.sub';",
			    names[i][0], names[i][1], names[i][0]);
		tasks[i] = (struct submit_task){.folder = names[i][0],
						.job_name = names[i][1],
						.number = number,
						.adopt_only = adopt_only,
						.sources = i == 1 ? sources : no_sources};
	}
	str_append(&make, "tar -c *; rm -rf \"$PWD\"");
	FILE *pipe = popen(str_text(&make), "r");
	struct str tar = {0};
	char buf[65536];
	size_t size = 0;
	while ((size = fread(buf, 1, sizeof buf, pipe)) > 0)
		str_append_n(&tar, buf, size);
	pclose(pipe);
	struct submit_package package = {.rundir = dir,
					 .sources = no_sources,
					 .tasks = tasks,
					 .task_count = count,
					 .shared = shared,
					 .in_job = in_job,
					 .tar = str_text(&tar),
					 .tar_size = tar.len};
	struct sent sent = {0};
	bool reached = false;
	sent.status = submit_send(NULL, &package, 60000, &sent.reply, &reached, &sent.err);
	str_done(&tar);
	return sent;
}

static struct sent send_tasks(size_t count)
{
	return send_with(count, no_sources, "out/run", 1, false);
}

static void assert_outcome(const struct sent *sent, size_t task, enum submit_outcome outcome, const char *text)
{
	if (sent->status != 0)
		fail_msg("%s", sent->err.msg);
	assert_true(task < sent->reply.count);
	const struct submit_result *result = &sent->reply.items[task];
	if (result->outcome != outcome)
		fail_msg("outcome %d: %s", (int)result->outcome, result->message);
	if (outcome == SUBMIT_ACCEPTED)
		assert_string_equal(result->slurm_job_id, text);
	else if (strstr(result->message, text) == NULL)
		fail_msg("'%s' lacks '%s'", result->message, text);
}

static void write_control(const char *name, const char *text)
{
	CLEANUP(mem_freep) char *path = mem_printf("%s/%s", local_dir, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void remove_control(const char *name)
{
	run("rm %s/%s", local_dir, name);
}

static void test_submit_repeated_gives_first_ids(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		CLEANUP(sent_done) struct sent sent = send_tasks(3);
		assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
		assert_outcome(&sent, 1, SUBMIT_ACCEPTED, "101");
		assert_outcome(&sent, 2, SUBMIT_ACCEPTED, "102");
	}
	assert_output("grep -c ^sbatch $FAKE/calls", "3");
	assert_output("stat -c %a $FAKE/out/run", "700");
	CLEANUP(sent_done) struct sent next = send_with(1, no_sources, "out/run", 2, false);
	assert_outcome(&next, 0, SUBMIT_ACCEPTED, "103");
}

static void test_submit_again_keeps_what_the_job_wrote(void **state)
{
	(void)state;
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	run("echo x >$FAKE/out/run/t0.0/logs/client.log; echo old >$FAKE/out/run/t0.0/run.sub");
	CLEANUP(sent_done) struct sent next = send_with(1, no_sources, "out/run", 2, false);
	assert_outcome(&next, 0, SUBMIT_ACCEPTED, "101");
	assert_output("cat $FAKE/out/run/t0.0/logs/client.log", "x");
	assert_output("grep -o 'e.2$' $FAKE/out/run/t0.0/run.sub", "e.2");
	assert_output("cd $FAKE/out/run && find . -type f | sort",
		      "./.claim\n./.lock\n./t0.0/.submitted/1/id\n./t0.0/.submitted/2/id\n./t0.0/logs/client.log\n./"
		      "t0.0/run.sub");
}

/* Submission takes seconds, and nobody can be asked afterwards: the time is from before, and squeue's once it answers.
 */
static void test_submit_time_of_a_slow_sbatch_is_from_before(void **state)
{
	(void)state;
	run("mv $FAKE/bin/sbatch $FAKE/bin/sbatch.real; printf '#!/bin/bash\nsleep 4\nexec $FAKE/bin/sbatch.real "
	    "\"$@\"\n' "
	    ">$FAKE/bin/sbatch; chmod +x $FAKE/bin/sbatch; : >$FAKE/fail_squeue");
	time_t before = time(NULL);
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	assert_in_range(sent.reply.items[0].submitted_at, before, before + 3);
	remove_control("fail_squeue");
	run("echo 12345 >$FAKE/clock; sed -i 's/PENDING|[0-9]*/PENDING|12345/' $FAKE/jobs");
	CLEANUP(sent_done) struct sent again = send_tasks(1);
	assert_int_equal(again.reply.items[0].submitted_at, 12345);
	/* Another's job under the id says nothing of ours. */
	run("echo '100|PENDING|777|other' >$FAKE/jobs");
	CLEANUP(sent_done) struct sent reused = send_tasks(1);
	assert_outcome(&reused, 0, SUBMIT_ACCEPTED, "100");
	assert_in_range(reused.reply.items[0].submitted_at, before, before + 3);
}

static void test_submit_time_is_slurms(void **state)
{
	(void)state;
	run("echo $(($(date +%%s) - 120)) >$FAKE/clock");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	CLEANUP(mem_freep) char *expected = mem_printf("%lld", (long long)sent.reply.items[0].submitted_at);
	assert_output("cat $FAKE/clock", expected);
}

/* What sbatch finds reaches the job and its containers: the account's umask, and nothing of the script's own. */
static void test_submit_environment_is_scrubbed(void **state)
{
	(void)state;
	static const char *const environment[] = {"SLURM_CONF=/from/settings", NULL};
	local_environment = environment;
	setenv("SBATCH_PARTITION", "evil", 1);
	setenv("SLURM_JOB_NAME", "evil", 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	mode_t mask = umask(027);
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	umask(mask);
	unsetenv("LC_ALL");
	unsetenv("SBATCH_PARTITION");
	unsetenv("SLURM_JOB_NAME");
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	assert_output("sort $FAKE/environment", "0027\nLC_ALL=C.UTF-8\nSLURM_CONF=/from/settings");
}

/* The scripts and what they ask have a limit of processor time; jobs, to which sbatch passes its limits on, have none
 * of ours. */
static void test_submit_passes_no_limit_on_to_jobs(void **state)
{
	(void)state;
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	CLEANUP(mem_freep) char *usual = output_of("ulimit -S -t");
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	assert_output("cat $FAKE/limit.squeue", "120");
	assert_output("cat $FAKE/limit.sbatch", usual);
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

static void test_submit_killed_after_sbatch_is_found_by_name(void **state)
{
	(void)state;
	write_control("kill_after_sbatch", "");
	CLEANUP(sent_done) struct sent killed = send_tasks(1);
	assert_int_equal(killed.status, -1);
	assert_int_equal(killed.err.kind, NEL_REMOTE);
	remove_control("kill_after_sbatch");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	assert_output("wc -l <$FAKE/jobs", "1");
}

static void test_submit_timed_out_is_in_doubt_then_found(void **state)
{
	(void)state;
	write_control("timeout_after_sbatch", "sbatch: error: Batch job submission failed: Socket timed out on "
					      "send/recv operation\n");
	CLEANUP(sent_done) struct sent sent = send_tasks(2);
	assert_outcome(&sent, 0, SUBMIT_IN_DOUBT, "Socket timed out");
	assert_outcome(&sent, 1, SUBMIT_RETRY, "Socket timed out");
	remove_control("timeout_after_sbatch");
	CLEANUP(sent_done) struct sent again = send_tasks(2);
	assert_outcome(&again, 0, SUBMIT_ACCEPTED, "100");
	assert_outcome(&again, 1, SUBMIT_ACCEPTED, "101");
	assert_output("wc -l <$FAKE/jobs", "2");
}

/* A claim without a marker, as a crash between the two leaves it. */
static void make_claim(const char *age)
{
	run(OWN_RUNDIR "mkdir -p $FAKE/out/run/t0.0/.submitted/1; touch -d '%s' $FAKE/out/run/t0.0/.submitted/1", age);
}

static void test_submit_with_young_claim_is_in_doubt(void **state)
{
	(void)state;
	make_claim("10 seconds ago");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_IN_DOUBT, "a moment ago");
	assert_output("grep -c ^sbatch $FAKE/calls", "0");
}

static void test_submit_with_old_claim_and_both_answers_is_sent(void **state)
{
	(void)state;
	make_claim("2 minutes ago");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	assert_output("grep -c -e --name=a-n.t0.0-e.1 $FAKE/calls", "1");
}

static void test_submit_with_old_claim_needs_both_answers(void **state)
{
	(void)state;
	static const char *const questions[] = {"fail_squeue", "fail_sacct"};
	make_claim("2 minutes ago");
	for (size_t i = 0; i < 2; i++) {
		write_control(questions[i], "error: Unable to contact slurm controller (connect failure)\n");
		CLEANUP(sent_done) struct sent sent = send_tasks(1);
		assert_outcome(&sent, 0, SUBMIT_IN_DOUBT, "does not answer");
		remove_control(questions[i]);
	}
	assert_output("grep -c ^sbatch $FAKE/calls", "0");
	/* Where there is no accounting, squeue's answer is all there is. */
	write_control("fail_sacct", "Slurm accounting storage is disabled\n");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
}

static void test_submit_with_claim_is_found_in_sacct(void **state)
{
	(void)state;
	make_claim("2 minutes ago");
	write_control("acct", "55|1700000000|a-n.t0.0-e.1\n56_3|1700000100|a-n.t0.0-e.1\n77|1700000200|another\n");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "56");
	assert_int_equal(sent.reply.items[0].submitted_at, 1700000100);
	assert_output("grep -c ^sbatch $FAKE/calls", "0");
}

static void test_submit_with_claim_is_found_by_its_stamp(void **state)
{
	(void)state;
	make_claim("2 minutes ago");
	write_control("fail_squeue", "down\n");
	run(OWN_RUNDIR "mkdir -p $FAKE/out/run/t0.0/.attempts/1; echo 4242 >$FAKE/out/run/t0.0/.attempts/1/job");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "4242");
	assert_output("grep -c ^sbatch $FAKE/calls", "0");
}

static void test_submit_in_job_adopts_the_successor(void **state)
{
	(void)state;
	write_control("jobs", "900|PENDING|1700000000|a-n.t0.0-e.2\n");
	CLEANUP(sent_done) struct sent sent = send_with(1, no_sources, "out/run", 2, true);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "900");
	assert_output("grep -c ^sbatch $FAKE/calls", "0");
}

static void test_submit_adopt_only_never_calls_sbatch(void **state)
{
	(void)state;
	adopt_only = true;
	CLEANUP(sent_done) struct sent never = send_tasks(1);
	adopt_only = false;
	assert_outcome(&never, 0, SUBMIT_REFUSED, "before it was sent");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	adopt_only = true;
	CLEANUP(sent_done) struct sent found = send_tasks(1);
	run("rm $FAKE/out/run/t0.0/.submitted/1/id");
	CLEANUP(sent_done) struct sent doubt = send_with(1, no_sources, "out/other", 7, false);
	adopt_only = false;
	assert_outcome(&found, 0, SUBMIT_ACCEPTED, "100");
	assert_outcome(&doubt, 0, SUBMIT_REFUSED, "before it was sent");
	assert_output("grep -c ^sbatch $FAKE/calls", "1");
}

static void test_submit_adopt_only_with_an_old_claim_is_refused(void **state)
{
	(void)state;
	run(OWN_RUNDIR "mkdir -p $FAKE/out/run/t0.0/.submitted/1");
	adopt_only = true;
	CLEANUP(sent_done) struct sent young = send_tasks(1);
	run("touch -d '5 minutes ago' $FAKE/out/run/t0.0/.submitted/1");
	CLEANUP(sent_done) struct sent old = send_tasks(1);
	adopt_only = false;
	assert_outcome(&young, 0, SUBMIT_IN_DOUBT, "a moment ago");
	assert_outcome(&old, 0, SUBMIT_REFUSED, "nothing of it");
	assert_output("grep -c ^sbatch $FAKE/calls", "0");
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

/* An evaluation whose tasks go in parts: the later part leaves the earlier one as it is, and a repeat of it too. */
static void test_submit_of_a_later_part_keeps_the_earlier_one(void **state)
{
	(void)state;
	static const struct {
		size_t from;
		size_t count;
		const char *ids[2];
	} parts[] = {{0, 2, {"100", "101"}}, {2, 1, {"102"}}, {0, 1, {"100"}}};
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		first_task = parts[i].from;
		CLEANUP(sent_done) struct sent sent = send_with(parts[i].count, no_sources, "out/parts", 1, false);
		first_task = 0;
		for (size_t t = 0; t < parts[i].count; t++)
			assert_outcome(&sent, t, SUBMIT_ACCEPTED, parts[i].ids[t]);
	}
	assert_output("ls -d $FAKE/out/parts/t*.*/.submitted/1/id | wc -l", "3");
	assert_output("grep -c '^sbatch' $FAKE/calls", "3");
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

static void test_submit_missing_sources_are_named(void **state)
{
	(void)state;
	static const char *const sources[] = {"/usr", "/no/such model's dir", "/nor/this", NULL};
	CLEANUP(sent_done) struct sent sent = send_with(3, sources, "out/run", 1, false);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	assert_outcome(&sent, 1, SUBMIT_REFUSED, "/no/such model's dir, /nor/this");
	assert_outcome(&sent, 2, SUBMIT_ACCEPTED, "101");
}

/* What the text of a path does not show. */
static void test_submit_sources_that_lead_elsewhere_are_refused(void **state)
{
	(void)state;
	static const char *const links[] = {"out/..",       "out/run/t0.0/..", "/",    "other", "home/.ssh/id", "home",
					    "home/.bashrc", "home/.config/x",  "/proc"};
	assert_int_equal(system("cd $FAKE && mkdir -p home/.ssh home/.config/x home/.cache/hf out "
				"other/20260131_120000-0a57bcf1e977cb35 models && touch "
				"home/.ssh/id home/.bashrc other/20260131_120000-0a57bcf1e977cb35/.claim models/x"),
			 0);
	CLEANUP(mem_freep) char *home = mem_printf("%s/home", local_dir);
	CLEANUP(mem_freep) char *link = mem_printf("%s/models/link", local_dir);
	const char *const sources[] = {link, NULL};
	const char *old_home = getenv("HOME");
	shared = true;
	setenv("HOME", home, 1);
	for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
		CLEANUP(mem_freep)
		char *target = links[i][0] == '/' ? mem_strdup(links[i]) : mem_printf("%s/%s", local_dir, links[i]);
		unlink(link);
		assert_int_equal(symlink(target, link), 0);
		/* The first makes the run directory that the second link leads to. */
		CLEANUP(sent_done)
		struct sent sent = send_with(2, sources, "out/20260131_120000-0123456789abcdef", 1, false);
		if (i == 1) {
			unlink(link);
			CLEANUP(mem_freep)
			char *run = mem_printf("%s/out/20260131_120000-0123456789abcdef/t0.0", local_dir);
			assert_int_equal(symlink(run, link), 0);
			CLEANUP(sent_done)
			struct sent again = send_with(2, sources, "out/20260131_120000-0123456789abcdef", 1, false);
			assert_outcome(&again, 1, SUBMIT_REFUSED, "within a run directory");
		} else {
			assert_outcome(&sent, 1, SUBMIT_REFUSED, "is not mounted for people who share the account");
		}
		assert_int_equal(sent.reply.items[0].outcome, SUBMIT_ACCEPTED);
	}
	unlink(link);
	assert_int_equal(symlink("x", link), 0);
	CLEANUP(sent_done) struct sent fine = send_with(2, sources, "out/20260131_120000-0123456789abcdef", 1, false);
	assert_int_equal(fine.reply.items[1].outcome, SUBMIT_ACCEPTED);
	unlink(link);
	assert_int_equal(symlink("../home/.cache/hf", link), 0);
	CLEANUP(sent_done) struct sent cache = send_with(2, sources, "out/20260131_120000-0123456789abcdef", 1, false);
	assert_int_equal(cache.reply.items[1].outcome, SUBMIT_ACCEPTED);
	shared = false;
	if (old_home != NULL)
		setenv("HOME", old_home, 1);
}

/* Twenty at once; each child writes its outcome and id as a line. */
static void send_twenty(void)
{
	for (int i = 0; i < 20; i++) {
		if (fork() != 0)
			continue;
		struct sent sent = send_tasks(1);
		FILE *file = fopen("outcomes", "a");
		if (sent.status == 0)
			fprintf(file, "%d %s\n", (int)sent.reply.items[0].outcome, sent.reply.items[0].slurm_job_id);
		else
			fprintf(file, "error %s\n", sent.err.msg);
		fclose(file);
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
}

static void test_submit_twenty_at_once_submit_once(void **state)
{
	(void)state;
	assert_int_equal(chdir(local_dir), 0);
	send_twenty();
	assert_output("wc -l <$FAKE/jobs", "1");
	assert_output("sort -u $FAKE/outcomes", "0 100");
	assert_output("wc -l <$FAKE/outcomes", "20");
}

static void test_submit_without_locks_submits_once(void **state)
{
	(void)state;
	assert_int_equal(chdir(local_dir), 0);
	run("printf '#!/bin/sh\\nexit 71\\n' >$FAKE/bin/flock; chmod +x $FAKE/bin/flock");
	send_twenty();
	assert_output("wc -l <$FAKE/jobs", "1");
	assert_output("grep -c error $FAKE/outcomes", "0");
	/* Also when all of them find the same old claim. */
	run("rm -r $FAKE/out; : >$FAKE/jobs");
	make_claim("2 minutes ago");
	send_twenty();
	assert_output("wc -l <$FAKE/jobs", "1");
}

static void test_submit_while_another_holds_the_lock_is_busy(void **state)
{
	(void)state;
	run(OWN_RUNDIR
	    "mkdir -p $FAKE/out/run; printf '#!/bin/sh\\nexit 75\\n' >$FAKE/bin/flock; chmod +x $FAKE/bin/flock");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_int_equal(sent.status, -1);
	assert_int_equal(sent.err.kind, NEL_BUSY);
}

static void test_submit_cut_anywhere_submits_nothing(void **state)
{
	(void)state;
	/* The script is about 13 KiB, the files 10 KiB more; the last cut takes off the end mark. */
	for (size_t cut = 1; cut < 20000; cut += 397) {
		local_cut = cut;
		CLEANUP(sent_done) struct sent sent = send_tasks(1);
		assert_int_equal(sent.status, -1);
	}
	assert_output("grep -c ^sbatch $FAKE/calls", "0");
	local_cut = 0;
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
}

static void test_submit_where_nothing_can_be_made_is_invalid(void **state)
{
	(void)state;
	run(": >$FAKE/out");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_int_equal(sent.status, -1);
	assert_int_equal(sent.err.kind, NEL_INVALID);
	assert_non_null(strstr(sent.err.msg, "/out"));
	CLEANUP(mem_freep) char *user = output_of("id -un");
	assert_non_null(strstr(sent.err.msg, user));
}

static void test_submit_on_full_disk_is_busy_and_claims_nothing(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *out = mem_printf("%s/out", local_dir);
	assert_int_equal(mkdir(out, 0700), 0);
	if (mount("tmpfs", out, "tmpfs", 0, "size=64k") != 0) {
		assert_int_not_equal(geteuid(), 0);
		skip();
	}
	run("head -c 60000 /dev/zero >%s/filler", out);
	{
		CLEANUP(sent_done) struct sent sent = send_tasks(3);
		assert_int_equal(sent.status, -1);
		assert_int_equal(sent.err.kind, NEL_BUSY);
		assert_non_null(strstr(sent.err.msg, "No space left"));
	}
	assert_output("grep -c ^sbatch $FAKE/calls", "0");
	assert_output("cd $FAKE/out/run && find . | sort", ".\n./.claim\n./.lock");
	run("rm %s/filler", out);
	CLEANUP(sent_done) struct sent sent = send_tasks(3);
	umount2(out, MNT_DETACH);
	assert_outcome(&sent, 2, SUBMIT_ACCEPTED, "102");
}

static const char *no_secret(const char *name, void *arg)
{
	(void)name;
	(void)arg;
	return "value";
}

/* From a plan: its mounts and images are looked for, its files arrive. */
static void test_submit_of_a_plan_checks_its_sources(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *rundir = mem_printf("%s/out/plan", local_dir);
	struct mount mounts[] = {{.source = "/models/llama", .target = "/checkpoint"},
				 {.source = "/usr", .target = "/usr"}};
	struct plan_job job = {.index = 7,
			       .task = "mmlu",
			       .file_name = "mmlu",
			       .container = "registry#path:tag",
			       .endpoint_type = "chat",
			       .pre_cmd = "",
			       .post_cmd = "",
			       .evaluator_config = json_object()};
	struct server server = {.name = "deployment",
				.type = "vllm",
				.image = "/no/image.sqsh",
				.command = "vllm serve",
				.pre_cmd = "",
				.served_model_name = "llama",
				.port = 8000,
				.num_nodes = 1,
				.num_instances = 1,
				.n_tasks = 1,
				.health_path = "/health",
				.mounts = {.items = mounts, .count = 2}};
	struct eval_plan plan = {.account = "team",
				 .output_dir = local_dir,
				 .partition = "batch",
				 .subproject = "n",
				 .ntasks_per_node = 1,
				 .total_nodes = 1,
				 .walltime_s = 3600,
				 .proxy_image = "haproxy:latest",
				 .deployment = &server,
				 .jobs = &job,
				 .job_count = 1};
	struct attempt_order order = {
	    .job_index = 7, .number = 1, .job_name = "team-n.mmlu.7-e.1", .time_limit_s = 3600};
	struct rundir_input in = {.plan = &plan,
				  .evaluation = "0123456789abcdef",
				  .rundir = rundir,
				  .orders = &order,
				  .order_count = 1,
				  .secret = no_secret};
	CLEANUP(submit_reply_done) struct submit_reply refused = {0};
	struct nel_err err = {0};
	bool reached = false;
	if (slurm_submit(NULL, &in, 60000, &refused, &reached, &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(refused.items[0].outcome, SUBMIT_REFUSED);
	assert_int_equal(refused.items[0].job_index, 7);
	assert_non_null(strstr(refused.items[0].message, "/no/image.sqsh, /models/llama"));
	plan.deployment = NULL;
	CLEANUP(submit_reply_done) struct submit_reply sent = {0};
	if (slurm_submit(NULL, &in, 60000, &sent, &reached, &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(sent.items[0].outcome, SUBMIT_ACCEPTED);
	assert_output("stat -c '%a %n' $FAKE/out/plan/mmlu.7/run.sub | cut -d / -f 1", "700 ");
	assert_output("grep -c 'plan/mmlu.7' $FAKE/out/plan/mmlu.7/run.sub | sed 's/[1-9][0-9]*/some/'", "some");
	json_decref(job.evaluator_config);
}

static void test_submit_under_any_login_shell(void **state)
{
	(void)state;
	static const char *const shells[] = {"/bin/sh", "/bin/bash", "/bin/tcsh", "/bin/zsh", "/usr/bin/fish"};
	for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
		if (access(shells[i], X_OK) != 0)
			continue;
		local_shell = shells[i];
		CLEANUP(sent_done) struct sent sent = send_tasks(1);
		assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	}
}

/* A login shell whose start-up file reads standard input: a line, some bytes, all of it. */
static void test_submit_after_a_startup_file_that_reads_runs_nothing(void **state)
{
	(void)state;
	static const char *const files[] = {"read -t 2 answer", "head -c 7 >/dev/null", "head -c 30000 >/dev/null",
					    "cat >/dev/null"};
	CLEANUP(mem_freep) char *shell = mem_printf("%s/shell", local_dir);
	setenv("HOME", local_dir, 1);
	local_shell = shell;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		run("cd $FAKE; echo '%s' >.bashrc; printf '#!/bin/bash\\n. $FAKE/.bashrc\\nexec /bin/sh \"$@\"\\n' "
		    ">shell; "
		    "chmod +x shell",
		    files[i]);
		CLEANUP(sent_done) struct sent sent = send_tasks(1);
		assert_int_equal(sent.status, -1);
		assert_int_equal(sent.err.kind, NEL_REMOTE);
		if (strstr(sent.err.msg, "none of it was run: a start-up file") == NULL)
			fail_msg("%s: %s", files[i], sent.err.msg);
		if (strncmp(files[i], "head", 4) != 0 && strstr(sent.err.msg, "look at: .bashrc ") == NULL)
			fail_msg("%s: %s", files[i], sent.err.msg);
	}
	assert_output("cat $FAKE/calls; ls -d $FAKE/out 2>&1 | cut -d : -f 3", " No such file or directory");
	run("echo '[ ! -t 0 ] || read -t 2 answer' >$FAKE/.bashrc");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
}

/* What others make of the name that was announced is not used: nothing is written there, and nothing runs. */
static void test_submit_to_a_directory_of_somebody_elses_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *make;
		const char *says;
	} cases[] = {
	    {"mkdir run; echo x >run/run.sub; chmod 700 run", "not the one that was made"},
	    {"mkdir -m 700 run; echo other >run/.claim", "not the one that was made"},
	    {"mkdir -m 700 run; echo run >claim; ln -s ../claim run/.claim", "not the one that was made"},
	    {"mkdir -m 770 run; echo run >run/.claim", "others may write to it"},
	    {"mkdir -m 702 run; echo run >run/.claim", "others may write to it"},
	    {"mkdir -m 700 else; echo run >else/.claim; ln -s else run", "symbolic link"},
	    {"mkdir -m 700 run; echo run >run/.claim; chown 65534 run", "its owner is not"},
	    {"touch run", "cannot make a directory"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (strstr(cases[i].make, "chown") != NULL && geteuid() != 0)
			continue;
		run("rm -rf $FAKE/out; mkdir $FAKE/out; cd $FAKE/out; : >$FAKE/calls; %s; find . | sort >$FAKE/before",
		    cases[i].make);
		CLEANUP(sent_done) struct sent sent = send_with(1, no_sources, "out/run", 1, false);
		assert_int_equal(sent.status, -1);
		assert_int_equal(sent.err.kind, NEL_INVALID);
		if (strstr(sent.err.msg, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].make, sent.err.msg);
		assert_output("cat $FAKE/calls; cd $FAKE/out; find . | sort | diff - $FAKE/before", "");
	}
}

/* A try that was killed between mkdir and its claim, or in the middle of that. */
static void test_submit_to_an_empty_directory_of_its_own_goes_on(void **state)
{
	(void)state;
	static const char *const makes[] = {"mkdir -m 700 run", "mkdir -m 700 run; touch run/.claim.abcdef",
					    "mkdir -m 700 run; echo run >run/.claim; touch run/.lock"};
	for (size_t i = 0; i < sizeof makes / sizeof makes[0]; i++) {
		run("rm -rf $FAKE/out; mkdir $FAKE/out; cd $FAKE/out; %s", makes[i]);
		CLEANUP(sent_done) struct sent sent = send_with(1, no_sources, "out/run", 1, false);
		assert_int_equal(sent.status, 0);
		assert_int_equal(sent.reply.items[0].outcome, SUBMIT_ACCEPTED);
		assert_output("cat $FAKE/out/run/.claim; stat -c %a $FAKE/out/run", "run\n700");
	}
}

#define SCRIPT_TEST(f) cmocka_unit_test_setup_teardown(f, local_setup, local_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse_outcomes_are_read),
	    cmocka_unit_test(test_parse_bad_answers_are_errors),
	    SCRIPT_TEST(test_submit_repeated_gives_first_ids),
	    SCRIPT_TEST(test_submit_again_keeps_what_the_job_wrote),
	    SCRIPT_TEST(test_submit_time_of_a_slow_sbatch_is_from_before),
	    SCRIPT_TEST(test_submit_time_is_slurms),
	    SCRIPT_TEST(test_submit_environment_is_scrubbed),
	    SCRIPT_TEST(test_submit_passes_no_limit_on_to_jobs),
	    SCRIPT_TEST(test_submit_with_noisy_sbatch_takes_no_other_number),
	    SCRIPT_TEST(test_submit_killed_after_sbatch_is_found_by_name),
	    SCRIPT_TEST(test_submit_timed_out_is_in_doubt_then_found),
	    SCRIPT_TEST(test_submit_with_young_claim_is_in_doubt),
	    SCRIPT_TEST(test_submit_with_old_claim_and_both_answers_is_sent),
	    SCRIPT_TEST(test_submit_with_old_claim_needs_both_answers),
	    SCRIPT_TEST(test_submit_with_claim_is_found_in_sacct),
	    SCRIPT_TEST(test_submit_with_claim_is_found_by_its_stamp),
	    SCRIPT_TEST(test_submit_in_job_adopts_the_successor),
	    SCRIPT_TEST(test_submit_adopt_only_never_calls_sbatch),
	    SCRIPT_TEST(test_submit_adopt_only_with_an_old_claim_is_refused),
	    SCRIPT_TEST(test_submit_middle_task_refused_fails_it_alone),
	    SCRIPT_TEST(test_submit_with_a_dependency_on_its_own_id_goes_without_it),
	    SCRIPT_TEST(test_submit_with_sbatch_that_sleeps_is_a_limit_at_once),
	    SCRIPT_TEST(test_submit_of_a_later_part_keeps_the_earlier_one),
	    SCRIPT_TEST(test_submit_failures_of_sbatch_are_told_apart),
	    SCRIPT_TEST(test_submit_with_sbatch_that_cannot_be_run_is_passing),
	    SCRIPT_TEST(test_submit_missing_sources_are_named),
	    SCRIPT_TEST(test_submit_sources_that_lead_elsewhere_are_refused),
	    SCRIPT_TEST(test_submit_twenty_at_once_submit_once),
	    SCRIPT_TEST(test_submit_without_locks_submits_once),
	    SCRIPT_TEST(test_submit_while_another_holds_the_lock_is_busy),
	    SCRIPT_TEST(test_submit_cut_anywhere_submits_nothing),
	    SCRIPT_TEST(test_submit_where_nothing_can_be_made_is_invalid),
	    SCRIPT_TEST(test_submit_on_full_disk_is_busy_and_claims_nothing),
	    SCRIPT_TEST(test_submit_of_a_plan_checks_its_sources),
	    SCRIPT_TEST(test_submit_under_any_login_shell),
	    SCRIPT_TEST(test_submit_after_a_startup_file_that_reads_runs_nothing),
	    SCRIPT_TEST(test_submit_to_a_directory_of_somebody_elses_is_refused),
	    SCRIPT_TEST(test_submit_to_an_empty_directory_of_its_own_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

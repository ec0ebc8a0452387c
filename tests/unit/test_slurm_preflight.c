/* Preflights: remote_check.sh asked whether a cluster has what submissions need, run here under stand-ins for Slurm. */
#include "base/clock.h"
#include "check_fixture.h"

static const char preflight_slurm[] =
    "cd \"$FAKE/bin\" || exit 1\n"
    "cat >srun <<'EOF'\n"
    "#!/bin/bash\n"
    "echo \"srun $*\" >>\"$FAKE/calls\"\n"
    "if [[ $1 == --help ]]; then cat \"$FAKE/srun_help\"; exit; fi\n"
    "if [[ -e $FAKE/fail_srun ]]; then cat \"$FAKE/fail_srun\" >&2; exit 1; fi\n"
    "cat \"$FAKE/node\"\n"
    "EOF\n"
    "cat >sbatch <<'EOF'\n"
    "#!/bin/bash\n"
    "if [[ -e $FAKE/fail_sbatch ]]; then cat \"$FAKE/fail_sbatch\" >&2; exit 1; fi\n"
    "echo slurm-wlm 22.05.8\n"
    "EOF\n"
    "chmod +x *; cd \"$FAKE\"; echo ' --container-image=IMAGE' >srun_help; echo 'on a1: /usr/bin/curl' >node\n";

static void preflight(const struct preflight_input *in, struct check_reply *reply)
{
	struct nel_err err = {0};
	CLEANUP(check_question_freep) struct check_question *question = NULL;
	if (check_preflight_new(in, &question, &err) != 0 || slurm_check(NULL, question, 60000, reply, &err) != 0)
		fail_msg("%s", err.msg);
}

static void test_preflight_all_is_there(void **state)
{
	(void)state;
	run("%s", preflight_slurm);
	CLEANUP(mem_freep) char *out = mem_printf("%s/out", local_dir);
	CLEANUP(mem_freep) char *below = mem_printf("%s/out/below", local_dir);
	const char *const dirs[] = {out, below, NULL};
	const struct preflight_input in = {.account = "team", .output_dirs = dirs, .job = true};
	CLEANUP(check_reply_done) struct check_reply reply = {0};
	preflight(&in, &reply);
	assert_int_equal(reply.count, 10);
	for (size_t i = 0; i < reply.count; i++)
		if (reply.items[i].verdict != CHECK_GOOD)
			fail_msg("%s: %s", check_kind_name(reply.items[i].kind), reply.items[i].message);
	assert_result(&reply, CHECK_VERSION, 0, CHECK_GOOD, "slurm-wlm 22.05.8");
	assert_result(&reply, CHECK_CURL, 0, CHECK_GOOD, "on a1: /usr/bin/curl");
	assert_result(&reply, CHECK_ACCOUNT, 0, CHECK_GOOD, "team: ");
	assert_result(&reply, CHECK_CLOCK, 0, CHECK_GOOD, "clock");
	assert_result(&reply, CHECK_OUTPUT_DIR, 1, CHECK_GOOD, "below: can be made");
	assert_output("grep -c -- '--immediate=.*--account=team' \"$FAKE/calls\"", "1");
}

static void test_preflight_looks_at_the_partition_that_is_named(void **state)
{
	(void)state;
	run("%s", preflight_slurm);
	static const char *const none[] = {NULL};
	static const struct {
		const char *partition;
		const char *account;
		enum check_verdict verdict;
		const char *says;
	} cases[] = {
	    {"batch", "team", CHECK_GOOD, "takes jobs of the account team"},
	    {"batch", NULL, CHECK_GOOD, "takes jobs"},
	    {"zz", "team", CHECK_BAD, "there is no partition 'zz'; there are: "},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct preflight_input in = {
		    .account = cases[i].account, .partition = cases[i].partition, .output_dirs = none};
		CLEANUP(check_reply_done) struct check_reply reply = {0};
		preflight(&in, &reply);
		assert_int_equal(reply.count, 9);
		assert_result(&reply, CHECK_PARTITION, 0, cases[i].verdict, cases[i].says);
	}
}

static void test_preflight_every_missing_item_is_named(void **state)
{
	(void)state;
	run("%s", preflight_slurm);
	write_file("fail_squeue", "slurm_load_jobs error: Invalid user\n");
	write_file("fail_sbatch", "no version\n");
	write_file("fail_sacct", "slurmdbd is down\n");
	write_file("srun_help", "nothing of containers\n");
	write_file("node", "on a1: no curl\n");
	const char *const dirs[] = {"/dev/null/x", NULL};
	const struct preflight_input in = {.account = "nobodys", .output_dirs = dirs, .job = true};
	CLEANUP(check_reply_done) struct check_reply reply = {0};
	clock_fake_set_ms(clock_now_ms() + 3600 * 1000);
	preflight(&in, &reply);
	clock_fake_set_ms(-1);
	assert_result(&reply, CHECK_LOGIN, 0, CHECK_GOOD, "logged in");
	assert_result(&reply, CHECK_SLURMCTLD, 0, CHECK_BAD, "Invalid user");
	assert_result(&reply, CHECK_VERSION, 0, CHECK_BAD, "no version");
	assert_result(&reply, CHECK_ACCOUNTING, 0, CHECK_BAD, "slurmdbd is down");
	assert_result(&reply, CHECK_PYXIS, 0, CHECK_BAD, "--container-image");
	assert_result(&reply, CHECK_CURL, 0, CHECK_BAD, "on a1: no curl");
	assert_result(&reply, CHECK_ACCOUNT, 0, CHECK_BAD, "team");
	assert_result(&reply, CHECK_OUTPUT_DIR, 0, CHECK_BAD, "/dev/null/x: ");
	assert_result(&reply, CHECK_CLOCK, 0, CHECK_BAD, "behind");
	for (size_t i = 0; i < reply.count; i++)
		assert_true(strlen(check_hint(reply.items[i].kind)) > 10);
}

static void test_preflight_of_a_cluster_without_pyxis_asks_a_node_for_apptainer(void **state)
{
	(void)state;
	run("%s", preflight_slurm);
	const char *const none[] = {NULL};
	struct preflight_input in = {.containers = CONTAINERS_APPTAINER, .output_dirs = none, .job = true};
	CLEANUP(check_reply_done) struct check_reply reply = {0};
	write_file("srun_help", "nothing of containers\n");
	write_file("node", "on a1: /usr/bin/apptainer\n");
	preflight(&in, &reply);
	assert_result(&reply, CHECK_APPTAINER, 0, CHECK_GOOD, "on a1: /usr/bin/apptainer");
	for (size_t i = 0; i < reply.count; i++)
		assert_int_not_equal(reply.items[i].kind, CHECK_PYXIS);
	check_reply_done(&reply);
	write_file("node", "on a1: no apptainer and no singularity\n");
	preflight(&in, &reply);
	assert_result(&reply, CHECK_APPTAINER, 0, CHECK_BAD, "on a1: no apptainer");
	check_reply_done(&reply);
	/* Without a job the login node is a hint, and that it has none says nothing. */
	in.job = false;
	preflight(&in, &reply);
	assert_result(&reply, CHECK_APPTAINER, 0, CHECK_UNKNOWN, "?job=true");
	check_reply_done(&reply);
	run("printf '#!/bin/sh\\n' >\"$FAKE/bin/singularity\" && chmod +x \"$FAKE/bin/singularity\"");
	preflight(&in, &reply);
	assert_result(&reply, CHECK_APPTAINER, 0, CHECK_GOOD, "bin/singularity on ");
}

static void test_preflight_what_cannot_be_known_is_neither(void **state)
{
	(void)state;
	run("%s", preflight_slurm);
	write_file("fail_srun", "srun: error: Unable to allocate resources\n");
	const char *const none[] = {NULL};
	struct preflight_input in = {.accounting = ACCOUNTING_NONE, .output_dirs = none};
	CLEANUP(check_reply_done) struct check_reply reply = {0};
	preflight(&in, &reply);
	assert_int_equal(reply.count, 8);
	assert_result(&reply, CHECK_CURL, 0, CHECK_UNKNOWN, "?job=true");
	assert_result(&reply, CHECK_ACCOUNTING, 0, CHECK_UNKNOWN, "settings");
	assert_result(&reply, CHECK_ACCOUNT, 0, CHECK_UNKNOWN, "settings");
	check_reply_done(&reply);
	in = (struct preflight_input){.output_dirs = none, .job = true};
	preflight(&in, &reply);
	assert_result(&reply, CHECK_CURL, 0, CHECK_UNKNOWN, "Unable to allocate");
	assert_result(&reply, CHECK_ACCOUNT, 0, CHECK_GOOD, "may use: other, team");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SCRIPT_TEST(test_preflight_all_is_there),
	    SCRIPT_TEST(test_preflight_looks_at_the_partition_that_is_named),
	    SCRIPT_TEST(test_preflight_every_missing_item_is_named),
	    cmocka_unit_test_setup_teardown(test_preflight_of_a_cluster_without_pyxis_asks_a_node_for_apptainer,
					    check_setup, local_teardown),
	    cmocka_unit_test_setup_teardown(test_preflight_what_cannot_be_known_is_neither, check_setup,
					    local_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What checkpoints are made of, and when an equal job's scores stand for those of a task, so that nothing is submitted.
 * remote_submit.sh runs here under stand-ins for Slurm. */
#include "base/embed.h"
#include "submit_local.h"

#define ONE "t0.0/.submitted/1"

static void checkpoint_made(void)
{
	checkpoint = "model";
	run("mkdir -p $FAKE/model/sub && cd $FAKE/model && echo weights >a.safetensors && echo '{}' >config.json && "
	    "echo more >sub/b.bin && find . -type f -exec touch -d @1700000000 {} +");
}

/* What a submission finds. */
static void fingerprint_now(char ret_fingerprint[SUBMIT_FINGERPRINT_SIZE])
{
	const struct embed_file *file = embed_find("daemon/slurm/script/remote_fingerprint.sh");
	CLEANUP(mem_freep) char *script = mem_strndup(file->data, file->size);
	write_control("fingerprint.sh", script);
	CLEANUP(mem_freep)
	char *text = output_of("cd / && bash -c 'ask_within() { shift; \"$@\"; }; . $FAKE/fingerprint.sh; "
			       "NEL_CHECKPOINTS=($FAKE/model); take_fingerprint; echo \"$fingerprint\"'");
	assert_true(strlen(text) < SUBMIT_FINGERPRINT_SIZE);
	memcpy(ret_fingerprint, text, strlen(text) + 1);
}

static int teardown(void **state)
{
	checkpoint = NULL;
	reuse = NULL;
	adopt_only = false;
	return local_teardown(state);
}

static void assert_calls(const char *count)
{
	assert_output("grep -c '^sbatch.*run.sub' $FAKE/calls || true", count);
}

static void test_fingerprint_tells_every_change(void **state)
{
	static const struct {
		const char *change;
		bool same;
	} cases[] = {
	    {"true", true},
	    {"mkdir -p $FAKE/model/empty", true},
	    {"touch -d @1700000001 $FAKE/model/a.safetensors", false},
	    {"touch -d @1700000000.5 $FAKE/model/a.safetensors", false},
	    {"echo longer weights >$FAKE/model/a.safetensors; touch -d @1700000000 $FAKE/model/a.safetensors", false},
	    {"mv $FAKE/model/sub/b.bin $FAKE/model/sub/c.bin", false},
	    {"rm $FAKE/model/sub/c.bin", false},
	    {"echo '[]' >$FAKE/model/config.json; touch -d @1700000000 $FAKE/model/config.json", false},
	    {"echo '{1}' >$FAKE/model/model.safetensors.index.json; touch -d @1700000000 $FAKE/model/*.index.json",
	     false},
	    {"echo '{2}' >$FAKE/model/model.safetensors.index.json; touch -d @1700000000 $FAKE/model/*.index.json",
	     false},
	    {"echo x >\"$FAKE/model/a\nb c\"", false},
	    /* As in the cache of a hub: the file is a link to where it lies. */
	    {"mkdir $FAKE/blobs; mv $FAKE/model/config.json $FAKE/blobs/x; ln -s $FAKE/blobs/x "
	     "$FAKE/model/config.json",
	     true},
	    {"echo '()' >$FAKE/blobs/x; touch -d @1700000000 $FAKE/blobs/x", false},
	    {"mv $FAKE/model $FAKE/moved; ln -s moved $FAKE/model", true},
	};
	char before[SUBMIT_FINGERPRINT_SIZE];
	char now[SUBMIT_FINGERPRINT_SIZE];
	(void)state;
	checkpoint_made();
	fingerprint_now(before);
	assert_int_equal(strlen(before), SUBMIT_FINGERPRINT_SIZE - 1);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		run("%s", cases[i].change);
		fingerprint_now(now);
		assert_int_equal(strlen(now), SUBMIT_FINGERPRINT_SIZE - 1);
		if ((strcmp(before, now) == 0) != cases[i].same)
			fail_msg("%s: %s, then %s", cases[i].change, before, now);
		memcpy(before, now, sizeof now);
	}
}

static void test_fingerprint_of_what_cannot_be_read_is_unknown(void **state)
{
	static const struct {
		const char *change;
		const char *back;
	} cases[] = {
	    {"ln -s . $FAKE/model/loop", "rm $FAKE/model/loop"},
	    {"mkfifo $FAKE/pipe; ln -s $FAKE/pipe $FAKE/model/x; mv $FAKE/model $FAKE/none",
	     "mv $FAKE/none $FAKE/model"},
	    {"mv $FAKE/model $FAKE/none; mkdir $FAKE/model", "rmdir $FAKE/model; mv $FAKE/none $FAKE/model"},
	    {"truncate -s 100M $FAKE/model/huge.json", "rm $FAKE/model/huge.json"},
	    {"mkdir $FAKE/model/many; cd $FAKE/model/many; seq 20001 | xargs touch", "rm -r $FAKE/model/many"},
	};
	char now[SUBMIT_FINGERPRINT_SIZE];
	(void)state;
	checkpoint_made();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		run("%s", cases[i].change);
		fingerprint_now(now);
		if (now[0] != '\0')
			fail_msg("%s: %s", cases[i].change, now);
		run("%s", cases[i].back);
		fingerprint_now(now);
		assert_int_equal(strlen(now), SUBMIT_FINGERPRINT_SIZE - 1);
	}
}

static void test_submit_with_the_fingerprint_offered_reaches_no_slurm(void **state)
{
	char now[SUBMIT_FINGERPRINT_SIZE];
	(void)state;
	checkpoint_made();
	fingerprint_now(now);
	CLEANUP(mem_freep) char *offered = mem_printf("%064d %s", 7, now);
	reuse = offered;
	run(OWN_RUNDIR
	    "mkdir $FAKE/out/run/t0.0; cd $FAKE/out/run/t0.0; : >.secrets.env; : >.secrets.sealed; : >$FAKE/calls");
	for (int i = 0; i < 2; i++) {
		CLEANUP(sent_done) struct sent sent = send_tasks(2);
		assert_outcome(&sent, 0, SUBMIT_REUSED, "");
		assert_outcome(&sent, 1, SUBMIT_REUSED, "");
		assert_string_equal(sent.reply.items[0].fingerprint, now);
	}
	assert_calls("0");
	assert_output("cd $FAKE/out/run && ls -A t0.0 t0.0/.submitted/1 | grep -E 'secrets|reused'", "reused");
	/* A repeat answers the same, whatever the weights are now. */
	run("touch $FAKE/model/a.safetensors");
	CLEANUP(sent_done) struct sent again = send_tasks(1);
	assert_outcome(&again, 0, SUBMIT_REUSED, "");
	assert_string_equal(again.reply.items[0].fingerprint, now);
	/* Once the equal job is gone it is submitted, once. */
	reuse = NULL;
	CLEANUP(sent_done) struct sent gone = send_tasks(1);
	assert_int_equal(gone.reply.items[0].outcome, SUBMIT_ACCEPTED);
	assert_calls("1");
	reuse = offered;
	CLEANUP(sent_done) struct sent last = send_tasks(1);
	assert_int_equal(last.reply.items[0].outcome, SUBMIT_ACCEPTED);
}

static void test_submit_with_another_fingerprint_is_a_miss(void **state)
{
	char before[SUBMIT_FINGERPRINT_SIZE];
	(void)state;
	checkpoint_made();
	fingerprint_now(before);
	reuse = before;
	run("touch $FAKE/model/a.safetensors; : >$FAKE/calls");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_int_equal(sent.reply.items[0].outcome, SUBMIT_ACCEPTED);
	assert_string_not_equal(sent.reply.items[0].fingerprint, before);
	/* The repeat says what the checkpoint was when it was submitted, and not what it is. */
	run("touch $FAKE/model/sub/b.bin");
	CLEANUP(sent_done) struct sent again = send_tasks(1);
	assert_string_equal(again.reply.items[0].slurm_job_id, sent.reply.items[0].slurm_job_id);
	assert_string_equal(again.reply.items[0].fingerprint, sent.reply.items[0].fingerprint);
	assert_calls("1");
}

/* An earlier try is, or was, between its claim and sbatch: the claim is not taken from it. */
static void test_submit_with_a_claim_of_an_earlier_try_is_in_doubt(void **state)
{
	char now[SUBMIT_FINGERPRINT_SIZE];
	(void)state;
	checkpoint_made();
	fingerprint_now(now);
	reuse = now;
	run(OWN_RUNDIR "mkdir -p $FAKE/out/run/" ONE "; : >$FAKE/calls");
	CLEANUP(sent_done) struct sent young = send_tasks(1);
	assert_outcome(&young, 0, SUBMIT_IN_DOUBT, "a moment ago");
	run("touch -d '2 minutes ago' $FAKE/out/run/" ONE);
	CLEANUP(sent_done) struct sent old = send_tasks(1);
	assert_outcome(&old, 0, SUBMIT_REUSED, "");
	/* That try's sbatch did reach Slurm. */
	run("rm -r $FAKE/out/run/" ONE "; mkdir $FAKE/out/run/" ONE
	    "; echo '55|PENDING|1000|a-n.t0.0-e.1' >>$FAKE/jobs");
	CLEANUP(sent_done) struct sent there = send_tasks(1);
	assert_outcome(&there, 0, SUBMIT_ACCEPTED, "55");
	assert_calls("0");
}

static void test_submit_of_what_is_to_be_cancelled_reuses_nothing(void **state)
{
	char now[SUBMIT_FINGERPRINT_SIZE];
	(void)state;
	checkpoint_made();
	fingerprint_now(now);
	reuse = now;
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_REUSED, "");
	adopt_only = true;
	for (int i = 0; i < 2; i++) {
		CLEANUP(sent_done) struct sent cancelled = send_tasks(1);
		assert_outcome(&cancelled, 0, SUBMIT_REFUSED, "cancelled before it was sent");
	}
}

/* One that a limit of Slurm's holds up holds up no other that needs no Slurm. */
static void test_submit_reuses_behind_a_limit(void **state)
{
	char now[SUBMIT_FINGERPRINT_SIZE];
	(void)state;
	checkpoint_made();
	fingerprint_now(now);
	write_control("fail_sbatch", "sbatch: error: QOSMaxSubmitJobPerUserLimit\n");
	CLEANUP(sent_done) struct sent first = send_tasks(1);
	assert_int_equal(first.reply.items[0].outcome, SUBMIT_LIMIT);
	reuse = now;
	CLEANUP(sent_done) struct sent second = send_tasks(1);
	assert_outcome(&second, 0, SUBMIT_REUSED, "");
}

#define REUSE_TEST(f) cmocka_unit_test_setup_teardown(f, local_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    REUSE_TEST(test_fingerprint_tells_every_change),
	    REUSE_TEST(test_fingerprint_of_what_cannot_be_read_is_unknown),
	    REUSE_TEST(test_submit_with_the_fingerprint_offered_reaches_no_slurm),
	    REUSE_TEST(test_submit_with_another_fingerprint_is_a_miss),
	    REUSE_TEST(test_submit_with_a_claim_of_an_earlier_try_is_in_doubt),
	    REUSE_TEST(test_submit_of_what_is_to_be_cancelled_reuses_nothing),
	    REUSE_TEST(test_submit_reuses_behind_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

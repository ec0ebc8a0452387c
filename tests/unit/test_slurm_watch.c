/* Watched directories: the answer's parser, and remote_watch.sh run here. */
#include "slurm/watch.h"
#include "slurm_local.h"

#define BEGIN "nel|begin|1\n"
#define SIGNATURE "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_names_and_patterns_are_plain(void **state)
{
	(void)state;
	static const char *const good[] = {"step_100", "a", "7", "epoch=3-step=1.5e+3", "A.b_C"};
	static const char *const bad[] = {"",    ".",    "..",       ".x",  "-n",  "a b",
					  "a/b", "a\nb", "\xc3\xa9", "a'b", "a$b", "*"};
	static const char *const bad_patterns[] = {"", ".*", "a/*", "{a,b}", "$(x)", "a b*"};
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(watch_name_ok(good[i]) && watch_pattern_ok(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(watch_name_ok(bad[i]));
	assert_true(watch_pattern_ok("step_*") && watch_pattern_ok("*") && watch_pattern_ok("[0-9]?"));
	for (size_t i = 0; i < COUNT(bad_patterns); i++)
		assert_false(watch_pattern_ok(bad_patterns[i]));
}

static void test_parse_takes_each_watch_apart(void **state)
{
	(void)state;
	static const char text[] =
	    BEGIN "d|0|\nc|0|" SIGNATURE "|step_2\ni|0|no marker|step_1\no|0|it is a link|odd \xff|name\n"
		  "c|0|short|step_3\nc|0|" SIGNATURE "|../step_4\ni|0|x|a b\nc|9|" SIGNATURE "|a\nz|0|\nt|0\n"
		  "d|1|there is none\nh|1\nt|1\nd|2|\nx|2\nt|2\nend\n";
	struct watch_reply replies[3] = {0};
	struct nel_err err = {0};
	assert_int_equal(watch_parse(text, strlen(text), replies, 3, &err), 0);
	assert_null(replies[0].why);
	assert_false(replies[0].more);
	assert_int_equal(replies[0].count, 3);
	const struct watch_entry *entries = replies[0].entries;
	assert_int_equal(entries[0].state, WATCH_COMPLETE);
	assert_string_equal(entries[0].name, "step_2");
	assert_string_equal(entries[0].signature, SIGNATURE);
	assert_null(entries[0].why);
	assert_int_equal(entries[1].state, WATCH_INCOMPLETE);
	assert_string_equal(entries[1].why, "no marker");
	assert_int_equal(entries[2].state, WATCH_LEFT_ALONE);
	assert_string_equal(entries[2].name, "odd ?|name");
	assert_string_equal(replies[1].why, "there is none");
	assert_int_equal(replies[1].count, 0);
	assert_true(replies[2].more);
	assert_true(!replies[0].slow && replies[1].slow && !replies[2].slow);
	for (size_t i = 0; i < COUNT(replies); i++)
		watch_reply_done(&replies[i]);
}

static void test_parse_refuses_what_is_cut_off(void **state)
{
	(void)state;
	static const char *const cases[] = {
	    "", BEGIN, BEGIN "d|0|\n", BEGIN "end\n", BEGIN "d|0|\nend\n", BEGIN "error|remote|no\nend\n"};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct watch_reply reply = {0};
		struct nel_err err = {0};
		assert_int_equal(watch_parse(cases[i], strlen(cases[i]), &reply, 1, &err), -1);
		assert_int_equal(err.kind, NEL_REMOTE);
		watch_reply_done(&reply);
	}
}

/* Checkpoints of all kinds, in the test's directory. */
static int watch_setup(void **state)
{
	local_setup(state);
	run("mkdir -p %s/w && cd %s/w && for d in step_1 step_2 step_3 step_10 'step_4 x' step_5$'\\n'y step_é other; "
	    "do"
	    " mkdir \"$d\" && echo '{}' >\"$d/index.json\" && echo w >\"$d/weights\"; done &&"
	    " rm step_3/index.json && touch step_6 && ln -s step_1 step_7 && mkdir step_8 && ln -s "
	    "../step_1/index.json step_8/",
	    local_dir, local_dir);
	return 0;
}

static void watch(const char *directory, const char *marker, const char *const *known, size_t known_count, bool shared,
		  struct watch_reply *ret_reply)
{
	struct watch_look look = {.orders = {{.directory = directory,
					      .pattern = "step_*",
					      .marker = marker,
					      .known = known,
					      .known_count = known_count}},
				  .count = 1,
				  .shared = shared};
	struct nel_err err = {0};
	if (slurm_watch(NULL, &look, 60000, &err) != 0)
		fail_msg("%s", err.msg);
	*ret_reply = look.replies[0];
}

static const struct watch_entry *entry_of(const struct watch_reply *reply, const char *name)
{
	for (size_t i = 0; i < reply->count; i++)
		if (strcmp(reply->entries[i].name, name) == 0)
			return &reply->entries[i];
	fail_msg("no %s", name);
	return NULL;
}

static void test_watch_tells_complete_ones_from_others(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum watch_state state;
		const char *why;
	} expected[] = {
	    {"step_1", WATCH_COMPLETE, NULL},
	    {"step_10", WATCH_COMPLETE, NULL},
	    {"step_3", WATCH_INCOMPLETE, "it has no file index.json"},
	    {"step_8", WATCH_INCOMPLETE, "it has no file index.json"}, /* a link is none */
	    {"step_6", WATCH_LEFT_ALONE, "it is no directory"},
	    {"step_7", WATCH_LEFT_ALONE, "it is a link"},
	    {"step_4 x", WATCH_LEFT_ALONE, "its name has other characters than letters, digits and . _ = + -"},
	    {"step_5?y", WATCH_LEFT_ALONE, "its name has other characters than letters, digits and . _ = + -"},
	    {"step_é", WATCH_LEFT_ALONE, "its name has other characters than letters, digits and . _ = + -"},
	};
	static const char *const known[] = {"step_2"};
	CLEANUP(watch_reply_done) struct watch_reply reply = {0};
	CLEANUP(mem_freep) char *directory = mem_printf("%s/w", local_dir);
	watch(directory, "index.json", known, 1, true, &reply);
	assert_null(reply.why);
	assert_int_equal(reply.count, COUNT(expected));
	for (size_t i = 0; i < COUNT(expected); i++) {
		const struct watch_entry *entry = entry_of(&reply, expected[i].name);
		assert_int_equal(entry->state, expected[i].state);
		if (expected[i].why != NULL)
			assert_string_equal(entry->why, expected[i].why);
		else
			assert_null(entry->why);
	}
}

static void test_watch_signature_follows_names_sizes_and_times(void **state)
{
	(void)state;
	static const char *const changes[] = {
	    "true",
	    "printf x >>step_1/weights",
	    "touch -d '2 hours ago' step_1/weights",
	    "mkdir step_1/deep; touch step_1/deep/more",
	    "mv step_1/weights step_1/weights2",
	    "ln -s /etc step_1/link",
	};
	CLEANUP(mem_freep) char *directory = mem_printf("%s/w", local_dir);
	char last[WATCH_SIGNATURE_SIZE] = "";
	for (size_t i = 0; i < COUNT(changes); i++) {
		CLEANUP(watch_reply_done) struct watch_reply reply = {0};
		CLEANUP(watch_reply_done) struct watch_reply again = {0};
		run("cd %s && %s", directory, changes[i]);
		watch(directory, NULL, NULL, 0, false, &reply);
		watch(directory, NULL, NULL, 0, false, &again);
		const char *signature = entry_of(&reply, "step_1")->signature;
		assert_string_equal(signature, entry_of(&again, "step_1")->signature);
		assert_string_not_equal(signature, last);
		memcpy(last, signature, sizeof last);
	}
}

static void test_watch_says_why_a_directory_is_not_looked_at(void **state)
{
	(void)state;
	static const struct {
		const char *directory;
		bool shared;
		const char *why; /* its end */
	} cases[] = {
	    {"none", false, "there is no directory"},
	    {"w/step_6", false, "there is no directory"},
	    {"w/.ssh", true,
	     "is not watched where people share the account: it leads to keys, or to settings of the account"},
	    {"w/.ssh", false, ""},
	    {"link", true, "it leads to keys"},
	    {"20260131_120000-0123456789abcdef", true, "it is within a run directory"},
	};
	run("cd %s && mkdir w/.ssh 20260131_120000-0123456789abcdef && ln -s w/.ssh link", local_dir);
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(watch_reply_done) struct watch_reply reply = {0};
		CLEANUP(mem_freep) char *directory = mem_printf("%s/%s", local_dir, cases[i].directory);
		watch(directory, NULL, NULL, 0, cases[i].shared, &reply);
		if (cases[i].why[0] == '\0')
			assert_null(reply.why);
		else if (reply.why == NULL || strstr(reply.why, cases[i].why) == NULL)
			fail_msg("%s: %s", cases[i].directory, reply.why != NULL ? reply.why : "(looked at)");
	}
}

#define SCRIPT_TEST(f) cmocka_unit_test_setup_teardown(f, watch_setup, local_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names_and_patterns_are_plain),
	    cmocka_unit_test(test_parse_takes_each_watch_apart),
	    cmocka_unit_test(test_parse_refuses_what_is_cut_off),
	    SCRIPT_TEST(test_watch_tells_complete_ones_from_others),
	    SCRIPT_TEST(test_watch_signature_follows_names_sizes_and_times),
	    SCRIPT_TEST(test_watch_says_why_a_directory_is_not_looked_at),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Files: the answers' parsers, and remote_files.sh run here. */
#include "slurm/files.h"
#include "slurm_local.h"

#define BEGIN "nel|begin|1\n"
#define TEXT(s) s, sizeof(s) - 1

static void test_path_ok_refuses_what_leaves(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		bool ok;
	} cases[] = {
	    {"a", true},      {"a/b.log", true}, {".hidden", true}, {"...", true},    {"a b/c|d", true},
	    {"-n", true},     {"", false},       {"/", false},      {"/etc", false},  {"a/", false},
	    {"a//b", false},  {".", false},      {"..", false},     {"a/..", false},  {"../a", false},
	    {"a/./b", false}, {"a/../b", false}, {"a\nb", false},   {"a\x7f", false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(slurm_files_path_ok(cases[i].path), cases[i].ok);
	char *longest = mem_calloc(5000, 1);
	memset(longest, 'a', 4999);
	assert_false(slurm_files_path_ok(longest));
	free(longest);
}

static void test_parse_list_is_sorted_and_clean(void **state)
{
	(void)state;
	static const char text[] = BEGIN "list\n"
					 "5|100.25|b|c\0"
					 "7|200.5|a\0"
					 "1|1.0|../x\0"
					 "1|1.0|bad\xff\0"
					 "1|1.0|two\nlines\0"
					 "1|1.0|5%\tmore\0"
					 "1|1.0|5%\0"
					 "nonsense\0"
					 "\nend\n";
	CLEANUP(remote_files_done) struct remote_files files = {0};
	struct nel_err err;
	assert_int_equal(files_parse_list(text, sizeof text - 1, &files, &err), 0);
	static const struct {
		const char *path;
		bool escaped;
	} expected[] = {{"5%", false},    {"5%25%09more", true}, {"a", false},
			{"bad%FF", true}, {"b|c", false},        {"two%0Alines", true}};
	assert_int_equal(files.count, sizeof expected / sizeof expected[0]);
	for (size_t i = 0; i < files.count; i++) {
		assert_string_equal(files.items[i].path, expected[i].path);
		assert_int_equal(files.items[i].escaped, expected[i].escaped);
	}
	assert_int_equal(files.items[2].size, 7);
	assert_int_equal(files.items[2].modified_at, 200);
	assert_false(files.truncated);
}

static void test_parse_bad_answers_are_errors(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t size;
		enum nel_err_kind kind;
	} cases[] = {
	    {TEXT(""), NEL_REMOTE},
	    {TEXT(BEGIN), NEL_REMOTE},
	    {TEXT(BEGIN "list\n"), NEL_REMOTE},
	    {TEXT(BEGIN "list\n1|1|a\0"), NEL_REMOTE},
	    {TEXT(BEGIN "file|1|1|0\nx"), NEL_REMOTE},
	    {TEXT(BEGIN "file|x|1|0\nx\nend\n"), NEL_REMOTE},
	    {TEXT(BEGIN "file|1|1\nx\nend\n"), NEL_REMOTE},
	    {TEXT(BEGIN "error|notfound|gone\nend\n"), NEL_NOTFOUND},
	    {TEXT(BEGIN "error|denied|no\nend\n"), NEL_DENIED},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct remote_files files = {0};
		struct remote_chunk chunk = {0};
		struct nel_err err = {0};
		assert_int_equal(files_parse_list(cases[i].text, cases[i].size, &files, &err), -1);
		assert_int_equal(err.kind, cases[i].kind);
		assert_int_equal(files_parse_chunk(cases[i].text, cases[i].size, &chunk, &err), -1);
		assert_int_equal(err.kind, cases[i].kind);
	}
}

static int files_setup(void **state)
{
	local_setup(state);
	run("mkdir -p \"$FAKE/it's/logs/deep\" && cd \"$FAKE/it's\" && seq 1 1000 >logs/numbers && "
	    "printf 'a\\0b\\nend\\n' >logs/bytes && echo x >'logs/deep/a|b c' && echo secret >.secrets.env && "
	    "ln -s ../.secrets.env logs/link && ln -s numbers logs/inner && ln -s / logs/root && mkfifo logs/fifo && "
	    ": >logs/empty && ln -s logs elsewhere");
	return 0;
}

static char *job_dir(void)
{
	return mem_printf("%s/it's", local_dir);
}

static void test_list_shows_regular_files(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	CLEANUP(remote_files_done) struct remote_files files = {0};
	struct nel_err err;
	assert_int_equal(slurm_files_list(NULL, dir, "logs", "", 20000, &files, &err), 0);
	static const char *const expected[] = {"bytes", "deep/a|b c", "empty", "numbers"};
	assert_int_equal(files.count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(files.items[i].path, expected[i]);
	assert_int_equal(files.items[3].size, 3893);
	assert_true(files.items[3].modified_at > 1000000000);
}

static void test_list_of_too_many_files_is_truncated(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	CLEANUP(remote_files_done) struct remote_files files = {0};
	struct nel_err err;
	run("mkdir \"$FAKE/it's/artifacts\" && cd \"$FAKE/it's/artifacts\" && seq 1 10005 | xargs touch");
	assert_int_equal(slurm_files_list(NULL, dir, "artifacts", "", 20000, &files, &err), 0);
	assert_int_equal(files.count, FILES_LIST_MAX);
	assert_true(files.truncated);
}

static void test_list_of_a_prefix_is_cut_after_it_was_chosen(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	static const struct {
		const char *prefix;
		size_t count;
		bool truncated;
		const char *first;
	} cases[] = {
	    {"", FILES_LIST_MAX, true, NULL},
	    {"z", 2, false, "z[1]*?\\x/a"},
	    {"z[1]*?\\x", 2, false, "z[1]*?\\x/a"},
	    {"zz", 0, false, NULL},
	    {"z[1]*?\\x/", 2, false, "z[1]*?\\x/a"},
	    {"z[1]*?\\x/b", 1, false, "z[1]*?\\x/b c"},
	    {"3000", 1, false, "3000"},
	};
	run("mkdir \"$FAKE/it's/artifacts\" && cd \"$FAKE/it's/artifacts\" && seq 1 10005 | xargs touch && mkdir "
	    "'z[1]*?\\x' && touch 'z[1]*?\\x/a' 'z[1]*?\\x/b c'");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(remote_files_done) struct remote_files files = {0};
		struct nel_err err;
		assert_int_equal(slurm_files_list(NULL, dir, "artifacts", cases[i].prefix, 20000, &files, &err), 0);
		assert_int_equal(files.count, cases[i].count);
		assert_int_equal(files.truncated, cases[i].truncated);
		if (cases[i].first != NULL)
			assert_string_equal(files.items[0].path, cases[i].first);
	}
}

static void test_list_of_no_folder_is_an_error(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	static const struct {
		const char *folder;
		enum nel_err_kind kind;
	} cases[] = {{"artifacts", NEL_NOTFOUND}, {"elsewhere", NEL_DENIED}, {"..", NEL_INVALID}, {"a/b", NEL_INVALID}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct remote_files files = {0};
		struct nel_err err = {0};
		assert_int_equal(slurm_files_list(NULL, dir, cases[i].folder, "", 20000, &files, &err), -1);
		assert_int_equal(err.kind, cases[i].kind);
	}
}

static void test_read_gives_the_bytes_asked_for(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	static const struct {
		const char *path;
		int64_t offset;
		size_t max;
		int64_t lines;
		const char *data;
		size_t size;
		int64_t at;
	} cases[] = {
	    {"bytes", 0, 100, 0, TEXT("a\0b\nend\n"), 0},
	    {"numbers", 0, 4, 0, TEXT("1\n2\n"), 0},
	    {"numbers", 2, 5, 0, TEXT("2\n3\n4"), 2},
	    {"numbers", 3888, 100, 0, TEXT("1000\n"), 3888},
	    {"numbers", 3893, 100, 0, TEXT(""), 3893},
	    {"numbers", 99999, 100, 0, TEXT(""), 99999},
	    {"numbers", 0, 100, 2, TEXT("999\n1000\n"), 3884},
	    {"numbers", 0, 7, 5, TEXT("9\n1000\n"), 3886},
	    {"numbers", 0, 100, 1, TEXT("1000\n"), 3888},
	    {"inner", 0, 2, 0, TEXT("1\n"), 0},
	    {"empty", 0, 100, 3, TEXT(""), 0},
	    {"deep/a|b c", 0, 100, 0, TEXT("x\n"), 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(remote_chunk_done) struct remote_chunk chunk = {0};
		struct nel_err err = {0};
		if (slurm_files_read(NULL, dir, "logs", cases[i].path, cases[i].offset, cases[i].max, cases[i].lines,
				     20000, &chunk, &err) != 0)
			fail_msg("%zu: %s", i, err.msg);
		assert_int_equal(chunk.size, cases[i].size);
		assert_memory_equal(chunk.data, cases[i].data, cases[i].size);
		assert_int_equal(chunk.offset, cases[i].at);
	}
}

static void test_read_outside_of_the_folder_is_refused(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	static const struct {
		const char *path;
		enum nel_err_kind kind;
	} cases[] = {
	    {"link", NEL_DENIED},         {"root/etc/passwd", NEL_DENIED}, {"../.secrets.env", NEL_INVALID},
	    {"/etc/passwd", NEL_INVALID}, {"missing", NEL_NOTFOUND},       {"deep", NEL_NOTFOUND},
	    {"fifo", NEL_NOTFOUND},       {"numbers/x", NEL_NOTFOUND},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct remote_chunk chunk = {0};
		struct nel_err err = {0};
		assert_int_equal(slurm_files_read(NULL, dir, "logs", cases[i].path, 0, 100, 0, 20000, &chunk, &err),
				 -1);
		assert_int_equal(err.kind, cases[i].kind);
	}
}

#define SCRIPT_TEST(f) cmocka_unit_test_setup_teardown(f, files_setup, local_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_path_ok_refuses_what_leaves),
	    cmocka_unit_test(test_parse_list_is_sorted_and_clean),
	    cmocka_unit_test(test_parse_bad_answers_are_errors),
	    SCRIPT_TEST(test_list_shows_regular_files),
	    SCRIPT_TEST(test_list_of_too_many_files_is_truncated),
	    SCRIPT_TEST(test_list_of_a_prefix_is_cut_after_it_was_chosen),
	    SCRIPT_TEST(test_list_of_no_folder_is_an_error),
	    SCRIPT_TEST(test_read_gives_the_bytes_asked_for),
	    SCRIPT_TEST(test_read_outside_of_the_folder_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

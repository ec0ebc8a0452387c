/* The task catalogue: the built-in list, a site's own, look-ups. */
#include "config/plan/catalogue.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct catalogue *catalogue;

static int load(void **state)
{
	(void)state;
	struct nel_err err = {0};
	return catalogue_load(NULL, &catalogue, &err);
}

static int drop(void **state)
{
	(void)state;
	catalogue_free(catalogue);
	return 0;
}

static void test_catalogue_load_built_in_has_all_rows(void **state)
{
	(void)state;
	assert_int_equal(catalogue_count(catalogue), 421);
	const struct catalogue_task *first = catalogue_at(catalogue, 0);
	assert_string_equal(first->harness, "lm-evaluation-harness");
	assert_string_equal(first->task, "mmlu");
	assert_string_equal(first->container, "nvcr.io/nvidia/eval-factory/lm-evaluation-harness:26.03");
	assert_string_equal(first->endpoint_types[0], "completions");
	assert_null(first->endpoint_types[1]);
}

static const struct {
	const char *name;
	enum catalogue_match match;
	const char *harness; /* NULL: no row */
} lookups[] = {
    {"hellaswag", CATALOGUE_FOUND, "lm-evaluation-harness"},
    {"simple_evals.mmlu", CATALOGUE_FOUND, "simple_evals"},
    {"lm-evaluation-harness.mmlu", CATALOGUE_FOUND, "lm-evaluation-harness"},
    {"mmlu", CATALOGUE_AMBIGUOUS, "lm-evaluation-harness"},
    {"lm-evaluation-harness.no_such", CATALOGUE_HARNESS_KNOWN, "lm-evaluation-harness"},
    {"no_such.mmlu", CATALOGUE_UNKNOWN, NULL},
    {"no_such", CATALOGUE_UNKNOWN, NULL},
    {"", CATALOGUE_UNKNOWN, NULL},
    {".", CATALOGUE_UNKNOWN, NULL},
    {"MMLU", CATALOGUE_UNKNOWN, NULL},
};

static void test_catalogue_find_each_name_gives_its_match(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof lookups / sizeof lookups[0]; i++) {
		const struct catalogue_task *task = NULL;
		assert_int_equal(catalogue_find(catalogue, lookups[i].name, &task), lookups[i].match);
		if (lookups[i].harness == NULL)
			assert_null(task);
		else
			assert_string_equal(task->harness, lookups[i].harness);
	}
}

static char *write_file(const char *text)
{
	char *path = mem_strdup("/tmp/test_catalogue_XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return path;
}

static void test_catalogue_load_own_file_replaces_the_list(void **state)
{
	(void)state;
	struct nel_err err = {0};
	CLEANUP(mem_freep)
	char *path = write_file("# comment\r\n\nours\tquiz\timage:1\tchat,completions\r\nours\ta.b\timage:2\tvlm");
	CLEANUP(catalogue_freep) struct catalogue *own = NULL;
	assert_int_equal(catalogue_load(path, &own, &err), 0);
	unlink(path);
	assert_int_equal(catalogue_count(own), 2);
	assert_string_equal(catalogue_at(own, 0)->endpoint_types[1], "completions");
	assert_null(catalogue_at(own, 0)->endpoint_types[2]);
	const struct catalogue_task *task;
	assert_int_equal(catalogue_find(own, "a.b", &task), CATALOGUE_FOUND);
	assert_int_equal(catalogue_find(own, "ours.a.b", &task), CATALOGUE_FOUND);
	assert_int_equal(catalogue_find(own, "mmlu", &task), CATALOGUE_UNKNOWN);
}

static const struct {
	const char *text;
	const char *message;
} wrong[] = {
    {"ours\tquiz\timage:1\n", ":1:"},
    {"# x\nours\tquiz\timage:1\tchat\tmore\n", ":2:"},
    {"ours\t\timage:1\tchat\n", ":1:"},
    {"ours\tquiz\tima ge:1\tchat\n", ":1:"},
    {"ours\tquiz\timage:1\tchat\nours\tquiz\timage:2\tchat\n", "twice"},
};

static void test_catalogue_load_wrong_line_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct nel_err err = {0};
		CLEANUP(mem_freep) char *path = write_file(wrong[i].text);
		CLEANUP(catalogue_freep) struct catalogue *own = NULL;
		assert_int_equal(catalogue_load(path, &own, &err), -1);
		unlink(path);
		assert_int_equal(err.kind, NEL_INVALID);
		assert_non_null(strstr(err.msg, wrong[i].message));
		assert_null(own);
	}
}

static void test_catalogue_load_no_file_is_not_found(void **state)
{
	(void)state;
	struct nel_err err = {0};
	struct catalogue *own = NULL;
	assert_int_equal(catalogue_load("/nonexistent/tasks.tsv", &own, &err), -1);
	assert_int_equal(err.kind, NEL_NOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_catalogue_load_built_in_has_all_rows),
	    cmocka_unit_test(test_catalogue_find_each_name_gives_its_match),
	    cmocka_unit_test(test_catalogue_load_own_file_replaces_the_list),
	    cmocka_unit_test(test_catalogue_load_wrong_line_is_named),
	    cmocka_unit_test(test_catalogue_load_no_file_is_not_found),
	};
	return cmocka_run_group_tests(tests, load, drop);
}

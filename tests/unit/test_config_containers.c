/* Images and mounts in Apptainer's words. */
#include "config/plan/containers.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "cmocka_all.h"

#include <string.h>

static void test_apptainer_image_of_each_notation_is_what_it_fetches(void **state)
{
	(void)state;
	static const struct {
		const char *image, *want;
	} cases[] = {
	    {"nvcr.io#nvidia/eval-factory/simple-evals:25.11",
	     "docker://nvcr.io/nvidia/eval-factory/simple-evals:25.11"},
	    {"nvcr.io/nvidia/tensorrt-llm/release:1.0.0", "docker://nvcr.io/nvidia/tensorrt-llm/release:1.0.0"},
	    {"docker://nvcr.io#nvidia/x:1", "docker://nvcr.io/nvidia/x:1"},
	    {"docker://ghcr.io/a/b", "docker://ghcr.io/a/b"},
	    {"vllm/vllm-openai:latest", "docker://vllm/vllm-openai:latest"},
	    {"haproxy:latest", "docker://haproxy:latest"},
	    {"registry.example:5000#team/x:1", "docker://registry.example:5000/team/x:1"},
	    {"a/b@sha256:0123", "docker://a/b@sha256:0123"},
	    {"/shared/images/x.sif", "/shared/images/x.sif"},
	    {"/shared/images/x.sqsh", "/shared/images/x.sqsh"},
	    {"/shared/images/a directory-less#name", NULL},
	    {"oras://ghcr.io/a/b:1", "oras://ghcr.io/a/b:1"},
	    {"library://team/default/x:1", "library://team/default/x:1"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct nel_err err = {0};
		CLEANUP(mem_freep) char *image = containers_apptainer_image(cases[i].image, &err);
		if (cases[i].want == NULL) {
			assert_null(image);
			continue;
		}
		if (image == NULL)
			fail_msg("%s: %s", cases[i].image, err.msg);
		assert_string_equal(image, cases[i].want);
	}
}

static void test_apptainer_image_of_what_it_cannot_fetch_is_refused_with_what_to_write(void **state)
{
	(void)state;
	static const struct {
		const char *image, *says;
	} cases[] = {
	    {"me@nvcr.io#nvidia/x:1", "apptainer registry login"},
	    {"dockerd://x:1", "docker://registry/name:tag"},
	    {"podman://x:1", ".sif"},
	    {"./x.sif", "from the root"},
	    {"../x.sqsh", "from the root"},
	    {"-x", "no name"},
	    {"docker://", "no name"},
	    {"nvcr.io#", "no name"},
	    {"#x", "no name"},
	    {"x y", "space"},
	    {"x\ny", "control"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct nel_err err = {0};
		assert_null(containers_apptainer_image(cases[i].image, &err));
		assert_int_equal(err.kind, NEL_INVALID);
		if (strstr(err.msg, cases[i].says) == NULL)
			fail_msg("'%s' does not say '%s'", err.msg, cases[i].says);
	}
}

static void test_containers_names_are_read_as_they_are_written(void **state)
{
	(void)state;
	enum containers containers = CONTAINERS_PYXIS;
	assert_true(containers_from_name("apptainer", &containers));
	assert_int_equal(containers, CONTAINERS_APPTAINER);
	assert_string_equal(containers_name(containers), "apptainer");
	assert_true(containers_from_name("pyxis", &containers));
	assert_int_equal(containers, CONTAINERS_PYXIS);
	assert_false(containers_from_name("singularity", &containers));
	assert_false(containers_from_name("", &containers));
}

static void test_flags_and_options_of_pyxis_are_told_from_others(void **state)
{
	(void)state;
	assert_true(containers_apptainer_flags_ok(NULL));
	assert_true(containers_apptainer_flags_ok("ro"));
	assert_true(containers_apptainer_flags_ok("rw"));
	assert_false(containers_apptainer_flags_ok("ro+nosuid"));
	assert_false(containers_apptainer_flags_ok("x-create=dir"));
	assert_true(containers_is_pyxis_option("container-image"));
	assert_true(containers_is_pyxis_option("no-container-mount-home"));
	assert_false(containers_is_pyxis_option("container-id"));
	assert_false(containers_is_pyxis_option("container"));
	assert_false(containers_is_pyxis_option("constraint"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_apptainer_image_of_each_notation_is_what_it_fetches),
	    cmocka_unit_test(test_apptainer_image_of_what_it_cannot_fetch_is_refused_with_what_to_write),
	    cmocka_unit_test(test_containers_names_are_read_as_they_are_written),
	    cmocka_unit_test(test_flags_and_options_of_pyxis_are_told_from_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

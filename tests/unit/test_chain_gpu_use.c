/* Sums of what was sampled of GPUs. */
#include "chain/gpu_use.h"
#include "cmocka_all.h"

static void test_gpu_use_add_takes_what_is_new(void **state)
{
	(void)state;
	struct gpu_use total = {10, 500, 2, 30};
	struct gpu_use before = {0};
	const struct gpu_use now = {4, 100, 3, 20};
	assert_true(gpu_use_add(&total, &before, &now));
	assert_false(gpu_use_add(&total, &before, &now));
	const struct gpu_use less = {5, 99, 3, 20};
	assert_false(gpu_use_add(&total, &before, &less));
	const struct gpu_use more = {5, 200, 3, 20};
	assert_true(gpu_use_add(&total, &before, &more));
	const struct gpu_use want = {15, 700, 5, 50};
	assert_memory_equal(&total, &want, sizeof want);
	assert_memory_equal(&before, &more, sizeof more);
}

static void test_gpu_use_mean_and_share(void **state)
{
	(void)state;
	assert_true(gpu_use_mean(&(struct gpu_use){0}) < 0);
	assert_true(gpu_use_low_share(&(struct gpu_use){0}) < 0);
	const struct gpu_use use = {4, 200, 1, 0};
	assert_true(gpu_use_mean(&use) == 0.5);
	assert_true(gpu_use_low_share(&use) == 0.25);
}

static void test_gpu_use_is_sound_refuses_what_no_samples_give(void **state)
{
	(void)state;
	static const struct {
		struct gpu_use use;
		bool sound;
	} cases[] = {
	    {{4, 400, 4, 40}, true},
	    {{4, 0, 0, 0}, true},
	    {{0, 0, 0, 0}, false},
	    {{-1, 0, 0, 0}, false},
	    {{4, 401, 0, 0}, false},
	    {{4, -1, 0, 0}, false},
	    {{4, 0, 5, 0}, false},
	    {{4, 0, 0, -1}, false},
	    {{GPU_USE_SAMPLES_MAX + 1, 0, 0, 0}, false},
	    {{4, 0, 0, GPU_USE_SAMPLES_MAX + 1}, false},
	};
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(gpu_use_is_sound(&cases[i].use), cases[i].sound);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_gpu_use_add_takes_what_is_new),
	    cmocka_unit_test(test_gpu_use_mean_and_share),
	    cmocka_unit_test(test_gpu_use_is_sound_refuses_what_no_samples_give),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

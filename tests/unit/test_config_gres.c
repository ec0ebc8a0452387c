/* How many GPUs --gres and --gpus-per-node ask for. */
#include "config/plan/gres.h"

#include "config/plan/eval_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct counted {
	const char *list;
	int64_t gpus;
};

static void test_gres_gpus_lists_of_slurm_are_counted(void **state)
{
	(void)state;
	static const struct counted cases[] = {
	    {"gpu:8", 8},
	    {"gpu", 1},
	    {"gpu:0", 0},
	    {"gpu:a100:4", 4},
	    {"gpu:a100", 1},
	    {"gpu:1g.10gb:2", 2},
	    {"gpu:1g.10gb", 1},
	    {"gpu:8,nvme:1", 8},
	    {"nvme:1,gpu:8", 8},
	    {"nvme,gpu", 1},
	    {"gpu:a100:2,gpu:h100:4", 6},
	    {"gpu:a100,gpu:h100:4,craynetwork:0", 5},
	    {"gres:gpu:3", 3},
	    {"gres:gpu:h100:3", 3},
	    {"gres/gpu:3", 3},
	    {"gres/gpu=3", 3},
	    {"gres/gpu:h100=3", 3},
	    {"gres/gpu=8,gres/gpu:a100=6,gres/gpu:h100=2", 8},
	    {"gpu=2", 2},
	    {"nvme:1", 0},
	    {"gpumem:40", 0},
	    {"mygpu:2", 0},
	    {"none", 0},
	    {"", 0},
	    {"gpu:8,", 8},
	    {"gpu:1024", 1024},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (gres_gpus(cases[i].list) != cases[i].gpus)
			fail_msg("%s: %lld, not %lld", cases[i].list, (long long)gres_gpus(cases[i].list),
				 (long long)cases[i].gpus);
	}
}

static void test_gres_gpus_per_node_lists_of_slurm_are_counted(void **state)
{
	(void)state;
	static const struct counted cases[] = {
	    {"8", 8}, {"0", 0}, {"a100:8", 8}, {"a100:4,h100:2", 6}, {"a100", 1}, {"1g.10gb:7", 7}, {"", 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(gres_gpus_per_node(cases[i].list), cases[i].gpus);
}

static void test_gres_gpus_what_cannot_be_read_is_unknown(void **state)
{
	(void)state;
	static const char *const gres[] = {
	    "gpu:",
	    "gpu:a100:",
	    "gpu:a100:x",
	    "gpu:a100:4:2",
	    "gpu:1025",
	    "gpu:99999999999999999999",
	    "gpu:a:1000,gpu:b:1000",
	};
	static const char *const per_node[] = {"a100:x", "1025", "a100:-1", "a100:4:4", ":", "8,a100:"};
	for (size_t i = 0; i < sizeof gres / sizeof gres[0]; i++)
		assert_int_equal(gres_gpus(gres[i]), -1);
	for (size_t i = 0; i < sizeof per_node / sizeof per_node[0]; i++)
		assert_int_equal(gres_gpus_per_node(per_node[i]), -1);
	char longest[4096];
	memset(longest, 'x', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	assert_int_equal(gres_gpus(longest), -1);
}

static void test_eval_plan_gpus_of_all_nodes(void **state)
{
	(void)state;
	static const struct {
		char *gres, *gpus_per_node;
		int64_t gpus;
	} cases[] = {
	    {"gpu:8,nvme:1", NULL, 16}, {NULL, "a100:4", 8}, {"gpu:8", "2", 4},
	    {"nvme:1", NULL, 0},        {NULL, NULL, 0},     {"gpu:many:", NULL, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct eval_plan plan = {
		    .gres = cases[i].gres, .gpus_per_node = cases[i].gpus_per_node, .total_nodes = 2};
		assert_int_equal(eval_plan_gpus(&plan), cases[i].gpus);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_gres_gpus_lists_of_slurm_are_counted),
	    cmocka_unit_test(test_gres_gpus_per_node_lists_of_slurm_are_counted),
	    cmocka_unit_test(test_gres_gpus_what_cannot_be_read_is_unknown),
	    cmocka_unit_test(test_eval_plan_gpus_of_all_nodes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

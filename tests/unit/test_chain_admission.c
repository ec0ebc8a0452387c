/* Whose turn it is: examples, and properties of many random days. */
#include "chain/admission.h"

#include "base/mem.h"
#include "cmocka_all.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEOPLE_MAX 6
#define CLUSTERS_MAX 3
#define JOBS_MAX 400

/* A decision under construction. */
struct world {
	struct admission a;
	struct admission_person people[PEOPLE_MAX];
	struct admission_cluster clusters[CLUSTERS_MAX];
	struct admission_share shares[PEOPLE_MAX * CLUSTERS_MAX];
	struct admission_job jobs[JOBS_MAX];
};

static void world_init(struct world *w, size_t people, size_t clusters)
{
	*w = (struct world){0};
	w->a = (struct admission){.people = w->people,
				  .person_count = people,
				  .clusters = w->clusters,
				  .cluster_count = clusters,
				  .shares = w->shares,
				  .jobs = w->jobs};
	for (size_t i = 0; i < people; i++)
		w->people[i] = (struct admission_person){.weight = 1, .active_max = 1000, .in_slurm_max = 1000};
	for (size_t i = 0; i < clusters; i++)
		w->clusters[i].in_slurm_max = -1;
}

static void has(struct world *w, size_t person, size_t cluster, int64_t jobs)
{
	w->people[person].active += jobs;
	w->people[person].in_slurm += jobs;
	w->clusters[cluster].in_slurm += jobs;
	w->shares[cluster * w->a.person_count + person].in_slurm += jobs;
}

static struct admission_job *wants(struct world *w, size_t person, size_t cluster, int64_t age)
{
	struct admission_job *job = &w->jobs[w->a.job_count++];
	*job = (struct admission_job){.age = age, .person = person, .cluster = cluster, .slots = 1};
	return job;
}

static const struct admission_job *job_of(const struct world *w, int64_t age)
{
	for (size_t i = 0; i < w->a.job_count; i++)
		if (w->jobs[i].age == age)
			return &w->jobs[i];
	fail_msg("no job %" PRId64, age);
	return NULL;
}

static void assert_job(const struct world *w, int64_t age, enum admission_hold hold, int64_t position, int64_t queue)
{
	const struct admission_job *job = job_of(w, age);
	assert_int_equal(job->hold, hold);
	assert_int_equal(job->position, position);
	assert_int_equal(job->queue, queue);
}

/* The order in which jobs go, as "1 5 2". */
static void assert_order(const struct world *w, const char *ages)
{
	char order[1024] = "";
	size_t size = 0;
	for (size_t i = 0; i < w->a.job_count; i++)
		if (w->jobs[i].hold == ADMISSION_GO)
			size += (size_t)snprintf(order + size, sizeof order - size, "%s%" PRId64, size > 0 ? " " : "",
						 w->jobs[i].age);
	assert_string_equal(order, ages);
}

static void test_admission_without_jobs_does_nothing(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, 1, 1);
	admission_decide(&w.a);
	assert_int_equal(w.people[0].in_slurm, 0);
}

static void test_admission_of_two_people_alternates(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, 2, 1);
	for (int64_t age = 1; age <= 3; age++)
		wants(&w, 0, 0, age);
	wants(&w, 1, 0, 4);
	wants(&w, 1, 0, 5);
	admission_decide(&w.a);
	assert_order(&w, "1 4 2 5 3");
	assert_job(&w, 5, ADMISSION_GO, 4, 5);
}

static void test_admission_of_one_who_has_much_comes_after_one_who_has_nothing(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, 2, 1);
	w.clusters[0].in_slurm_max = 21;
	has(&w, 0, 0, 20);
	for (int64_t age = 1; age <= 30; age++)
		wants(&w, 0, 0, age);
	wants(&w, 1, 0, 31);
	admission_decide(&w.a);
	assert_order(&w, "31");
	assert_job(&w, 31, ADMISSION_GO, 1, 31);
	assert_job(&w, 1, ADMISSION_CLUSTER_FULL, 2, 31);
	assert_job(&w, 30, ADMISSION_CLUSTER_FULL, 31, 31);
	assert_int_equal(w.clusters[0].in_slurm, 21);
}

static void test_admission_with_weights_gives_turns_in_their_ratio(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, 2, 1);
	w.people[1].weight = 3;
	w.clusters[0].in_slurm_max = 8;
	for (int64_t age = 1; age <= 20; age++) {
		wants(&w, 0, 0, age);
		wants(&w, 1, 0, 20 + age);
	}
	admission_decide(&w.a);
	assert_order(&w, "1 21 22 23 2 24 25 26");
}

static void test_admission_on_a_tie_takes_who_has_waited_longest(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, 3, 1);
	w.clusters[0].in_slurm_max = 4;
	has(&w, 0, 0, 1);
	has(&w, 1, 0, 1);
	has(&w, 2, 0, 1);
	wants(&w, 2, 0, 9);
	wants(&w, 0, 0, 8);
	wants(&w, 1, 0, 7);
	admission_decide(&w.a);
	assert_order(&w, "7");
}

static void test_admission_of_begun_chains_comes_before_new_ones(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, 2, 1);
	w.people[0].active = 2; /* between two attempts */
	w.people[0].active_max = 2;
	w.clusters[0].in_slurm_max = 3;
	wants(&w, 1, 0, 1);
	wants(&w, 0, 0, 2);
	wants(&w, 0, 0, 3)->begun = true;
	wants(&w, 0, 0, 4)->begun = true;
	admission_decide(&w.a);
	assert_order(&w, "3 4 1");
	assert_job(&w, 2, ADMISSION_PERSON_ACTIVE, 4, 4);
}

static void test_admission_at_a_persons_limits_passes_over_that_person(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, 3, 1);
	has(&w, 0, 0, 3);
	w.people[0].in_slurm_max = 4;
	has(&w, 1, 0, 2);
	w.people[1].active_max = 3;
	for (int64_t age = 1; age <= 3; age++) {
		wants(&w, 0, 0, age);
		wants(&w, 1, 0, 10 + age);
		wants(&w, 2, 0, 20 + age);
	}
	admission_decide(&w.a);
	assert_order(&w, "21 22 11 23 1");
	assert_int_equal(job_of(&w, 2)->hold, ADMISSION_PERSON_IN_SLURM);
	assert_int_equal(job_of(&w, 12)->hold, ADMISSION_PERSON_ACTIVE);
	assert_int_equal(w.people[0].in_slurm, 4);
	assert_int_equal(w.people[1].active, 3);
}

static void test_admission_counts_a_persons_jobs_on_all_clusters(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, 1, 2);
	w.people[0].in_slurm_max = 3;
	has(&w, 0, 0, 2);
	wants(&w, 0, 0, 1);
	wants(&w, 0, 1, 2);
	admission_decide(&w.a);
	assert_order(&w, "2"); /* beta has nothing of hers yet */
	assert_job(&w, 1, ADMISSION_PERSON_IN_SLURM, 1, 1);
}

static void test_admission_of_a_full_cluster_leaves_the_others_alone(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, 1, 2);
	w.clusters[0].in_slurm_max = 1;
	has(&w, 0, 0, 1);
	wants(&w, 0, 0, 1);
	wants(&w, 0, 1, 2);
	admission_decide(&w.a);
	assert_order(&w, "2");
}

static void test_admission_where_slurm_refused_holds_one_person_there_only(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, 2, 2);
	w.shares[0].slurm_limit = true;
	wants(&w, 0, 0, 1)->begun = true;
	wants(&w, 0, 1, 2);
	wants(&w, 1, 0, 3);
	admission_decide(&w.a);
	assert_order(&w, "2 3");
	assert_job(&w, 1, ADMISSION_SLURM_LIMIT, 1, 2);
}

static void test_admission_of_two_slots_waits_for_them_and_is_not_overtaken(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, 2, 1);
	w.clusters[0].in_slurm_max = 4;
	has(&w, 1, 0, 3);
	wants(&w, 0, 0, 1)->slots = 2;
	wants(&w, 1, 0, 2);
	admission_decide(&w.a);
	assert_order(&w, "");
	assert_int_equal(job_of(&w, 2)->hold, ADMISSION_CLUSTER_FULL);
	/* The same of one person. */
	world_init(&w, 1, 1);
	w.people[0].in_slurm_max = 4;
	has(&w, 0, 0, 3);
	wants(&w, 0, 0, 1)->slots = 2;
	wants(&w, 0, 0, 2);
	admission_decide(&w.a);
	assert_order(&w, "");
	assert_int_equal(w.people[0].in_slurm, 3);
}

static void test_admission_of_more_than_a_limit_goes_alone(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, 1, 1);
	w.people[0].in_slurm_max = 1;
	wants(&w, 0, 0, 1)->slots = 2;
	wants(&w, 0, 0, 2)->slots = 2;
	admission_decide(&w.a);
	assert_order(&w, "1");
}

/* ---- many days ---- */

static uint32_t dice_state;

static uint32_t dice(uint32_t below)
{
	dice_state = dice_state * 1664525U + 1013904223U;
	return (dice_state >> 8) % below;
}

struct sim_job {
	int64_t age;
	size_t person;
	size_t cluster;
	int64_t slots;
	enum { WAITS_NEW, WAITS_BEGUN, IN_SLURM, ENDED } at;
	int attempts_left;
	int64_t waited; /* rounds */
};

struct sim {
	struct world w; /* limits and weights, and the last decision */
	struct sim_job jobs[JOBS_MAX];
	size_t count;
};

static void sim_tally(struct sim *sim)
{
	struct world *w = &sim->w;
	w->a.job_count = 0;
	memset(w->shares, 0, sizeof w->shares);
	for (size_t i = 0; i < w->a.person_count; i++) {
		w->people[i].active = w->people[i].in_slurm = 0;
		w->people[i].closed = false;
	}
	for (size_t i = 0; i < w->a.cluster_count; i++) {
		w->clusters[i].in_slurm = 0;
		w->clusters[i].closed = false;
	}
	for (size_t i = 0; i < sim->count; i++) {
		const struct sim_job *job = &sim->jobs[i];
		if (job->at == ENDED)
			continue;
		if (job->at == IN_SLURM) {
			has(w, job->person, job->cluster, job->slots);
			w->people[job->person].active += 1 - job->slots;
			continue;
		}
		struct admission_job *one = wants(w, job->person, job->cluster, job->age);
		one->begun = job->at == WAITS_BEGUN;
		one->slots = job->slots;
		w->people[job->person].active += one->begun;
	}
}

static void sim_check_limits(const struct sim *sim)
{
	const struct world *w = &sim->w;
	for (size_t i = 0; i < w->a.person_count; i++) {
		const struct admission_person *p = &w->people[i];
		assert_true(p->in_slurm <= p->in_slurm_max || p->in_slurm <= 2);
		assert_true(p->active <= p->active_max);
	}
	for (size_t i = 0; i < w->a.cluster_count; i++) {
		const struct admission_cluster *c = &w->clusters[i];
		assert_true(c->in_slurm_max < 0 || c->in_slurm <= c->in_slurm_max || c->in_slurm <= 2);
	}
}

/* Nobody goes while an older job of the same person, cluster and kind stays; and none stays without a reason. */
static void sim_check_order(const struct sim *sim)
{
	const struct world *w = &sim->w;
	for (size_t i = 0; i < w->a.job_count; i++) {
		const struct admission_job *x = &w->jobs[i];
		for (size_t j = 0; j < w->a.job_count; j++) {
			const struct admission_job *y = &w->jobs[j];
			if (x->person == y->person && x->cluster == y->cluster && x->begun == y->begun &&
			    x->age < y->age) {
				assert_true(x->position < y->position);
				assert_false(x->hold != ADMISSION_GO && y->hold == ADMISSION_GO);
			}
			if (x->cluster == y->cluster && x->begun && !y->begun)
				assert_true(x->position < y->position);
		}
	}
}

static void sim_go(struct sim *sim)
{
	const struct world *w = &sim->w;
	for (size_t i = 0; i < w->a.job_count; i++) {
		struct sim_job *job = &sim->jobs[w->jobs[i].age];
		if (w->jobs[i].hold == ADMISSION_GO) {
			job->at = IN_SLURM;
			job->waited = 0;
		} else {
			job->waited++;
		}
	}
}

static void sim_init(struct sim *sim)
{
	memset(sim, 0, sizeof *sim);
	world_init(&sim->w, 1 + dice(PEOPLE_MAX), 1 + dice(CLUSTERS_MAX));
	for (size_t i = 0; i < sim->w.a.person_count; i++) {
		sim->w.people[i].weight = 1 + dice(5);
		sim->w.people[i].in_slurm_max = 1 + dice(8);
		sim->w.people[i].active_max = 1 + dice(12);
	}
	for (size_t i = 0; i < sim->w.a.cluster_count; i++)
		sim->w.clusters[i].in_slurm_max = dice(3) == 0 ? -1 : 1 + (int64_t)dice(10);
}

static void sim_arrive(struct sim *sim, uint32_t most)
{
	for (uint32_t n = dice(most); n > 0 && sim->count < JOBS_MAX; n--) {
		sim->jobs[sim->count] = (struct sim_job){.age = (int64_t)sim->count,
							 .person = dice((uint32_t)sim->w.a.person_count),
							 .cluster = dice((uint32_t)sim->w.a.cluster_count),
							 .slots = dice(6) == 0 ? 2 : 1,
							 .attempts_left = 1 + (int)dice(3)};
		sim->count++;
	}
}

static void sim_end_some(struct sim *sim)
{
	for (size_t i = 0; i < sim->count; i++) {
		struct sim_job *job = &sim->jobs[i];
		if (job->at != IN_SLURM || dice(3) != 0)
			continue;
		job->attempts_left--;
		job->at = job->attempts_left > 0 ? WAITS_BEGUN : ENDED;
	}
}

static void test_admission_of_random_days_keeps_limits_and_order_and_starves_nobody(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 25; seed++) {
		struct sim *sim = mem_calloc(1, sizeof *sim);
		dice_state = seed;
		sim_init(sim);
		size_t left = 1;
		int64_t longest = 0;
		for (int round = 0; round < 4000 && (left > 0 || round < 30); round++) {
			if (round < 30)
				sim_arrive(sim, 20);
			sim_tally(sim);
			admission_decide(&sim->w.a);
			sim_check_limits(sim);
			sim_check_order(sim);
			sim_go(sim);
			sim_end_some(sim);
			left = 0;
			for (size_t i = 0; i < sim->count; i++) {
				left += sim->jobs[i].at != ENDED;
				longest = sim->jobs[i].waited > longest ? sim->jobs[i].waited : longest;
			}
		}
		if (left > 0)
			fail_msg("seed %u: %zu jobs never went", seed, left);
		assert_true(longest < 4000);
		free(sim);
	}
}

/* Who has just one job waits no longer than a turn of each other person takes, however much these have waiting. */
static void test_admission_of_a_newcomer_takes_one_of_the_next_free_slots(void **state)
{
	(void)state;
	for (size_t others = 1; others < PEOPLE_MAX; others++) {
		struct world w;
		world_init(&w, others + 1, 1);
		w.clusters[0].in_slurm_max = (int64_t)others * 10;
		for (size_t p = 0; p < others; p++) {
			has(&w, p, 0, p == 0 ? 9 : 10); /* one slot is free */
			for (int64_t n = 0; n < 40; n++)
				wants(&w, p, 0, (int64_t)p * 40 + n);
		}
		wants(&w, others, 0, 9999);
		admission_decide(&w.a);
		assert_order(&w, "9999");
	}
}

/* While all of them have jobs waiting, what people have in Slurm is in the ratio of their weights, but for one job. */
static void test_admission_under_constant_pressure_shares_by_weight(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 20; seed++) {
		struct world w;
		int64_t in_slurm[PEOPLE_MAX] = {0};
		int64_t weights = 0;
		int64_t age = 0;
		dice_state = seed;
		world_init(&w, 2 + dice(PEOPLE_MAX - 1), 1);
		const size_t people = w.a.person_count;
		const int64_t most = 40 + dice(60);
		for (size_t p = 0; p < people; p++)
			weights += w.people[p].weight = 1 + dice(5);
		for (int round = 0; round < 200; round++) {
			int64_t weight[PEOPLE_MAX];
			for (size_t p = 0; p < people; p++)
				weight[p] = w.people[p].weight;
			world_init(&w, people, 1);
			w.clusters[0].in_slurm_max = most;
			for (size_t p = 0; p < people; p++) {
				w.people[p].weight = weight[p];
				has(&w, p, 0, in_slurm[p]);
				for (int n = 0; n < 60; n++)
					wants(&w, p, 0, age++);
			}
			admission_decide(&w.a);
			for (size_t p = 0; p < people; p++)
				in_slurm[p] = w.shares[p].in_slurm;
			for (size_t i = 0; i < w.a.job_count; i++)
				in_slurm[w.jobs[i].person] += w.jobs[i].hold == ADMISSION_GO;
			for (size_t p = 0; p < people; p++) {
				/* in_slurm / most against weight / weights */
				int64_t off = in_slurm[p] * weights - most * weight[p];
				assert_true(off <= weights * (int64_t)people && -off <= weights * (int64_t)people);
			}
			/* A few end: of anybody, but no more than what keeps everybody at or above the share. */
			size_t unlucky = dice((uint32_t)people);
			if (in_slurm[unlucky] > 0)
				in_slurm[unlucky]--;
		}
	}
}

/* A quota holds whoever it is of, and counts what the jobs that go may use; nobody else waits for it. */
static void test_admission_quota_holds_when_it_is_used_up(void **state)
{
	(void)state;
	static const struct {
		struct admission_quota person;
		struct admission_quota label;
		struct admission_quota all;
		const char *order;
		enum admission_hold hold; /* of job 3, the third of person 0, which has the label */
	} cases[] = {
	    {{0}, {0}, {0}, "1 4 2 3", ADMISSION_GO},
	    {{true, 99, 100}, {0}, {0}, "1 4", ADMISSION_PERSON_QUOTA}, /* the first uses it up */
	    {{true, 100, 100}, {0}, {0}, "4", ADMISSION_PERSON_QUOTA},
	    {{true, 0, 0}, {0}, {0}, "4", ADMISSION_PERSON_QUOTA},
	    {{true, 85, 100}, {0}, {0}, "1 4 2", ADMISSION_PERSON_QUOTA},
	    {{0}, {true, 100, 100}, {0}, "1 4 2", ADMISSION_LABEL_QUOTA},
	    {{0}, {true, 99, 100}, {0}, "1 4 2 3", ADMISSION_GO},
	    {{0}, {0}, {true, 81, 100}, "1 4", ADMISSION_ALL_QUOTA},
	    {{false, 500, 100}, {false, 500, 100}, {false, 500, 100}, "1 4 2 3", ADMISSION_GO},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct world w;
		struct admission_quota labels[2] = {{0}, cases[i].label};
		world_init(&w, 2, 1);
		for (int64_t age = 1; age <= 3; age++)
			wants(&w, 0, 0, age)->gpu_s = 10;
		wants(&w, 1, 0, 4)->gpu_s = 10;
		w.jobs[2].labels = 2;
		w.people[0].quota = cases[i].person;
		w.a.all = cases[i].all;
		w.a.labels = labels;
		w.a.label_count = 2;
		admission_decide(&w.a);
		assert_order(&w, cases[i].order);
		assert_job(&w, 3, cases[i].hold, 4, 4);
		if (cases[i].hold == ADMISSION_LABEL_QUOTA)
			assert_int_equal(job_of(&w, 3)->label, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_admission_quota_holds_when_it_is_used_up),
	    cmocka_unit_test(test_admission_without_jobs_does_nothing),
	    cmocka_unit_test(test_admission_of_two_people_alternates),
	    cmocka_unit_test(test_admission_of_one_who_has_much_comes_after_one_who_has_nothing),
	    cmocka_unit_test(test_admission_with_weights_gives_turns_in_their_ratio),
	    cmocka_unit_test(test_admission_on_a_tie_takes_who_has_waited_longest),
	    cmocka_unit_test(test_admission_of_begun_chains_comes_before_new_ones),
	    cmocka_unit_test(test_admission_at_a_persons_limits_passes_over_that_person),
	    cmocka_unit_test(test_admission_counts_a_persons_jobs_on_all_clusters),
	    cmocka_unit_test(test_admission_of_a_full_cluster_leaves_the_others_alone),
	    cmocka_unit_test(test_admission_where_slurm_refused_holds_one_person_there_only),
	    cmocka_unit_test(test_admission_of_two_slots_waits_for_them_and_is_not_overtaken),
	    cmocka_unit_test(test_admission_of_more_than_a_limit_goes_alone),
	    cmocka_unit_test(test_admission_of_random_days_keeps_limits_and_order_and_starves_nobody),
	    cmocka_unit_test(test_admission_of_a_newcomer_takes_one_of_the_next_free_slots),
	    cmocka_unit_test(test_admission_under_constant_pressure_shares_by_weight),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

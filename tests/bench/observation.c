/* What taking an observation costs: CPU and memory of reading the answer about so many active chains, and CPU of
 * working it into them when nothing has changed. No cluster: the answer is made here.
 *
 * usage: observation DATABASE [CHAINS]
 * prints medians: reading in ms, taking in ms, MiB at the peak above those before */
#include "base/clock.h"
#include "base/mem.h"
#include "base/queue.h"
#include "base/secret.h"
#include "base/str.h"
#include "db/attempts.h"
#include "db/evaluations.h"
#include "sched/action.h"
#include "sched/advance.h"
#include "sched/answers.h"
#include "sched/scheduler_state.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define TASKS 100 /* of an evaluation */
#define ROUNDS 15
#define PIECE (32 * 1024) /* of the answer, as SSH brings it */

static struct settings_cluster cluster = {.name = (char *)"alpha",
					  .username = (char *)"svc-nel",
					  .poll_interval_s = 30,
					  .command_timeout_s = 60,
					  .absence_deadline_s = 300,
					  .max_sessions = 4};
static struct settings settings = {.clusters = &cluster, .cluster_count = 1};

static double cpu_ms(void)
{
	struct timespec used;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (double)used.tv_sec * 1e3 + (double)used.tv_nsec / 1e6;
}

static double peak_mib(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_maxrss / 1024;
}

static void must(int result, const struct nel_err *err)
{
	if (result == 0)
		return;
	fprintf(stderr, "observation: %s\n", err->msg);
	exit(1);
}

static struct evaluation_row evaluation_of(int number)
{
	struct evaluation_row row = {.user = (char *)"anna",
				     .cluster = cluster.name,
				     .identity = cluster.username,
				     .state = (char *)"running",
				     .model = (char *)"meta/llama",
				     .rundir = (char *)"/shared/project/evaluations/runs",
				     .submitted_text = (char *)"",
				     .submitted_type = (char *)"application/yaml",
				     .overrides = (char *)"[]",
				     .resolved = (char *)"{}",
				     .config_hash = (char *)"cafe",
				     .warnings = (char *)"[]",
				     .images = (char *)"[]",
				     .created_at = 1000 + number};
	snprintf(row.id, sizeof row.id, "%016x", (unsigned)number);
	return row;
}

/* Stores the evaluation's jobs, and has them as active chains. */
static void add_jobs(struct scheduler *s, struct evaluation_row *evaluation, int number, int count)
{
	struct nel_err err;
	for (int i = 0; i < count; i++) {
		CLEANUP(mem_freep) char *dir = mem_printf("%s/%s/task.%d", evaluation->rundir, evaluation->id, i);
		CLEANUP(mem_freep) char *name = mem_printf("nel-%s.%d-1", evaluation->id, i);
		CLEANUP(mem_freep) char *id = mem_printf("%d", number * TASKS + i + 1000);
		struct job_row job = {.evaluation_seq = evaluation->seq,
				      .index = i,
				      .user = evaluation->user,
				      .cluster = evaluation->cluster,
				      .identity = evaluation->identity,
				      .task = (char *)"gsm8k",
				      .model = evaluation->model,
				      .job_dir = dir,
				      .state = i % 2 == 0 ? CHAIN_RUNNING : CHAIN_PENDING,
				      .chain = {.number = i,
						.walltime_s = 3600,
						.resume_mode = (char *)"daemon",
						.resume_on = (char *)"TIMEOUT,PREEMPTED",
						.budget_limit_s = -1},
				      .progress = -1,
				      .created_at = evaluation->created_at};
		memcpy(job.evaluation, evaluation->id, sizeof job.evaluation);
		ids_format_job(evaluation->id, i, job.id);
		must(jobs_insert(s->db, &job, &err), &err);
		struct attempt_row attempt = {.chain_seq = job.chain.seq,
					      .jobs = (char *)"[]",
					      .number = 1,
					      .job_name = name,
					      .time_limit_s = 600,
					      .intended_at = 1000,
					      .slurm_job_id = id,
					      .elapsed_s = -1,
					      .exit_code = -1};
		must(attempts_insert(s->db, &attempt, "#!/bin/bash\n", "true\n", &err), &err);
		must(attempts_update(s->db, &attempt, &err), &err);
		struct job_row row = {0};
		must(jobs_get_seq(s->db, job.seq, &row, &err), &err);
		row.chain.attempt = 1;
		row.chain.slurm_job_id = mem_strdup(id);
		must(chains_update(s->db, &row.chain, &err), &err);
		must(advance_attach(s, active_chains_put(&s->chains, &row), &err), &err);
	}
}

static void fill(struct scheduler *s, const char *path, int chains)
{
	struct nel_err err;
	must(db_migrate(path, NULL, NULL, &err), &err);
	must(db_open(path, &s->db, &err), &err);
	must(db_begin(s->db, &err), &err);
	for (int number = 0; number * TASKS < chains; number++) {
		struct evaluation_row evaluation = evaluation_of(number);
		must(evaluations_insert(s->db, &evaluation, &err), &err);
		add_jobs(s, &evaluation, number, chains - number * TASKS < TASKS ? chains - number * TASKS : TASKS);
	}
	must(db_commit(s->db, &err), &err);
}

static struct action *question(struct scheduler *s, size_t count)
{
	struct action *action = action_new(&action_observe, s->inbox, cluster.name, cluster.username, 60 * 1000, count);
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	HASH_ITER(hh, s->chains.by_seq, chain, next)
		action_add(action, chain);
	action->use_sacct = true;
	return action;
}

static void answer(const struct action *action, struct str *text)
{
	str_append(text, "nel|begin|1\nnow|2000\n");
	for (size_t i = 0; i < action->count; i++) {
		const struct action_item *item = &action->items[i];
		if (i % 2 == 0)
			str_appendf(text, "q|%s|RUNNING|1000|1500|5100|8:20|None|%s|node[%zu-%zu]\n",
				    item->slurm_job_id, item->job_name, i, i + 3);
		else
			str_appendf(text, "q|%s|PENDING|1000|N/A|N/A|0:00|Priority|%s|\n", item->slurm_job_id,
				    item->job_name);
	}
	for (size_t i = 0; i < action->count; i += 2)
		str_appendf(text, "f|%zu|12|1999|1500||\n", i);
	str_append(text, "end\n");
}

static void take_record(struct record *record, void *arg)
{
	struct observe_reply early = {0};
	if (observe_parser_take(arg, record)) {
		observe_parser_early(arg, &early);
		observe_reply_done(&early);
	}
}

static void read_answer(struct action *action, const struct str *text)
{
	struct nel_err err;
	struct record_stream stream = {0};
	struct observe_order *orders = mem_calloc(action->count, sizeof *orders);
	for (size_t i = 0; i < action->count; i++)
		orders[i] = (struct observe_order){.slurm_job_id = action->items[i].slurm_job_id,
						   .job_name = action->items[i].job_name,
						   .job_dir = action->items[i].job_dir,
						   .attempt = action->items[i].attempt};
	struct observe_parser *parser = observe_parser_new(orders, action->count);
	for (size_t at = 0; at < text->len; at += PIECE)
		record_stream_feed(&stream, text->data + at, text->len - at < PIECE ? text->len - at : PIECE,
				   take_record, parser);
	must(observe_parser_end(parser, &action->observed, &err), &err);
	observe_parser_free(parser);
	free(orders);
}

static int by_size(const void *a, const void *b)
{
	double left = *(const double *)a;
	double right = *(const double *)b;
	return (left > right) - (left < right);
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof *values, by_size);
	return values[count / 2];
}

int main(int argc, char **argv)
{
	struct nel_err err;
	struct scheduler s = {0};
	double reading[ROUNDS];
	double taking[ROUNDS];
	int chains = argc > 2 ? atoi(argv[2]) : 10000;
	if (argc < 2 || chains <= 0)
		return 2;
	must(secret_init(&err), &err);
	clock_fake_set_ms(2000 * 1000);
	cluster_watches_init(&s.watches, &settings);
	atomic_store(&s.settings, &settings);
	fill(&s, argv[1], chains);
	double before_mib = peak_mib();
	for (int round = -2; round < ROUNDS; round++) { /* the first two are not counted: they change the chains */
		struct action *action = question(&s, (size_t)chains);
		struct str text = {0};
		answer(action, &text);
		double begun = cpu_ms();
		read_answer(action, &text);
		double heard = cpu_ms();
		answers_take(&s, action);
		if (round >= 0) {
			reading[round] = heard - begun;
			taking[round] = cpu_ms() - heard;
		}
		str_done(&text);
	}
	printf("%.1f %.1f %.0f\n", median(reading, ROUNDS), median(taking, ROUNDS), peak_mib() - before_mib);
	active_chains_done(&s.chains);
	cluster_watches_done(&s.watches);
	db_close(s.db);
	return 0;
}

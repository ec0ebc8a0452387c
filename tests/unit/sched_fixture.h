/* For the tests of the actions' takes: a scheduler that has one chain and no thread, answers for it, and what the
 * answer leaves. Every write of an answer in turn is made to fail, and the commit too: then store and chain are as
 * before. */
#ifndef NEL_TESTS_SCHED_FIXTURE_H
#define NEL_TESTS_SCHED_FIXTURE_H

#include "base/clock.h"
#include "base/queue.h"
#include "base/str.h"
#include "db/attempts.h"
#include "db_fixture.h"
#include "sched/action.h"
#include "sched/advance.h"
#include "sched/answers.h"
#include "sched/scheduler_state.h"

#define NOW_S 1000000

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct scene {
	struct fixture *f;
	struct settings settings;
	struct settings_cluster cluster;
	struct scheduler s;
	struct active_chain *chain;
	struct cluster_watch *watch;
	struct job_row job;         /* as scene_init() stored it; strings are literals */
	struct attempt_row attempt; /* likewise */
	int writes;                 /* that the answer has made */
	int failing;                /* the one that fails, from 1; 0: none */
	bool commit_fails;
};

/* The chain before the answer, as far as it is not the usual: attempt 1 of a job of anna's on alpha, with a Slurm job
 * where the state has one. */
struct before {
	enum chain_state state;
	bool nobody;                  /* knows a Slurm job of it */
	int attempt;                  /* its number; 0: 1, and none of a queued one */
	const char *slurm_state;      /* of the attempt */
	const char *nodes;            /* likewise */
	int64_t started_at;           /* the job's and the attempt's */
	bool cancelled;               /* asked for by anna */
	const char *resume_mode;      /* NULL: daemon */
	int64_t budget_limit_s;       /* 0: unlimited */
	const char *export_;          /* in the store */
	int64_t absent_since;         /* of the attempt */
	enum chain_event ending_with; /* EVENT_ADMIT: it is not ending */
	const char *ending_why;
	int tries; /* of what pends */
};

/* What is there afterwards, in memory and in the store. Texts are parts; NULL: none is there. */
struct after {
	enum chain_state state;
	enum chain_action pending;
	const char *reason;
	const char *waiting_on;
	const char *events; /* the kinds of those that were written, in order */
	int64_t due_in_s;   /* at least; 0: at once */
	bool ending;
	bool collected;
};

static char alpha[] = "alpha";
static char account[] = "svc-nel";

static inline void sql(struct fixture *f, const char *text)
{
	char *message = NULL;
	if (sqlite3_exec(f->db->sqlite, text, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", text, message);
}

static inline bool has_slurm_job(const struct before *before)
{
	return !before->nobody && before->state != CHAIN_QUEUED && before->state != CHAIN_SUBMITTING;
}

static inline void scene_init(struct scene *scene, struct fixture *f, const struct before *before)
{
	static int number;
	struct nel_err *err = &f->err;
	*scene = (struct scene){.f = f};
	clock_fake_set_ms((int64_t)NOW_S * 1000);
	scene->cluster = (struct settings_cluster){.name = alpha,
						   .username = account,
						   .poll_interval_s = 30,
						   .command_timeout_s = 60,
						   .refusal_deadline_s = 100,
						   .absence_deadline_s = 300,
						   .results_wait_s = 60,
						   .max_sessions = 4};
	scene->settings.clusters = &scene->cluster;
	scene->settings.cluster_count = 1;
	scene->s.db = f->db;
	cluster_watches_init(&scene->s.watches, &scene->settings);
	atomic_store(&scene->s.settings, &scene->settings);
	struct evaluation_row evaluation = sample_evaluation(++number);
	assert_ok(f, evaluations_insert(f->db, &evaluation, err));
	/* So that a chain and its job have different numbers in the store. */
	struct chain_row before_it = {.number = 99, .resume_mode = (char *)"off", .resume_on = (char *)""};
	assert_ok(f, chains_insert(f->db, evaluation.seq, &before_it, err));
	scene->job = sample_job(&evaluation, 0);
	scene->job.state = before->state;
	scene->job.chain.resume_mode = (char *)(before->resume_mode != NULL ? before->resume_mode : "daemon");
	scene->job.chain.budget_limit_s = before->budget_limit_s > 0 ? before->budget_limit_s : -1;
	assert_ok(f, jobs_insert(f->db, &scene->job, err));
	struct job_row row = {0};
	assert_ok(f, jobs_get_seq(f->db, scene->job.seq, &row, err));
	row.chain.attempt = before->attempt > 0 ? before->attempt : before->state != CHAIN_QUEUED;
	row.chain.budget_from_attempt = 1;
	row.started_at = before->started_at;
	row.export_ = mem_strdup(before->export_);
	row.chain.slurm_job_id = has_slurm_job(before) ? mem_strdup("77") : NULL;
	row.ended_at = chain_state_is_end(before->state) ? NOW_S - 10 : 0;
	for (int i = 1; i <= row.chain.attempt; i++) {
		CLEANUP(mem_freep) char *name = mem_printf("%s-%d", evaluation.id, i);
		bool newest = i == row.chain.attempt;
		scene->attempt = (struct attempt_row){.chain_seq = scene->job.chain.seq,
						      .jobs = (char *)"[]",
						      .number = i,
						      .job_name = name,
						      .time_limit_s = 600,
						      .intended_at = NOW_S - 50,
						      .slurm_job_id = newest ? row.chain.slurm_job_id : (char *)"76",
						      .slurm_state = (char *)(newest ? before->slurm_state : "TIMEOUT"),
						      .nodes = (char *)(newest ? before->nodes : NULL),
						      .started_at = newest ? before->started_at : NOW_S - 500,
						      .absent_since = newest ? before->absent_since : 0,
						      .elapsed_s = newest ? -1 : 100,
						      .exit_code = -1,
						      .gpus = 8};
		assert_ok(f, attempts_insert(f->db, &scene->attempt, "#!/bin/bash\n", "true\n", err));
		assert_ok(f, attempts_update(f->db, &scene->attempt, err));
	}
	assert_ok(f, jobs_update(f->db, &row, err));
	assert_ok(f, chains_update(f->db, &row.chain, err));
	if (before->cancelled) {
		CLEANUP(mem_freep)
		char *asked = mem_printf("UPDATE jobs SET cancel_requested_at = 9, cancel_requested_by = 'anna', "
					 "reason = 'cancelled by anna' WHERE seq = %d",
					 (int)row.seq);
		sql(f, asked);
	}
	sql(f, "DELETE FROM events");
	job_row_done(&row);
	assert_ok(f, jobs_get_seq(f->db, scene->job.seq, &row, err));
	scene->chain = active_chains_put(&scene->s.chains, &row);
	assert_ok(f, advance_attach(&scene->s, scene->chain, err));
	scene->chain->tries = before->tries;
	if (before->ending_with != EVENT_ADMIT) {
		scene->chain->ending = true;
		scene->chain->end_event = before->ending_with;
		scene->chain->end_reason = mem_strdup(before->ending_why);
		scene->chain->pending = ACTION_COLLECT;
	}
	scene->watch = cluster_watch_of(&scene->s.watches, scene->chain);
	scene->watch->reach_known = true; /* nothing is to be told of the cluster */
	scene->watch->reachable = true;
	scene->watch->looked = true; /* nor is anything lost */
	scene->watch->next_ms = INT64_MAX;
}

static inline void scene_done(struct scene *scene)
{
	active_chains_done(&scene->s.chains);
	cluster_watches_done(&scene->s.watches);
	sql(scene->f, "DELETE FROM evaluations");
	clock_fake_set_ms(-1);
}

/* An answer about the scene's chain, as its worker would have made it. */
static inline struct action *answer_new(const struct scene *scene, const struct action_type *type)
{
	struct action *action = action_new(type, NULL, alpha, account, 1000, 1);
	action_add(action, scene->chain);
	action->items[0].first_send = true;
	action->sent = true;
	return action;
}

/* The store as one text. */
static inline char *dump(struct fixture *f)
{
	struct str text = {0};
	sqlite3_stmt *tables = NULL;
	assert_int_equal(sqlite3_prepare_v2(f->db->sqlite,
					    "SELECT 'SELECT * FROM ' || name FROM sqlite_master WHERE type = 'table' "
					    "AND name NOT LIKE 'sqlite_stat%' ORDER BY name",
					    -1, &tables, NULL),
			 SQLITE_OK);
	while (sqlite3_step(tables) == SQLITE_ROW) {
		sqlite3_stmt *rows = NULL;
		const char *query = (const char *)sqlite3_column_text(tables, 0);
		assert_int_equal(sqlite3_prepare_v2(f->db->sqlite, query, -1, &rows, NULL), SQLITE_OK);
		while (sqlite3_step(rows) == SQLITE_ROW) {
			str_appendf(&text, "\n%s", query);
			for (int i = 0; i < sqlite3_column_count(rows); i++) {
				const char *value = (const char *)sqlite3_column_text(rows, i);
				str_appendf(&text, "|%s", value != NULL ? value : "NULL");
			}
		}
		sqlite3_finalize(rows);
	}
	sqlite3_finalize(tables);
	return str_take(&text);
}

static inline void count_write(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	struct scene *scene = sqlite3_user_data(context);
	(void)argc;
	(void)argv;
	if (scene != NULL && ++scene->writes == scene->failing)
		sqlite3_result_error(context, "spoilt", -1);
}

static inline int deny_commit(void *arg)
{
	const struct scene *scene = arg;
	return scene->commit_fails;
}

/* From now on the scene's writes are counted, and fail as it says. */
static inline void spoil(struct scene *scene)
{
	struct fixture *f = scene->f;
	static const char *const verbs[] = {"INSERT", "UPDATE", "DELETE"};
	sqlite3_stmt *tables = NULL;
	sqlite3_create_function(f->db->sqlite, "count_write", 0, SQLITE_UTF8, scene, count_write, NULL, NULL);
	sqlite3_commit_hook(f->db->sqlite, deny_commit, scene);
	struct str triggers = {0};
	assert_int_equal(
	    sqlite3_prepare_v2(f->db->sqlite,
			       "SELECT name FROM pragma_table_list WHERE type = 'table' AND schema = 'main' "
			       "AND name NOT LIKE 'sqlite_%'",
			       -1, &tables, NULL),
	    SQLITE_OK);
	while (sqlite3_step(tables) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(tables, 0);
		for (size_t i = 0; i < COUNT(verbs); i++)
			str_appendf(&triggers,
				    "CREATE TEMP TRIGGER IF NOT EXISTS spoil_%s_%s BEFORE %s ON %s BEGIN SELECT "
				    "count_write(); END;",
				    name, verbs[i], verbs[i], name);
	}
	sqlite3_finalize(tables);
	sql(f, str_text(&triggers));
	str_done(&triggers);
}

static inline void spoil_end(struct scene *scene)
{
	sqlite3 *sqlite = scene->f->db->sqlite;
	sqlite3_create_function(sqlite, "count_write", 0, SQLITE_UTF8, NULL, count_write, NULL, NULL);
	sqlite3_commit_hook(sqlite, NULL, NULL);
}

static inline void assert_part(const char *name, const char *what, const char *text, const char *part)
{
	if (part == NULL ? text != NULL : text == NULL || strstr(text, part) == NULL)
		fail_msg("%s: %s is %s, not %s", name, what, text != NULL ? text : "none",
			 part != NULL ? part : "none");
}

static inline void assert_events(const char *name, struct fixture *f, const char *wanted)
{
	sqlite3_stmt *stmt = NULL;
	struct str kinds = {0};
	assert_int_equal(sqlite3_prepare_v2(f->db->sqlite, "SELECT kind FROM events ORDER BY seq", -1, &stmt, NULL),
			 SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW)
		str_appendf(&kinds, "%s%s", kinds.len > 0 ? " " : "", (const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	if (strcmp(str_text(&kinds), wanted) != 0)
		fail_msg("%s: events \"%s\", not \"%s\"", name, str_text(&kinds), wanted);
	str_done(&kinds);
}

static inline void assert_after(const char *name, const struct scene *scene, const struct after *after)
{
	struct fixture *f = scene->f;
	const struct active_chain *chain = scene->chain;
	CLEANUP(job_row_done) struct job_row row = {0};
	if (chain->stale)
		fail_msg("%s: the answer was not stored", name);
	if (chain->job.state != after->state || chain->pending != after->pending)
		fail_msg("%s: %s, pending %d", name, chain_state_name(chain->job.state), (int)chain->pending);
	if (chain->ending != after->ending || chain->job.collected != after->collected)
		fail_msg("%s: ending %d, collected %d", name, chain->ending, chain->job.collected);
	int64_t in_ms = chain->due_ms - clock_mono_ms();
	if (after->due_in_s > 0 ? in_ms < after->due_in_s * 1000 : in_ms > 0)
		fail_msg("%s: due in %d ms", name, (int)in_ms);
	if (chain->in_flight)
		fail_msg("%s: it is in flight for ever", name);
	assert_part(name, "the reason", chain->job.reason, after->reason);
	assert_part(name, "waiting_on", chain->job.waiting_on, after->waiting_on);
	assert_ok(f, jobs_get_seq(f->db, chain->job.seq, &row, &f->err));
	if (row.state != after->state || row.collected != after->collected)
		fail_msg("%s: stored is %s, collected %d", name, chain_state_name(row.state), row.collected);
	assert_part(name, "the stored reason", row.reason, after->reason);
	assert_part(name, "the stored waiting_on", row.waiting_on, after->waiting_on);
	assert_events(name, f, after->events);
}

/* One run, with the write that fails, or the commit. Returns how many writes were made. */
static inline int take_spoilt(const char *name, struct fixture *f, const struct before *before,
			      struct action *(*make)(struct scene *scene), int failing, bool commit_fails)
{
	struct scene scene;
	scene_init(&scene, f, before);
	struct action *action = make(&scene);
	scene.chain->in_flight = action->type != &action_observe ? action->type : NULL;
	CLEANUP(mem_freep) char *was = dump(f);
	spoil(&scene);
	scene.failing = failing;
	scene.commit_fails = commit_fails;
	answers_take(&scene.s, action);
	spoil_end(&scene);
	CLEANUP(mem_freep) char *is = dump(f);
	if (scene.failing > scene.writes)
		fail_msg("%s: it makes %d writes only", name, scene.writes);
	if (!scene.chain->stale)
		fail_msg("%s: write %d of %d failed: memory may have what the store has not", name, failing,
			 scene.writes);
	if (strcmp(was, is) != 0)
		fail_msg("%s: write %d failed: the store has changed from%s\nto%s", name, failing, was, is);
	int writes = scene.writes;
	scene_done(&scene);
	return writes;
}

/* The scheduler takes what make() makes, from `before` on; then again with each of its writes failing in turn, and with
 * the commit failing. */
static inline void assert_take(const char *name, struct fixture *f, const struct before *before,
			       struct action *(*make)(struct scene *scene), const struct after *after)
{
	struct scene scene;
	scene_init(&scene, f, before);
	struct action *action = make(&scene);
	scene.chain->in_flight = action->type != &action_observe ? action->type : NULL;
	answers_take(&scene.s, action);
	assert_after(name, &scene, after);
	scene_done(&scene);
	int writes = take_spoilt(name, f, before, make, 0, true);
	for (int failing = 1; failing <= writes; failing++)
		take_spoilt(name, f, before, make, failing, false);
}

#endif

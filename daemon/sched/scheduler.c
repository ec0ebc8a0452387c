#include "sched/scheduler.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/identities.h"
#include "db/orphans.h"
#include "sched/action.h"
#include "sched/advance.h"
#include "sched/answers.h"
#include "sched/config_hash_backlog.h"
#include "sched/expiry.h"
#include "sched/placement.h"
#include "sched/pruning.h"
#include "sched/requests.h"
#include "sched/scheduler_state.h"

#define TICK_MS 250  /* at most between rounds */
#define AGAIN_MS 100 /* after requests that could not be taken */
#define ROUND_MS 20  /* at least from one round to the next: requests in quick succession share it and its commits */

/* Who is to be looked at before anything is sent: whoever works on a cluster, whether or not the store has a job of his
 * there. A person's key that was not let in yet is looked at when it is first used. */
static void watch_all(struct scheduler *s)
{
	const struct settings *settings = s->watches.settings;
	CLEANUP(identity_list_done) struct identity_list people = {0};
	for (size_t i = 0; i < settings->cluster_count; i++)
		if (!settings->clusters[i].identity_per_user)
			cluster_watch_get(&s->watches, settings->clusters[i].name, settings->clusters[i].username);
	struct nel_err err;
	if (identities_list(s->db, NULL, &people, &err) != 0)
		log_error("people's identities cannot be read", LOG_S("error", err.msg));
	for (size_t i = 0; i < people.count; i++) {
		char name[IDENTITY_NAME_SIZE];
		identity_name(people.items[i].user, people.items[i].username, name);
		if (people.items[i].state == IDENTITY_OK)
			cluster_watch_get(&s->watches, people.items[i].cluster, name);
	}
}

static int load_all(struct scheduler *s, struct nel_err *err)
{
	CLEANUP(job_list_done) struct job_list list = {0};
	if (looks_newest_write(s->db, &s->newest_write_s, &s->newest_job_seq, err) != 0 ||
	    jobs_list_active(s->db, &list, err) != 0)
		return -1;
	s->taken_job_seq = s->newest_job_seq;
	for (size_t i = 0; i < list.count; i++) {
		struct active_chain *chain = active_chains_put(&s->chains, &list.items[i]);
		if (advance_attach(s, chain, err) != 0 || placement_attach(s, chain, err) != 0)
			return -1;
		cluster_watch_of(&s->watches, chain); /* what is observed needs a watch, though nothing be sent */
	}
	watch_all(s);
	log_info("chains loaded", LOG_N("count", (int64_t)HASH_COUNT(s->chains.by_seq)));
	return 0;
}

/* Chains whose transaction failed are read again: memory follows the store. */
static void reload_stale(struct scheduler *s)
{
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	HASH_ITER(hh, s->chains.by_seq, chain, next) {
		chain->touched = false;
		if (!chain->stale)
			continue;
		struct nel_err err;
		struct job_row row = {0};
		if (jobs_get_seq(s->db, chain->job.seq, &row, &err) != 0) {
			log_error("a chain cannot be read", LOG_S("job", chain->job.id), LOG_S("error", err.msg));
			if (err.kind == NEL_NOTFOUND) /* its adoption was not stored */
				active_chains_remove(&s->chains, chain);
			continue;
		}
		active_chains_put(&s->chains, &row);
		if (advance_attach(s, chain, &err) != 0) {
			chain->stale = true;
			log_error("a chain cannot be read", LOG_S("job", chain->job.id), LOG_S("error", err.msg));
		}
	}
}

static void forget_finished(struct scheduler *s)
{
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	HASH_ITER(hh, s->chains.by_seq, chain, next) {
		if (chain_state_is_end(chain->job.state) && chain->job.collected && !chain->in_flight && !chain->stale)
			active_chains_remove(&s->chains, chain);
	}
}

/* Requests of other threads: logins that may work now, settings that were read anew. */
static void look_around(struct scheduler *s)
{
	if (atomic_exchange(&s->nudged, false))
		cluster_watches_take_nudges(&s->watches, &s->chains);
	const struct settings *settings = atomic_load(&s->settings);
	if (settings != s->watches.settings) {
		cluster_watches_adopt(&s->watches, settings);
		watch_all(s);
	}
}

/* The table of actions, in the order in which what is due is handed out. Placements hand out their own. */
static const struct action_type *const action_types[] = {&action_look,     &action_submit,  &action_cancel,
							 &action_withdraw, &action_collect, &action_observe};
#define ACTION_TYPES (sizeof action_types / sizeof action_types[0])

/* Where jobs have left Slurm, there may be room for those that it refused for a limit of its own. */
static void retry_limited(struct scheduler *s)
{
	for (size_t i = 0; i < s->watches.count; i++) {
		struct cluster_watch *watch = s->watches.items[i];
		if (watch->freed > 0 && s->limits_met)
			s->limits_met = fair_share_retry(s->fair_share, s->watches.settings, &s->chains,
							 watch->cluster->name, watch->identity, watch->freed);
		watch->freed = 0;
	}
}

static void hand_out(struct scheduler *s)
{
	struct chain_list due[ACTION_TYPES] = {0};
	int64_t now_s = clock_now_s();
	int64_t mono_ms = clock_mono_ms();
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	HASH_ITER(hh, s->chains.by_seq, chain, next) {
		if (chain->in_flight || chain->stale || chain->due_ms > mono_ms)
			continue;
		for (size_t i = 0; i < ACTION_TYPES; i++)
			if (action_types[i]->is_due != NULL && action_types[i]->is_due(chain, now_s))
				chain_list_add(&due[i], chain);
	}
	for (size_t i = 0; i < ACTION_TYPES; i++) {
		action_types[i]->prepare(s, &due[i]);
		free(due[i].items);
	}
}

static void tick(struct scheduler *s)
{
	look_around(s);
	reload_stale(s);
	if (atomic_exchange(&s->wanted, false)) {
		struct nel_err err;
		if (requests_take(s, &err) != 0) {
			log_error("marked jobs cannot be taken", LOG_S("error", err.msg));
			active_chains_mark_stale(&s->chains);
			atomic_store(&s->wanted, true);
		}
		fault_point("requests-taken");
	}
	retry_limited(s);
	placement_step(s);
	hand_out(s);
	forget_finished(s);
	pruning_step(s);
	expiry_step(s);
	config_hash_backlog_step(s);
	atomic_store(&s->chain_count, (int64_t)HASH_COUNT(s->chains.by_seq));
}

/* Takes answers until none waits and the next round may begin. begun_ms: when this one began. */
static void take_answers(struct scheduler *s, int64_t begun_ms)
{
	int64_t wait_ms = atomic_load(&s->wanted) ? AGAIN_MS : TICK_MS;
	struct action *action = queue_pop(s->inbox, wait_ms);
	while (!atomic_load(&s->stopping)) {
		if (action != NULL)
			answers_take(s, action);
		wait_ms = begun_ms + ROUND_MS - clock_mono_ms();
		bool is_due = wait_ms <= 0;
		action = queue_pop(s->inbox, is_due ? 0 : wait_ms);
		if (action == NULL && is_due)
			return;
	}
	action_free(action);
}

static void *scheduler_main(void *arg)
{
	struct scheduler *s = arg;
	while (!atomic_load(&s->stopping)) {
		int64_t begun_ms = clock_mono_ms();
		atomic_store(&s->last_tick_ms, begun_ms);
		tick(s);
		take_answers(s, begun_ms);
	}
	return NULL;
}

int scheduler_start(const struct settings *settings, struct lanes *lanes, struct look_board *look_board,
		    const struct secret_key *master_key, struct scheduler **ret_scheduler, struct nel_err *err)
{
	struct scheduler *s = mem_calloc(1, sizeof *s);
	atomic_store(&s->settings, settings);
	cluster_watches_init(&s->watches, settings);
	s->lanes = lanes;
	s->look_board = look_board;
	s->master_key = master_key;
	s->fair_share = fair_share_new();
	s->started_s = clock_now_s();
	atomic_store(&s->wanted, true); /* requests stored while the daemon was down */
	atomic_store(&s->last_tick_ms, clock_mono_ms());
	/* Room for an answer to everything that the lanes can hold, so that none is ever dropped but at the end. */
	s->inbox = queue_new(1024 + LANES_QUEUED_MAX + LANES_THREADS_MAX);
	int sys = 0;
	if (db_open(settings->database, &s->db, err) != 0 || load_all(s, err) != 0 ||
	    (sys = pthread_create(&s->thread, NULL, scheduler_main, s)) != 0) {
		if (sys != 0)
			err_sys(err, NEL_INTERNAL, sys, "cannot start the scheduler's thread");
		scheduler_free(s);
		return -1;
	}
	pthread_setname_np(s->thread, "scheduler"); /* as ps(1) and tests/bench/scale see it */
	*ret_scheduler = s;
	return 0;
}

void scheduler_wake(struct scheduler *s)
{
	/* A wake that finds the inbox full is not lost: the loop sees `wanted` when it next goes round. */
	if (!atomic_exchange(&s->wanted, true))
		queue_push(s->inbox, NULL);
}

void scheduler_stop(struct scheduler *s)
{
	atomic_store(&s->stopping, true);
	queue_push(s->inbox, NULL);
	pthread_join(s->thread, NULL);
	queue_close(s->inbox);
}

void scheduler_free(struct scheduler *s)
{
	if (s == NULL)
		return;
	if (s->inbox != NULL) {
		queue_close(s->inbox);
		while (queue_length(s->inbox) > 0)
			action_free(queue_pop(s->inbox, 0));
	}
	placements_done(s);
	active_chains_done(&s->chains);
	fair_share_free(s->fair_share);
	db_close(s->db);
	queue_free(s->inbox);
	cluster_watches_done(&s->watches);
	free(s);
}

void scheduler_reload(struct scheduler *s, const struct settings *settings)
{
	atomic_store(&s->settings, settings);
	queue_push(s->inbox, NULL);
}

bool scheduler_queue_position(struct scheduler *s, int64_t chain_seq, struct queue_position *ret_position)
{
	return fair_share_position(s->fair_share, chain_seq, ret_position);
}

int64_t scheduler_queue_version(struct scheduler *s)
{
	return fair_share_version(s->fair_share);
}

void scheduler_load(struct scheduler *s, struct scheduler_load *ret_load)
{
	*ret_load = (struct scheduler_load){.active = atomic_load(&s->chain_count), .queued = queue_length(s->inbox)};
}

int64_t scheduler_silence_ms(const struct scheduler *s)
{
	return clock_mono_ms() - atomic_load(&s->last_tick_ms);
}

void scheduler_nudge(struct scheduler *s, const char *cluster, const char *identity)
{
	if (cluster_watches_nudge(&s->watches, cluster, identity) && !atomic_exchange(&s->nudged, true))
		queue_push(s->inbox, NULL);
}

void scheduler_observation(struct scheduler *s, const char *cluster, const char *identity,
			   struct observation_stats *ret_stats)
{
	cluster_watches_stats(&s->watches, cluster, identity, ret_stats);
}

/* Look: before anything is sent to a cluster, it is looked for what is there and the store lacks, because the store was
 * restored from a time before. First one remote command lists Slurm jobs and run directories, then what is lost is read
 * back, some run directories at a time, and adopted (adopt.h). */
#include "sched/action.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "chain/budget.h"
#include "db/output_dirs.h"
#include "sched/adopt.h"
#include "sched/origin.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define LOOK_TIMEOUT_MIN_S 60
#define LOOK_SLACK_S 3600            /* between the clocks of daemon and cluster, and of writes to the store */
#define LOOK_BACK_MAX_S (30 * 86400) /* as far as sacct is asked */
#define LOOK_KEEP_S (30 * 86400)     /* what was adopted stays listed */
#define BUSY_LOOK_MS 2000
#define BUSY_MAX_MS 330000 /* longer than remote_submit.sh lets sbatch take */

/* What the store may lack of this cluster is from `since` on. It is noted, so that a start that does not get as far
 * does not make the next one look at less. */
static int64_t since_of(struct scheduler *s, struct cluster_watch *watch)
{
	struct nel_err err;
	if (watch->look_since == 0 &&
	    looks_begin(s->db, watch->name, watch->identity, s->newest_write_s, &watch->look_since, &err) != 0) {
		log_error("a look cannot be noted", LOG_S("cluster", watch->name), LOG_S("error", err.msg));
		return 0;
	}
	int64_t since_s = watch->look_since - LOOK_SLACK_S;
	int64_t oldest_s = clock_now_s() - LOOK_BACK_MAX_S;
	return since_s > oldest_s ? since_s : oldest_s;
}

/* How many run directories are read back next: fewer each time that it failed, for it may be that they are too large,
 * or too slow, together. */
static size_t page_size(const struct cluster_watch *watch)
{
	return watch->look_failures < 5 ? (size_t)ORIGINS_MAX >> watch->look_failures : 1;
}

static void look_at(struct scheduler *s, struct cluster_watch *watch)
{
	struct nel_err err;
	int64_t timeout_s = watch->cluster->command_timeout_s;
	int64_t since_s = since_of(s, watch);
	watch->look_ms = clock_mono_ms() + 1000;
	if (watch->look_since == 0)
		return;
	CLEANUP(action_freep)
	struct action *action = action_new(&action_look, s->inbox, watch->cluster->name, watch->identity,
					   (timeout_s > LOOK_TIMEOUT_MIN_S ? timeout_s : LOOK_TIMEOUT_MIN_S) * 1000, 0);
	action->since_s = since_s;
	action->master_key = s->master_key;
	action->ask_accounting = !watch->accounting_known;
	action->use_sacct = watch->accounting;
	lost_evaluations_copy(&watch->lost, page_size(watch), &action->lost);
	if (action->lost.count == 0 && output_dirs_list(s->db, watch->name, &action->used_output_dirs, &err) != 0) {
		log_error("the output directories of a cluster cannot be read", LOG_S("error", err.msg));
		return;
	}
	watch->looking = action_push(action, s->lanes);
	if (watch->looking)
		action = NULL;
}

static void prepare(struct scheduler *s, const struct chain_list *due)
{
	(void)due;
	int64_t now_ms = clock_mono_ms();
	for (size_t i = 0; i < s->watches.count; i++) {
		struct cluster_watch *watch = s->watches.items[i];
		if (!watch->looked && !watch->looking && watch->look_ms <= now_ms && watch->refused_ms <= now_ms)
			look_at(s, watch);
	}
}

/* ---- on a worker ---- */

static void give_up(struct lost_evaluation *lost, enum orphan_outcome outcome, const char *why)
{
	if (lost->why == NULL)
		lost->why = mem_strdup(why);
	lost->outcome = outcome;
}

static void read_back(struct lost_evaluation *lost, const struct secret_key *key)
{
	struct nel_err err;
	const struct origin *origin = &lost->origin;
	lost_evaluation_merge(lost);
	switch (origin->state) {
	case ORIGIN_BUSY: return;
	case ORIGIN_GONE:
		give_up(lost, ORPHAN_GONE, "its run directory is not there, so that it cannot be read back");
		return;
	case ORIGIN_OTHER:
		give_up(lost, ORPHAN_NO_ORIGIN, "its run directory is not as a submission of this account's made it");
		return;
	case ORIGIN_OK: break;
	}
	if (origin->sealed == NULL && lost->attempt_count == 0)
		give_up(lost, ORPHAN_NO_ORIGIN,
			"its submission was cut off before its files were there: nothing of it reached Slurm");
	else if (origin->sealed == NULL)
		give_up(lost, ORPHAN_NO_ORIGIN,
			"its run directory has no .origin: it was submitted by a version that wrote none");
	else if (origin_open(key, lost->id, origin->sealed, origin->sealed_size, &lost->document, &err) != 0)
		give_up(lost, ORPHAN_OTHER_SERVICE,
			"its .origin is not sealed with this master key: another nel-slurmd works as this account, or "
			"the key was changed since");
}

/* What Slurm says of the attempts; not of those that are only listed. */
static int observe_attempts(struct action *action, struct ssh_pool *pool, struct nel_err *err)
{
	size_t count = 0;
	struct lost_evaluations *lost = &action->lost;
	for (size_t i = 0; i < lost->count; i++)
		count += lost->items[i].attempt_count;
	struct observe_order *orders = mem_calloc(count, sizeof *orders);
	struct lost_attempt **found = mem_calloc(count, sizeof *found);
	char **owned = mem_calloc(2 * count, sizeof *owned);
	size_t used = 0;
	for (size_t i = 0; i < lost->count; i++) {
		for (size_t a = 0; a < lost->items[i].attempt_count; a++) {
			struct lost_attempt *attempt = &lost->items[i].attempts[a];
			CLEANUP(mem_freep) char *stem = lost_evaluation_stem(&lost->items[i], attempt->index);
			attempt->seen.elapsed_s = -1;
			attempt->seen.stamp_elapsed_s = -1;
			attempt->seen.exit_code = -1;
			attempt->seen.stamp_exit = -1;
			bool listed = lost->items[i].why != NULL && !lost->items[i].known;
			if (attempt->id[0] == '\0' || stem == NULL || listed)
				continue;
			owned[2 * used] = mem_printf("%s.%d", stem, attempt->number);
			owned[2 * used + 1] = lost_evaluation_folder(&lost->items[i], attempt->index);
			orders[used] = (struct observe_order){.slurm_job_id = attempt->id,
							      .job_name = owned[2 * used],
							      .job_dir = owned[2 * used + 1],
							      .submitted_at = attempt->submitted,
							      .attempt = attempt->number};
			found[used++] = attempt;
		}
	}
	struct observe_reply reply = {0};
	int rc = used == 0 ? 0
			   : slurm_observe(pool, orders, used, (struct observe_wants){.sacct = action->use_sacct},
					   action->timeout_ms, NULL, &reply, err);
	if (rc == 0 && reply.slurm_failed)
		rc = err_set(err, NEL_REMOTE, "%s", reply.message);
	for (size_t i = 0; rc == 0 && i < reply.count; i++) {
		found[i]->seen = reply.items[i];
		reply.items[i] = (struct observation){0}; /* with what it owns */
	}
	observe_reply_done(&reply);
	for (size_t i = 0; i < 2 * used; i++)
		free(owned[i]);
	free(owned);
	free(found);
	free(orders);
	return rc;
}

static int run(struct action *action, struct ssh_pool *pool, struct nel_err *err)
{
	if (action->ask_accounting && slurm_has_accounting(pool, action->timeout_ms, &action->use_sacct, err) != 0)
		return -1;
	if (action->lost.count == 0) {
		const struct look_order order = {.output_dirs = (const char *const *)action->used_output_dirs,
						 .since_s = action->since_s,
						 .now_s = clock_now_s(),
						 .use_sacct = action->use_sacct};
		return slurm_look(pool, &order, action->timeout_ms, &action->looked, err);
	}
	const char *rundirs[ORIGINS_MAX];
	CLEANUP(origins_done) struct origins origins = {0};
	for (size_t i = 0; i < action->lost.count; i++)
		rundirs[i] = action->lost.items[i].rundir;
	if (slurm_origins(pool, rundirs, action->lost.count, action->timeout_ms, &origins, err) != 0)
		return -1;
	for (size_t i = 0; i < action->lost.count; i++) {
		action->lost.items[i].origin = origins.items[i];
		origins.items[i] = (struct origin){0};
		read_back(&action->lost.items[i], action->master_key);
	}
	return observe_attempts(action, pool, err);
}

/* ---- on the scheduler ---- */

static void release(struct scheduler *s, const struct action *action)
{
	struct cluster_watch *watch = cluster_watch_get(&s->watches, action->cluster, action->identity);
	if (watch != NULL)
		watch->looking = false;
	action_release_chains(s, action);
}

/* The store could not take it: all is looked at again. */
static void ask_again(struct scheduler *s, const struct action *action)
{
	struct cluster_watch *watch = cluster_watch_get(&s->watches, action->cluster, action->identity);
	if (watch == NULL)
		return;
	lost_evaluations_done(&watch->lost);
	watch->looked = false;
	watch->look_found = 0;
	watch->look_ms = clock_mono_ms() + 1000;
}

static void failed(struct cluster_watch *watch, const struct action *action)
{
	char wait[ACTION_WAIT_SIZE];
	action_describe_wait(action, wait);
	if (action_was_refused(action))
		cluster_watch_refused(watch, wait);
	int64_t most_s = watch->look_wanted ? 120 : 600;
	watch->look_failures++;
	watch->look_ms =
	    clock_mono_ms() +
	    backoff_s(watch->look_failures, watch->look_wanted ? 2 : 10, most_s, randombytes_random()) * 1000;
	free(watch->look_why);
	watch->look_why = mem_strdup(wait);
}

/* Nothing is lost any more: what waits may go. */
static int finish(struct scheduler *s, struct cluster_watch *watch, struct nel_err *err)
{
	watch->looked = true;
	watch->look_failures = 0;
	free(watch->look_why);
	watch->look_why = NULL;
	log_info("cluster looked at for what the store lacks", LOG_S("cluster", watch->name),
		 LOG_S("identity", watch->identity), LOG_N("found", watch->look_found));
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	HASH_ITER(hh, s->chains.by_seq, chain, next) {
		if (chain->watch == watch)
			chain->due_ms = 0;
	}
	/* One that lacked something stays due: the next start looks from as early on. */
	return watch->look_partial ? 0 : looks_finish(s->db, watch->name, watch->identity, clock_now_s(), err);
}

/* What is there: those of which the store knows all are left out. */
static int take_list(struct scheduler *s, struct cluster_watch *watch, const struct action *action, struct nel_err *err)
{
	struct lost_evaluations *lost = &watch->lost;
	watch->look_partial = action->looked.partial;
	if (watch->look_partial)
		log_warning("a look at a cluster lacks something: the next start looks again",
			    LOG_S("cluster", watch->name), LOG_S("error", action->looked.message));
	lost_evaluations_done(lost);
	lost_evaluations_group(&action->looked, lost);
	size_t kept = 0;
	for (size_t i = 0; i < lost->count; i++) {
		bool is_lost = false;
		struct lost_evaluation one = lost->items[i];
		if (adopt_is_lost(s, &one, &is_lost, err) != 0)
			return -1;
		lost->items[i] = lost->items[kept];
		lost->items[kept] = one;
		kept += is_lost;
	}
	while (lost->count > kept)
		lost_evaluations_drop(lost, lost->count - 1);
	watch->look_found = (int64_t)kept;
	return orphans_clear(s->db, watch->name, watch->identity, clock_now_s() - LOOK_KEEP_S, err);
}

/* Of those that were read back, the ones where a submission is at work wait for it, behind the others. */
static int take_page(struct scheduler *s, struct cluster_watch *watch, const struct action *action, struct nel_err *err)
{
	struct lost_evaluations *lost = &watch->lost;
	int64_t now_ms = clock_mono_ms();
	for (size_t i = 0; i < action->lost.count; i++) {
		struct lost_evaluation *one = &action->lost.items[i];
		size_t place = 0;
		while (place < lost->count && strcmp(lost->items[place].id, one->id) != 0)
			place++;
		if (place == lost->count)
			continue;
		int64_t busy_since_ms = lost->items[place].busy_since_ms;
		if (one->origin.state == ORIGIN_BUSY && (busy_since_ms == 0 || now_ms - busy_since_ms < BUSY_MAX_MS)) {
			lost->items[place].busy_since_ms = busy_since_ms != 0 ? busy_since_ms : now_ms;
			lost_evaluations_put_last(lost, place);
			continue;
		}
		if (one->origin.state == ORIGIN_BUSY)
			give_up(
			    one, ORPHAN_UNUSABLE,
			    "a submission is still at work in its run directory, or its file system does not answer");
		if (adopt_evaluation(s, watch, one, err) != 0)
			return -1;
		lost_evaluations_drop(lost, place);
	}
	if (lost->count > 0 && lost->items[0].busy_since_ms != 0)
		watch->look_ms = now_ms + BUSY_LOOK_MS; /* all that are left */
	return 0;
}

static int take(struct scheduler *s, const struct action *action, struct nel_err *err)
{
	struct cluster_watch *watch = cluster_watch_get(&s->watches, action->cluster, action->identity);
	if (watch == NULL)
		return 0;
	if (action->failed) {
		failed(watch, action);
		return 0;
	}
	watch->accounting_known = true;
	watch->accounting = action->use_sacct;
	watch->look_ms = 0;
	if (action->lost.count == 0 ? take_list(s, watch, action, err) != 0 : take_page(s, watch, action, err) != 0)
		return -1;
	return watch->lost.count == 0 ? finish(s, watch, err) : 0;
}

const struct action_type action_look = {
    .name = "look",
    .prepare = prepare,
    .run = run,
    .release = release,
    .take = take,
    .ask_again = ask_again,
    .taken_point = "look-taken",
    .stored_point = "look-stored",
};

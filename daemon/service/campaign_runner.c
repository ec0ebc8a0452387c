#include "service/campaign_runner.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/campaign_watches.h"
#include "db/events.h"
#include "service/campaign_events.h"
#include "service/campaign_looks.h"
#include "service/campaign_regressions.h"
#include "service/campaign_submit.h"
#include "service/identity_lookup.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LOOK_MS (10 * 1000) /* what failed is tried again */
#define PAUSE_MS 500        /* between two rounds, however many evaluations end */

struct campaign_runner {
	struct service *service;
	struct db *db;
	int notifier; /* readable after commits with events: an evaluation may have ended */
	int kick;     /* readable when a campaign is to be looked at, or the thread is to stop */
	struct campaign_looks *looks;
	atomic_bool stopping;
	bool running;
	pthread_t thread;
};

/* Who the maker is now: a role may have been taken away meanwhile. */
static int find_maker(struct campaign_runner *r, const struct campaign_row *campaign, struct actor *ret_actor,
		      struct nel_err *err)
{
	struct actor actor = {.role = ROLE_ADMIN, .sign_in = SIGN_IN_ACCOUNT};
	if (!campaign->account)
		return service_authenticate_name(r->db, campaign->user, ret_actor, err);
	snprintf(actor.name, sizeof actor.name, "%s", campaign->user);
	*ret_actor = actor;
	return 0;
}

static int refuse(struct campaign_runner *r, const struct campaign_row *campaign, const struct campaign_value *value,
		  const char *why, struct nel_err *err)
{
	log_info("campaign's value refused", LOG_S("campaign", campaign->id), LOG_N("position", value->position),
		 LOG_S("error", why));
	CLEANUP(db_rollbackp) struct db *tx = r->db;
	if (db_begin(r->db, err) != 0 || campaign_values_refused(r->db, campaign->seq, value->position, why, err) != 0)
		return -1;
	return db_commit(r->db, err);
}

static int change_state(struct campaign_runner *r, const struct campaign_row *campaign, enum campaign_state to,
			const char *why, struct nel_err *err)
{
	int64_t now_s = clock_now_s();
	CLEANUP(db_rollbackp) struct db *tx = r->db;
	if (db_begin(r->db, err) != 0 ||
	    campaigns_set_state(r->db, campaign->seq, CAMPAIGN_ACTIVE, to, why, now_s, err) != 0 ||
	    (to == CAMPAIGN_ENDED && campaign_log_ended(r->db, campaign, to, now_s, err) != 0) ||
	    db_commit(r->db, err) != 0)
		return -1;
	log_info("campaign's state", LOG_S("campaign", campaign->id), LOG_S("to", campaign_state_name(to)));
	return 0;
}

/* It did when the campaign was made; when it does no longer, the fault is no value's: a cluster that is drained, a
 * secret that is gone. */
static bool first_value_plans(struct campaign_runner *r, const struct campaign_row *campaign, const struct actor *actor)
{
	CLEANUP(campaign_value_list_done) struct campaign_value_list values = {0};
	CLEANUP(submit_reply_to_client_done) struct submit_reply_to_client reply = {0};
	struct nel_err err = {0};
	return campaign_values_list(r->db, campaign->seq, &values, &err) == 0 && values.count > 0 &&
	       campaign_check_value(r->service, r->db, campaign, actor, values.items[0].value, &reply, &err) == 0;
}

/* One step of a campaign; one that watches a directory does not end by itself. *ret_more: another may follow at once.
 */
static int step(struct campaign_runner *r, struct campaign_row *campaign, bool watches, bool *ret_more,
		struct nel_err *err)
{
	CLEANUP(campaign_value_done) struct campaign_value value = {0};
	CLEANUP(submit_reply_to_client_done) struct submit_reply_to_client reply = {0};
	struct actor actor;
	int64_t waiting = 0;
	int64_t live = 0;
	bool found = false;
	*ret_more = false;
	if (campaign_values_count(r->db, campaign->seq, &waiting, &live, err) != 0)
		return -1;
	/* Behind the count, so that what ends meanwhile is compared before the campaign ends. */
	campaign_find_regressions(r->db, campaign, &r->stopping);
	if (waiting == 0 && live == 0 && !watches)
		return change_state(r, campaign, CAMPAIGN_ENDED, NULL, err);
	/* What was converted lives already. */
	if (campaign->convert != NULL && campaign_values_converted(r->db, campaign->seq, &value, &found, err) != 0)
		return -1;
	if (!found && live >= campaign->live)
		return 0;
	bool convert = !found && campaign->convert != NULL;
	if (!found && campaign_values_next(r->db, campaign->seq, campaign->order, &value, &found, err) != 0)
		return -1;
	if (!found)
		return 0;
	if (campaign->config == NULL && campaigns_get_texts(r->db, campaign, err) != 0)
		return -1;
	if (find_maker(r, campaign, &actor, err) != 0 ||
	    (convert ? campaign_submit_conversion : campaign_submit_value)(r->service, r->db, campaign, &actor, &value,
									   &reply, err) != 0) {
		struct nel_err why = *err;
		if (why.kind == NEL_DENIED || (why.kind == NEL_INVALID && !first_value_plans(r, campaign, &actor)))
			return change_state(r, campaign, CAMPAIGN_PAUSED, why.msg, err);
		if (why.kind != NEL_INVALID)
			return -1;
		*ret_more = true;
		return refuse(r, campaign, &value, why.msg, err);
	}
	*ret_more = true;
	return 0;
}

static void go_on(struct campaign_runner *r, struct campaign_row *campaign, bool watches)
{
	bool more = true;
	while (more && !atomic_load(&r->stopping)) {
		struct nel_err err = {0};
		if (step(r, campaign, watches, &more, &err) == 0)
			continue;
		more = false;
		if (err.kind != NEL_CONFLICT) /* somebody has paused or cancelled it meanwhile */
			log_warning("a campaign cannot go on now", LOG_S("campaign", campaign->id),
				    LOG_S("error", err.msg));
	}
}

/* Has its directory looked at when that is due. */
static int see_watch(struct campaign_runner *r, const struct campaign_row *campaign, struct campaign_watch *watch,
		     struct nel_err *err)
{
	const struct settings *settings = r->service->settings;
	const struct settings_cluster *cluster = settings_cluster_by_name(settings, watch->cluster);
	char identity[IDENTITY_NAME_SIZE];
	struct actor actor;
	struct nel_err why = {0};
	if (find_maker(r, campaign, &actor, &why) != 0) {
		*err = why;
		return why.kind == NEL_DENIED ? change_state(r, campaign, CAMPAIGN_PAUSED, why.msg, err) : -1;
	}
	if (cluster == NULL)
		err_set(&why, NEL_NOTFOUND, "there is no cluster %s in the service's settings any more",
			watch->cluster);
	else
		service_identity_name(r->db, &actor, cluster, identity, &why);
	if (why.kind != NEL_OK)
		return campaign_watches_note(r->db, campaign->seq, 0, why.msg, err);
	campaign_looks_add(r->looks, campaign, watch, identity);
	return 0;
}

/* True when the campaign watches a directory. */
static bool watches(struct campaign_runner *r, const struct campaign_row *campaign)
{
	CLEANUP(campaign_watch_done) struct campaign_watch watch = {0};
	struct nel_err err = {0};
	if (campaign_watches_get(r->db, campaign->seq, &watch, &err) == 0 && watch.cluster == NULL)
		return false;
	if (watch.cluster == NULL || see_watch(r, campaign, &watch, &err) != 0)
		log_warning("a campaign's directory cannot be looked at now", LOG_S("campaign", campaign->id),
			    LOG_S("error", err.msg));
	return true;
}

/* How many milliseconds until the next one is due, whatever happens. */
static int run_round(struct campaign_runner *r)
{
	int64_t after = 0;
	bool found = true;
	campaign_looks_take(r->looks, r->db);
	campaign_looks_begin(r->looks);
	while (found && !atomic_load(&r->stopping)) {
		struct nel_err err = {0};
		CLEANUP(campaign_row_done) struct campaign_row campaign = {0};
		if (campaigns_next_open(r->db, after, &campaign, &found, &err) != 0) {
			log_warning("campaigns cannot be read", LOG_S("error", err.msg));
			return LOOK_MS;
		}
		if (found) {
			after = campaign.seq;
			if (campaign.state == CAMPAIGN_ACTIVE)
				go_on(r, &campaign, watches(r, &campaign));
			else
				campaign_find_regressions(r->db, &campaign, &r->stopping);
		}
	}
	int64_t due_ms = atomic_load(&r->stopping) ? LOOK_MS : campaign_looks_send(r->looks, r->db);
	return due_ms < LOOK_MS ? (int)due_ms : LOOK_MS;
}

static void *runner_main(void *arg)
{
	struct campaign_runner *r = arg;
	while (!atomic_load(&r->stopping)) {
		eventfd_t ignored;
		eventfd_read(r->kick, &ignored);
		notifier_drain(r->notifier);
		int wait_ms = run_round(r);
		struct pollfd fds[] = {{.fd = r->kick, .events = POLLIN}, {.fd = r->notifier, .events = POLLIN}};
		if (!atomic_load(&r->stopping) && poll(fds, 1, PAUSE_MS) == 0 && wait_ms > PAUSE_MS)
			poll(fds, 2, wait_ms - PAUSE_MS);
	}
	return NULL;
}

void campaign_runner_free(struct campaign_runner *r)
{
	if (r == NULL)
		return;
	campaign_looks_free(r->looks);
	notifier_leave(events_notifier(), r->notifier);
	if (r->kick >= 0)
		close(r->kick);
	db_close(r->db);
	free(r);
}

int campaign_runner_start(struct service *service, struct campaign_runner **ret_runner, struct nel_err *err)
{
	struct campaign_runner *r = mem_calloc(1, sizeof *r);
	const struct settings *settings = service->settings;
	r->service = service;
	r->notifier = -1;
	r->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int sys = r->kick < 0 ? errno : 0;
	r->looks = campaign_looks_new(service, r->kick);
	if (sys != 0 || db_open(settings->database, &r->db, err) != 0 ||
	    notifier_listen(events_notifier(), &r->notifier, err) != 0 ||
	    (sys = pthread_create(&r->thread, NULL, runner_main, r)) != 0) {
		campaign_runner_free(r);
		return sys != 0 ? err_sys(err, NEL_INTERNAL, sys, "the runner of campaigns") : -1;
	}
	r->running = true;
	pthread_setname_np(r->thread, "campaigns");
	*ret_runner = r;
	return 0;
}

void campaign_runner_wake(struct campaign_runner *r)
{
	if (r != NULL)
		eventfd_write(r->kick, 1);
}

void campaign_runner_stop(struct campaign_runner *r)
{
	if (r == NULL || !r->running)
		return;
	campaign_looks_close(r->looks);
	atomic_store(&r->stopping, true);
	eventfd_write(r->kick, 1);
	pthread_join(r->thread, NULL);
	r->running = false;
}

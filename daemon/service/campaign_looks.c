#include "service/campaign_looks.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/queue.h"
#include "remote/look_board.h"
#include "remote/workers.h"
#include "service/campaign_finds.h"

#include <sodium.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>

#define ANSWERS_MAX 4096
#define BUSY_MS (10 * 1000)                 /* until a full lane is tried again */
#define FAILED_INTERVAL_MS (10 * 60 * 1000) /* the longest between looks at a cluster that does not answer */
#define QUIET_INTERVALS 4                   /* the longest while nothing changes, in the cluster's poll intervals */
#define JITTER_PERCENT 20
#define SLOW_MS (10 * 1000) /* a look that takes longer might not end in the time that an observation has for it */
#define LATE_MS 3000 /* an observation comes within two poll intervals of the last one, and this; or there is none */

/* A campaign within a look, or that is to be in one. */
struct member {
	char id[IDS_EVALUATION_SIZE];
	int64_t seq;
	struct campaign_watch watch;
	char **known; /* names of its values */
	size_t known_count;
};

/* An identity on a cluster. */
struct place {
	char *cluster;
	char *identity;
	int64_t next_ms;        /* monotonic: the next look is not before */
	int64_t interval_ms;    /* 0: none yet */
	int failures;           /* looks in a row that failed */
	size_t flying;          /* looks that have no answer yet */
	bool changed;           /* one of those that have one has told something new */
	bool failed;            /* or has failed */
	bool slow;              /* or took more time than an observation has for it */
	bool alone;             /* so did the looks before: the next ones are execs of their own */
	bool along;             /* the last one went along with an observation */
	struct member *members; /* of this round */
	size_t count;
	struct place *next;
};

struct campaign_looks {
	struct service *service;
	int kick;
	struct queue *answers; /* of struct look */
	struct place *places;
};

/* A look on its way: as work of its own, or on the board. */
struct look {
	struct lane_work work; /* first */
	struct waiting_look waiting;
	struct queue *answers;
	int kick;
	char *cluster;
	char *identity;
	int64_t timeout_ms;
	int64_t sent_s; /* when it began */
	struct member members[WATCHES_MAX];
	struct watch_look asked; /* of the members, as many */
	bool along;              /* it went along with an observation */
	bool slow;               /* it did not, and took long */
	bool failed;
	struct nel_err err; /* why */
};

static void member_done(struct member *m)
{
	for (size_t i = 0; i < m->known_count; i++)
		free(m->known[i]);
	free(m->known);
	campaign_watch_done(&m->watch);
	*m = (struct member){0};
}

static void look_free(struct look *look)
{
	for (size_t i = 0; i < look->asked.count; i++) {
		member_done(&look->members[i]);
		watch_reply_done(&look->asked.replies[i]);
	}
	free(look->cluster);
	free(look->identity);
	free(look);
}

static void place_clear(struct place *place)
{
	for (size_t i = 0; i < place->count; i++)
		member_done(&place->members[i]);
	free(place->members);
	place->members = NULL;
	place->count = 0;
}

static void place_free(struct place *place)
{
	place_clear(place);
	free(place->cluster);
	free(place->identity);
	free(place);
}

static struct look *look_of(struct waiting_look *waiting)
{
	return (struct look *)((char *)waiting - offsetof(struct look, waiting));
}

struct campaign_looks *campaign_looks_new(struct service *service, int kick)
{
	struct campaign_looks *looks = mem_calloc(1, sizeof *looks);
	*looks = (struct campaign_looks){.service = service, .kick = kick, .answers = queue_new(ANSWERS_MAX)};
	return looks;
}

void campaign_looks_close(struct campaign_looks *looks)
{
	if (looks != NULL)
		queue_close(looks->answers);
}

void campaign_looks_free(struct campaign_looks *looks)
{
	if (looks == NULL)
		return;
	queue_close(looks->answers);
	for (struct look *look = NULL; (look = queue_pop(looks->answers, 0)) != NULL;)
		look_free(look);
	queue_free(looks->answers);
	for (struct waiting_look *waiting = NULL;
	     (waiting = look_board_overdue(looks->service->look_board, INT64_MAX)) != NULL;)
		look_free(look_of(waiting));
	for (struct place *place = looks->places; place != NULL;) {
		struct place *next = place->next;
		place_free(place);
		place = next;
	}
	free(looks);
}

/* ---- on a lane ---- */

static void answer(struct look *look)
{
	int kick = look->kick;
	if (queue_push(look->answers, look))
		eventfd_write(kick, 1);
	else
		look_free(look);
}

static void run(struct lane_work *work, struct ssh_pool *pool)
{
	struct look *look = (struct look *)work;
	look->sent_s = clock_now_s();
	int64_t begun_ms = clock_mono_ms();
	look->failed = slurm_watch(pool, &look->asked, look->timeout_ms, &look->err) != 0;
	look->slow = clock_mono_ms() - begun_ms > SLOW_MS;
	answer(look);
}

static void went_along(struct waiting_look *waiting, const struct nel_err *err)
{
	struct look *look = look_of(waiting);
	look->along = true;
	look->sent_s = waiting->taken_s;
	look->failed = err != NULL;
	if (err != NULL)
		look->err = *err;
	answer(look);
}

static void abandon(struct lane_work *work)
{
	struct look *look = (struct look *)work;
	look->failed = true;
	err_set(&look->err, NEL_BUSY, "the daemon is stopping");
	answer(look);
}

/* ---- on the campaigns' thread ---- */

static struct place *find_place(struct campaign_looks *looks, const char *cluster, const char *identity)
{
	struct place *place = looks->places;
	while (place != NULL && (strcmp(place->cluster, cluster) != 0 || strcmp(place->identity, identity) != 0))
		place = place->next;
	return place;
}

static int64_t with_jitter(int64_t ms)
{
	int64_t range = ms * JITTER_PERCENT / 100;
	return ms - range / 2 + (int64_t)randombytes_uniform((uint32_t)range + 1);
}

/* All looks at the place have been answered. */
static void plan_next(struct campaign_looks *looks, struct place *place)
{
	const struct settings *settings = looks->service->settings;
	const struct settings_cluster *cluster = settings_cluster_by_name(settings, place->cluster);
	int64_t base_ms = cluster != NULL ? cluster->poll_interval_s * 1000 : BUSY_MS;
	if (place->failed) {
		place->failures++;
		place->interval_ms = base_ms << (place->failures < 10 ? place->failures : 10);
		if (place->interval_ms > FAILED_INTERVAL_MS)
			place->interval_ms = base_ms > FAILED_INTERVAL_MS ? base_ms : FAILED_INTERVAL_MS;
	} else {
		int64_t longer_ms = place->interval_ms + place->interval_ms / 2;
		bool steady = place->failures == 0 && !place->changed && longer_ms > base_ms;
		place->failures = 0;
		place->interval_ms = !steady                                 ? base_ms
				     : longer_ms < QUIET_INTERVALS * base_ms ? longer_ms
									     : QUIET_INTERVALS * base_ms;
	}
	/* Due before the observation that it is to go along with, which has a jitter of its own. */
	place->next_ms = clock_mono_ms() +
			 (place->along ? place->interval_ms - place->interval_ms / 4 : with_jitter(place->interval_ms));
	place->alone = place->slow;
	place->changed = false;
	place->failed = false;
	place->slow = false;
}

/* By a command of its own. False: that cannot be now, and there is no look. */
static bool send_alone(struct campaign_looks *looks, struct look *look)
{
	struct nel_err err = {0};
	if (lanes_push(looks->service->lanes, look->cluster, look->identity, &look->work, &err) == 0)
		return true;
	log_debug("a look at directories has to wait", LOG_S("cluster", look->cluster), LOG_S("error", err.msg));
	look_free(look);
	return false;
}

/* What waits for an observation at a place where a look took too long waits no more. */
static void send_waiting(struct campaign_looks *looks, struct place *place)
{
	struct waiting_look *waiting = NULL;
	while ((waiting = look_board_withdraw(looks->service->look_board, place->cluster, place->identity)) != NULL)
		if (!send_alone(looks, look_of(waiting)))
			place->flying--;
}

/* True when values are new. */
static bool take(struct campaign_looks *looks, struct db *db, struct look *look)
{
	struct place *place = find_place(looks, look->cluster, look->identity);
	bool any = false;
	for (size_t i = 0; i < look->asked.count; i++) {
		struct nel_err err = {0};
		bool changed = false;
		bool found = false;
		const struct watch_reply *reply = look->failed ? NULL : &look->asked.replies[i];
		if (campaign_take_look(db, look->members[i].id, reply, look->err.msg, look->sent_s, &changed, &found,
				       &err) != 0 &&
		    err.kind != NEL_NOTFOUND)
			log_warning("what a campaign's directory holds cannot be stored",
				    LOG_S("campaign", look->members[i].id), LOG_S("error", err.msg));
		any = any || found;
		if (place == NULL)
			continue;
		place->changed = place->changed || changed;
		place->slow = place->slow || (reply != NULL && reply->slow);
	}
	if (place != NULL) {
		place->failed = place->failed || look->failed;
		place->slow = place->slow || look->slow || look->failed;
		place->along = look->along;
		place->flying--;
		if (place->slow)
			send_waiting(looks, place);
		if (place->flying == 0)
			plan_next(looks, place);
	}
	return any;
}

bool campaign_looks_take(struct campaign_looks *looks, struct db *db)
{
	bool found = false;
	for (struct look *look = NULL; (look = queue_pop(looks->answers, 0)) != NULL;) {
		found = take(looks, db, look) || found;
		look_free(look);
	}
	return found;
}

void campaign_looks_begin(struct campaign_looks *looks)
{
	for (struct place *place = looks->places; place != NULL; place = place->next)
		place_clear(place);
}

void campaign_looks_add(struct campaign_looks *looks, const struct campaign_row *campaign, struct campaign_watch *watch,
			const char *identity)
{
	struct place *place = find_place(looks, watch->cluster, identity);
	if (place == NULL) {
		place = mem_calloc(1, sizeof *place);
		place->cluster = mem_strdup(watch->cluster);
		place->identity = mem_strdup(identity);
		place->next = looks->places;
		looks->places = place;
	}
	if (watch->looked_at == 0 && watch->reason == NULL) /* it is new, and somebody waits */
		place->next_ms = 0;
	place->members = mem_realloc(place->members, place->count + 1, sizeof *place->members);
	struct member *m = &place->members[place->count++];
	*m = (struct member){.seq = campaign->seq, .watch = *watch};
	memcpy(m->id, campaign->id, sizeof m->id);
	*watch = (struct campaign_watch){0};
}

static int list_known(struct db *db, struct member *m, struct nel_err *err)
{
	CLEANUP(campaign_value_list_done) struct campaign_value_list values = {0};
	if (campaign_values_list(db, m->seq, &values, err) != 0)
		return -1;
	m->known = mem_calloc(values.count + 1, sizeof *m->known);
	for (size_t i = 0; i < values.count; i++) {
		const char *slash = strrchr(values.items[i].value, '/');
		if (slash != NULL)
			m->known[m->known_count++] = mem_strdup(slash + 1);
	}
	return 0;
}

/* Up to WATCHES_MAX of the members from `first` on, which are taken over. NULL: the store cannot be read. */
static struct look *look_new(struct campaign_looks *looks, struct db *db, const struct settings_cluster *cluster,
			     struct place *place, size_t first)
{
	struct look *look = mem_calloc(1, sizeof *look);
	look->work = (struct lane_work){.run = run, .abandon = abandon};
	look->answers = looks->answers;
	look->kick = looks->kick;
	look->waiting = (struct waiting_look){.look = &look->asked, .answer = went_along};
	look->cluster = mem_strdup(place->cluster);
	look->identity = mem_strdup(place->identity);
	look->asked.shared = !cluster->identity_per_user;
	look->timeout_ms = cluster->command_timeout_s * 1000;
	for (size_t i = first; i < place->count && look->asked.count < WATCHES_MAX; i++) {
		struct nel_err err = {0};
		if (list_known(db, &place->members[i], &err) != 0) {
			log_warning("campaigns cannot be read", LOG_S("error", err.msg));
			look_free(look);
			return NULL;
		}
		const struct member *m = &look->members[look->asked.count];
		look->members[look->asked.count] = place->members[i];
		place->members[i] = (struct member){0};
		look->asked.orders[look->asked.count++] = (struct watch_order){.directory = m->watch.directory,
									       .pattern = m->watch.pattern,
									       .marker = m->watch.ready_file,
									       .known = (const char *const *)m->known,
									       .known_count = m->known_count};
	}
	return look;
}

static void send_looks(struct campaign_looks *looks, struct db *db, struct place *place)
{
	const struct settings *settings = looks->service->settings;
	const struct settings_cluster *cluster = settings_cluster_by_name(settings, place->cluster);
	place->next_ms = clock_mono_ms() + BUSY_MS; /* unless an answer comes, which says when */
	for (size_t first = 0; cluster != NULL && first < place->count; first += WATCHES_MAX) {
		struct look *look = look_new(looks, db, cluster, place, first);
		if (look == NULL)
			return;
		int64_t recent_ms = 2 * cluster->poll_interval_s * 1000 + LATE_MS;
		if ((place->alone || !look_board_leave(looks->service->look_board, place->cluster, place->identity,
						       &look->waiting, recent_ms)) &&
		    !send_alone(looks, look))
			return;
		place->flying++;
	}
}

/* Looks that no observation has taken along go alone. */
static void send_overdue(struct campaign_looks *looks)
{
	struct waiting_look *waiting = NULL;
	while ((waiting = look_board_overdue(looks->service->look_board, clock_mono_ms())) != NULL) {
		struct look *look = look_of(waiting);
		struct place *place = find_place(looks, look->cluster, look->identity);
		if (!send_alone(looks, look) && place != NULL)
			place->flying--;
	}
}

int64_t campaign_looks_send(struct campaign_looks *looks, struct db *db)
{
	int64_t due_ms = INT64_MAX;
	send_overdue(looks);
	for (struct place **at = &looks->places; *at != NULL;) {
		struct place *place = *at;
		if (place->count == 0 && place->flying == 0) {
			*at = place->next;
			place_free(place);
			continue;
		}
		if (place->count > 0 && place->flying == 0 && place->next_ms <= clock_mono_ms())
			send_looks(looks, db, place);
		if (place->flying == 0 && place->next_ms < due_ms)
			due_ms = place->next_ms;
		at = &place->next;
	}
	int64_t overdue_ms = look_board_due_ms(looks->service->look_board);
	due_ms = overdue_ms < due_ms ? overdue_ms : due_ms;
	int64_t now_ms = clock_mono_ms();
	return due_ms == INT64_MAX ? INT64_MAX : due_ms > now_ms ? due_ms - now_ms : 0;
}

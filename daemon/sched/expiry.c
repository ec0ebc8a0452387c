#include "sched/expiry.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/events.h"
#include "db/identities.h"
#include "sched/event_log.h"

#include <string.h>

#define INTERVAL_MS 1000
#define PEOPLE_INTERVAL_MS 10000 /* theirs are had by hand, for hours at least */

/* Of one shared account. */
static int tell_shared(struct scheduler *s, struct cluster_watch *watch, const struct ssh_credentials_state *state,
		       int64_t now_s, struct nel_err *err)
{
	bool told = strcmp(watch->told_certificate, state->id) == 0;
	if (told || state->id[0] == '\0' || state->tell_at == 0 || now_s < state->tell_at)
		return 0;
	CLEANUP(db_rollbackp) struct db *tx = s->db;
	if (db_begin(s->db, err) != 0 || events_expiry_told(s->db, watch->name, state->id, &told, err) != 0 ||
	    (!told && event_log_expiry(s->db, watch->name, NULL, watch->identity, state->id, state->expires_at, now_s,
				       err) != 0) ||
	    db_commit(s->db, err) != 0)
		return -1;
	memcpy(watch->told_certificate, state->id, sizeof watch->told_certificate);
	return 0;
}

/* Another certificate may be let in: what waits, and what could not be observed, is tried at once. */
static void note_change(struct scheduler *s, struct cluster_watch *watch, const char *certificate)
{
	if (strcmp(watch->certificate, certificate) == 0)
		return;
	bool waits = watch->refusals > 0 || watch->failures > 0;
	memcpy(watch->certificate, certificate, sizeof watch->certificate);
	if (!waits || certificate[0] == '\0')
		return;
	cluster_watch_retry(watch);
	if (cluster_watches_nudge(&s->watches, watch->name, watch->identity))
		atomic_store(&s->nudged, true);
}

static int look_at_shared(struct scheduler *s, int64_t now_s, struct nel_err *err)
{
	const struct settings *settings = s->watches.settings;
	int rc = 0;
	for (size_t i = 0; i < settings->cluster_count && rc == 0; i++) {
		const struct settings_cluster *cluster = &settings->clusters[i];
		struct ssh_credentials_state state;
		struct cluster_watch *watch = NULL;
		if (!lanes_credentials(s->lanes, cluster, &state))
			continue;
		if (state.id[0] != '\0')
			watch = cluster_watch_get(&s->watches, cluster->name, cluster->username);
		if (watch != NULL) {
			note_change(s, watch, state.id);
			rc = tell_shared(s, watch, &state, now_s, err);
		}
		json_decref(state.warnings);
	}
	return rc;
}

static int tell_person(struct scheduler *s, const struct identity_row *row, int64_t now_s, struct nel_err *err)
{
	CLEANUP(db_rollbackp) struct db *tx = s->db;
	return db_begin(s->db, err) == 0 && identities_note_told(s->db, row->user, row->cluster, err) == 0 &&
		       event_log_expiry(s->db, row->cluster, row->user, row->username, NULL,
					row->certificate_expires_at, now_s, err) == 0 &&
		       db_commit(s->db, err) == 0
		   ? 0
		   : -1;
}

static int look_at_people(struct scheduler *s, int64_t now_s, struct nel_err *err)
{
	CLEANUP(identity_list_done) struct identity_list list = {0};
	int rc = identities_list_to_tell(s->db, now_s, &list, err);
	for (size_t i = 0; i < list.count && rc == 0; i++)
		rc = tell_person(s, &list.items[i], now_s, err);
	return rc;
}

void expiry_step(struct scheduler *s)
{
	struct nel_err err;
	int64_t now_ms = clock_mono_ms();
	int64_t now_s = clock_now_s();
	if (now_ms < s->expiry_ms)
		return;
	s->expiry_ms = now_ms + INTERVAL_MS;
	bool people = now_ms >= s->expiry_people_ms;
	if (people)
		s->expiry_people_ms = now_ms + PEOPLE_INTERVAL_MS;
	if (look_at_shared(s, now_s, &err) != 0 || (people && look_at_people(s, now_s, &err) != 0))
		log_warning("the end of a certificate cannot be told of", LOG_S("error", err.msg));
}

#include "reload.h"

#include "base/log.h"
#include "base/mem.h"
#include "cluster_keys.h"
#include "config/settings/settings_load.h"
#include "config/settings/settings_reload.h"
#include "db/jobs.h"
#include "service/oidc/oidc_issuer.h"

#include <stdlib.h>

void reload_begin(struct reload *reload, struct settings *settings)
{
	reload->kept[0] = settings;
	reload->count = 1;
}

void reload_done(struct reload *reload)
{
	while (reload->count > 0)
		settings_free(reload->kept[--reload->count]);
}

struct settings *reload_current(const struct reload *reload)
{
	return reload->count > 0 ? reload->kept[reload->count - 1] : NULL;
}

static bool is_live(const struct settings_cluster *cluster, void *arg)
{
	struct nel_err err;
	int64_t count = 0;
	return jobs_count_active(arg, cluster->name, NULL, &count, &err) != 0 || count > 0;
}

static void log_changes(const struct settings *started, const struct settings *next)
{
	const char *keys[SETTINGS_RESTART_MAX];
	size_t count = settings_want_restart(started, next, keys);
	for (size_t i = 0; i < count; i++)
		log_warning("a changed setting wants a restart; until then the old one holds", LOG_S("key", keys[i]));
	for (size_t i = 0; i < next->cluster_count; i++)
		if (next->clusters[i].draining)
			log_info("cluster is draining", LOG_S("cluster", next->clusters[i].name));
}

static int read_next(const struct settings *before, struct settings **ret_next, struct nel_err *err)
{
	CLEANUP(settings_freep) struct settings *next = NULL;
	CLEANUP(db_freep) struct db *db = NULL;
	if (settings_load(before->path, &next, NULL, err) != 0 || cluster_keys_check(next, err) != 0 ||
	    db_open(before->database, &db, err) != 0)
		return -1;
	settings_carry_over(next, before, is_live, db);
	*ret_next = TAKE(next);
	return 0;
}

void reload_run(struct reload *reload, struct service *service)
{
	struct nel_err err = {0};
	const struct settings *before = reload_current(reload);
	struct settings *next = NULL;
	enum log_level level = LOG_LEVEL_INFO;
	if (reload->count > RELOADS_MAX) {
		log_error("the settings were read too often; restart to read them again", LOG_N("limit", RELOADS_MAX));
		return;
	}
	if (read_next(before, &next, &err) != 0) {
		log_error("the settings are wrong; the old ones stay in force", LOG_S("error", err.msg));
		return;
	}
	reload->kept[reload->count++] = next;
	log_level_from_name(next->log_level, &level);
	log_set_level(level);
	log_changes(reload->kept[0], next);
	free(next->database); /* the one that is open holds */
	next->database = mem_strdup(before->database);
	lanes_reload(service->lanes, next);
	scheduler_reload(service->scheduler, next);
	service->settings = next;
	oidc_issuer_reload(service->oidc, next);
	log_info("settings reloaded", LOG_S("config", next->path), LOG_N("clusters", (int64_t)next->cluster_count));
}

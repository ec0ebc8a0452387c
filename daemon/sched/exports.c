#include "sched/exports.h"

#include "base/log.h"
#include "base/mem.h"
#include "db/events.h"
#include "sched/transition.h"

#include <jansson.h>
#include <string.h>

enum export_state { EXPORT_PENDING, EXPORT_RUNNING, EXPORT_SUCCEEDED, EXPORT_FAILED, EXPORT_REFUSED, EXPORT_UNKNOWN };

/* As stored and shown. */
static const char *const state_names[] = {
    [EXPORT_PENDING] = "pending", [EXPORT_RUNNING] = "running", [EXPORT_SUCCEEDED] = "succeeded",
    [EXPORT_FAILED] = "failed",   [EXPORT_REFUSED] = "refused", [EXPORT_UNKNOWN] = "unknown",
};

static bool is_open(enum export_state state)
{
	return state == EXPORT_PENDING || state == EXPORT_RUNNING;
}

static bool is_overdue(const struct active_chain *chain, int64_t now_s)
{
	return chain->job.ended_at != 0 && now_s - chain->job.ended_at > EXPORT_FOLLOW_MAX_S;
}

enum collect_export_request exports_request(const struct active_chain *chain, int64_t now_s)
{
	enum chain_state end =
	    chain->ending ? chain_rule_for(chain->job.state, chain->end_event)->to : chain->job.state;
	if (end != CHAIN_SUCCEEDED)
		return COLLECT_EXPORT_CANCEL;
	return is_overdue(chain, now_s) ? COLLECT_EXPORT_DROP : COLLECT_EXPORT_FOLLOW;
}

bool exports_followed(const struct active_chain *chain)
{
	return !chain->ending && chain->job.export_ != NULL;
}

/* The state in the store, when it is an open one. */
static enum export_state state_before(const json_t *before)
{
	const char *name = json_string_value(json_object_get(before, "state"));
	return name != NULL && strcmp(name, state_names[EXPORT_RUNNING]) == 0 ? EXPORT_RUNNING : EXPORT_PENDING;
}

/* Without an exit code: Slurm's word counts at once when Slurm ended it; when it ended by itself, the code may show
 * yet. */
static enum export_state judge_gone(const struct collect_export *seen, const json_t *before, int misses,
				    char **ret_reason)
{
	bool by_itself = strcmp(seen->text, "COMPLETED") == 0 || strcmp(seen->text, "FAILED") == 0;
	if (misses < EXPORT_MISSES_MAX && (by_itself || seen->text[0] == '\0'))
		return state_before(before);
	if (seen->text[0] == '\0') {
		*ret_reason = mem_strdup("Slurm does not know its job, which left no exit code");
		return EXPORT_UNKNOWN;
	}
	*ret_reason = mem_printf("its Slurm job ended with %s and left no exit code", seen->text);
	return strcmp(seen->text, "COMPLETED") == 0 ? EXPORT_UNKNOWN : EXPORT_FAILED;
}

static enum export_state judge(const struct collect_export *seen, const json_t *before, int misses, char **ret_reason)
{
	switch (seen->kind) {
	case COLLECT_EXPORT_NONE: *ret_reason = mem_strdup("its files are gone"); return EXPORT_UNKNOWN;
	case COLLECT_EXPORT_REFUSED: *ret_reason = mem_strdup(seen->text); return EXPORT_REFUSED;
	case COLLECT_EXPORT_PENDING: return EXPORT_PENDING;
	case COLLECT_EXPORT_RUNNING: return EXPORT_RUNNING;
	case COLLECT_EXPORT_UNSEEN: return state_before(before);
	case COLLECT_EXPORT_GONE: return judge_gone(seen, before, misses, ret_reason);
	case COLLECT_EXPORT_ENDED:
		if (seen->exit_code == 0)
			return EXPORT_SUCCEEDED;
		*ret_reason = mem_printf("it ended with exit code %d", seen->exit_code);
		return EXPORT_FAILED;
	}
	return EXPORT_UNKNOWN;
}

static json_t *describe(const struct collect_export *seen, const json_t *before)
{
	const char *id = seen->slurm_job_id[0] != '\0' ? seen->slurm_job_id : NULL;
	json_t *destinations = json_array();
	for (size_t i = 0; i < seen->destination_count; i++)
		json_array_append_new(destinations, json_pack("{s:s, s:i}", "name", seen->destinations[i].name,
							      "exit_code", seen->destinations[i].exit_code));
	if (id == NULL && seen->kind != COLLECT_EXPORT_REFUSED &&
	    json_is_array(json_object_get(before, "destinations"))) {
		id = json_string_value(json_object_get(before, "slurm_job_id"));
		json_decref(destinations);
		destinations = json_incref(json_object_get(before, "destinations"));
	}
	return json_pack("{s:s?, s:o}", "slurm_job_id", id, "destinations", destinations);
}

bool exports_judge(const struct collect_export *seen, const char *before, int misses, bool overdue, char **ret_text)
{
	if (seen->kind == COLLECT_EXPORT_NONE && before == NULL) {
		*ret_text = NULL;
		return false;
	}
	CLEANUP(mem_freep) char *reason = NULL;
	json_t *known = before != NULL ? json_loads(before, 0, NULL) : NULL;
	enum export_state state = judge(seen, known, misses, &reason);
	if (is_open(state) && overdue) {
		state = EXPORT_UNKNOWN;
		reason = mem_strdup("it had not ended 24 hours after the job");
	}
	json_t *shown = json_pack("{s:s, s:s?}", "state", state_names[state], "reason", reason);
	json_t *described = describe(seen, known);
	json_object_update(shown, described);
	*ret_text = json_dumps(shown, JSON_COMPACT);
	json_decref(described);
	json_decref(shown);
	json_decref(known);
	return is_open(state);
}

/* text is taken over. */
static int store(struct db *db, struct active_chain *chain, char *text, int64_t now_s, struct nel_err *err)
{
	struct job_row *job = &chain->job;
	if (text == NULL || (job->export_ != NULL && strcmp(job->export_, text) == 0)) {
		free(text);
		return 0;
	}
	free(job->export_);
	job->export_ = text;
	json_t *shown = json_loads(text, 0, NULL);
	const char *state = json_string_value(json_object_get(shown, "state"));
	const char *id = json_string_value(json_object_get(shown, "slurm_job_id"));
	const char *reason = json_string_value(json_object_get(shown, "reason"));
	log_info("export changed", LOG_S("job", job->id), LOG_S("cluster", job->cluster), LOG_S("state", state),
		 LOG_S("slurm_job_id", id), LOG_S("reason", reason));
	json_decref(shown);
	if (events_insert(db, now_s, "job.export", job->user, job->evaluation, job->id, text, err) != 0)
		return -1;
	return transition_store(db, chain, now_s, err);
}

int exports_take(struct db *db, struct active_chain *chain, const struct collect_export *seen, int64_t now_s,
		 bool *ret_open, struct nel_err *err)
{
	char *text = NULL;
	chain->export_misses = seen->kind == COLLECT_EXPORT_GONE ? chain->export_misses + 1 : 0;
	*ret_open = exports_judge(seen, chain->job.export_, chain->export_misses, is_overdue(chain, now_s), &text);
	return store(db, chain, text, now_s, err);
}

int exports_missed(struct db *db, struct active_chain *chain, int64_t now_s, struct nel_err *err)
{
	const struct collect_export seen = {.kind = COLLECT_EXPORT_UNSEEN};
	char *text = NULL;
	if (chain->job.export_ == NULL || !is_overdue(chain, now_s))
		return 0;
	exports_judge(&seen, chain->job.export_, 0, true, &text);
	return store(db, chain, text, now_s, err);
}

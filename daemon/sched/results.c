#include "sched/results.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/jobs.h"
#include "db/results.h"
#include "sched/event_log.h"
#include "slurm/samples_fetch.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#define FILE_NAME "artifacts/results.yml"

/* What speaks against the file that was found. */
enum fault {
	FAULT_NONE,
	FAULT_NOT_WANTED, /* a conversion has no scores */
	FAULT_MISSING,
	FAULT_CHANGING,   /* while it was read */
	FAULT_CHANGED,    /* since the evaluation ended */
	FAULT_UNREADABLE, /* scores_err says why */
};

static enum fault fault_of(const struct action *action)
{
	const struct collect_reply *found = &action->collected;
	if (strcmp(found->sealed_hash, COLLECT_CONVERSION) == 0)
		return FAULT_NOT_WANTED;
	if (found->results_hash[0] == '\0')
		return FAULT_MISSING;
	if (strcmp(found->results_hash, "changing") == 0)
		return FAULT_CHANGING;
	if (found->sealed_hash[0] != '\0' && strcmp(found->sealed_hash, found->results_hash) != 0)
		return FAULT_CHANGED;
	return action->scores_failed ? FAULT_UNREADABLE : FAULT_NONE;
}

bool results_stand(const struct action *action)
{
	return fault_of(action) == FAULT_NONE;
}

enum chain_state results_end_state(const struct active_chain *chain)
{
	return chain->ending ? chain_rule_for(chain->job.state, chain->end_event)->to : chain->job.state;
}

bool results_awaited(struct active_chain *chain, const struct action *action, int64_t wait_s)
{
	enum fault fault = fault_of(action);
	if (!chain->ending || results_end_state(chain) != CHAIN_SUCCEEDED || fault == FAULT_NONE ||
	    fault == FAULT_NOT_WANTED)
		return false;
	int64_t now_ms = clock_mono_ms();
	if (chain->results_since_ms == 0)
		chain->results_since_ms = now_ms;
	return now_ms - chain->results_since_ms < wait_s * 1000;
}

static void add(json_t *warnings, char *text)
{
	json_array_append_new(warnings, json_string(text));
	free(text);
}

static void add_fault(json_t *warnings, const char *job, enum fault fault, const struct action *action)
{
	const char *why = NULL;
	switch (fault) {
	case FAULT_NONE:
	case FAULT_NOT_WANTED: return;
	case FAULT_MISSING: why = "is not there"; break;
	case FAULT_CHANGING: why = "was still being written when it was read"; break;
	case FAULT_CHANGED:
		why = strcmp(action->collected.sealed_hash, "none") == 0
			  ? "was written by something else after the evaluation had ended without one"
			  : "is not the one that the finished evaluation left: something has written to it since";
		break;
	case FAULT_UNREADABLE: add(warnings, mem_printf("no scores are stored: %s", action->scores_err.msg)); return;
	}
	add(warnings, mem_printf("no scores are stored: " FILE_NAME " %s; POST /v1/jobs/%s/results%s reads it%s", why,
				 job, fault == FAULT_CHANGED ? "?changed=true" : "",
				 fault == FAULT_CHANGED ? " all the same" : " again"));
}

/* first: no earlier attempt can have left something to go on from. */
static void add_doubts(json_t *warnings, const struct action *action, bool first)
{
	const struct scores *scores = &action->scores;
	if (action->collected.results_older && action->collected.sealed_hash[0] == '\0')
		add(warnings, mem_strdup("the scores are not of the last attempt: " FILE_NAME " is older than that"));
	if (scores->left_out > 0)
		add(warnings, scores_describe_left_out(scores));
	if (scores->count == 0)
		add(warnings, mem_strdup(FILE_NAME " has no scores"));
	else if (first && action->collected.progress == 0)
		add(warnings, mem_strdup("the evaluation finished no request, and wrote scores all the same"));
}

/* Of what the scores are of, not all may be there; they stand. */
static void add_missing_samples(json_t *warnings, const struct action *action)
{
	const struct samples_row *samples = &action->samples;
	if (action->samples_failed)
		add(warnings, mem_printf("the samples are not stored, so that comparisons with this job are by its "
					 "scores alone: %s",
					 action->samples_err.msg));
	if (samples->left_out > 0)
		add(warnings, mem_printf("%" PRId64 " samples are not stored: there are more than samples.keep_rows",
					 samples->left_out));
	if (samples->short_ > 0)
		add(warnings, mem_printf("%" PRId64 " files of samples were not read to their end: there are more than "
					 "%d, or more than %d MiB in all",
					 samples->short_, SAMPLES_FILES_MAX, SAMPLES_BYTES_MAX >> 20));
	if (samples->spoilt > 0)
		add(warnings, mem_printf("%" PRId64 " lines of the files of samples cannot be read", samples->spoilt));
}

static int store_warnings(struct db *db, struct active_chain *chain, const char *seal, const json_t *warnings,
			  int64_t now_s, struct nel_err *err)
{
	bool any = json_array_size(warnings) > 0;
	CLEANUP(mem_freep) char *text = any ? json_dumps(warnings, JSON_COMPACT) : NULL;
	size_t index = 0;
	json_t *warning = NULL;
	json_array_foreach(warnings, index, warning) {
		log_warning("scores in doubt", LOG_S("job", chain->job.id), LOG_S("cluster", chain->job.cluster),
			    LOG_S("warning", json_string_value(warning)));
	}
	if (jobs_set_results(db, chain->job.seq, seal, text, err) != 0)
		return -1;
	return any ? event_log_warnings(db, chain, warnings, now_s, err) : 0;
}

/* Those of an earlier end, which other scores were of, do not stay. */
static int store_samples(struct db *db, const struct active_chain *chain, const struct action *action,
			 struct nel_err *err)
{
	return action->samples.data != NULL ? samples_replace(db, chain->job_seq, &action->samples, err)
					    : samples_remove(db, chain->job_seq, err);
}

/* The evaluator's log may not have said how many there were to finish; its results may. */
static void note_samples(struct job_row *job, const struct scores *scores)
{
	int64_t samples = scores_samples(scores);
	if (progress_total(job->progress, job->progress_total) < 0 && samples > 0)
		job->progress_total = samples;
}

int results_take(struct db *db, struct active_chain *chain, const struct action *action, int64_t now_s,
		 struct nel_err *err)
{
	const struct collect_reply *found = &action->collected;
	enum fault fault = fault_of(action);
	bool succeeded = results_end_state(chain) == CHAIN_SUCCEEDED;
	const char *seal = fault == FAULT_NONE             ? found->results_hash
			   : fault == FAULT_NOT_WANTED     ? NULL
			   : found->sealed_hash[0] != '\0' ? found->sealed_hash
							   : NULL;
	CLEANUP(json_freep) json_t *warnings = json_array();
	chain->results_since_ms = 0;
	if (fault != FAULT_NONE && fault != FAULT_NOT_WANTED && (succeeded || fault != FAULT_MISSING))
		add_fault(warnings, chain->job.id, fault, action);
	if (fault == FAULT_NONE)
		note_samples(&chain->job, &action->scores);
	if (fault == FAULT_NONE)
		add_doubts(warnings, action, chain->common->attempt.number == 1);
	add_missing_samples(warnings, action);
	/* Of a look at the running job there may be scores, which were partial. */
	static const struct scores none = {0};
	const struct scores *scores = fault == FAULT_NONE ? &action->scores : &none;
	if ((scores->count > 0 || succeeded) &&
	    results_replace(db, chain->job.seq, scores->items, scores->count, now_s, err) != 0)
		return -1;
	if (fault == FAULT_NONE && store_samples(db, chain, action, err) != 0)
		return -1;
	if (scores->count > 0 && event_log_results(db, chain, scores, now_s, err) != 0)
		return -1;
	return store_warnings(db, chain, seal, warnings, now_s, err);
}

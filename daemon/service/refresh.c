#include "service/refresh.h"

#include "base/clock.h"
#include "base/mem.h"
#include "db/events.h"
#include "service/secrets.h"
#include "slurm/scores.h"

#include <sodium.h>
#include <string.h>

void refresh_done(struct refresh *refresh)
{
	result_list_done(&refresh->before);
	result_list_done(&refresh->after);
	job_basis_done(&refresh->basis);
}

int service_may_refresh(const struct actor *actor, const struct job_row *job, struct nel_err *err)
{
	return service_check_owner(actor, job->user, err);
}

static int check_unchanged(struct db *db, const struct job_row *job, struct nel_err *err)
{
	CLEANUP(job_row_done) struct job_row now = {0};
	if (jobs_get_seq(db, job->seq, &now, err) != 0)
		return -1;
	if (now.state == job->state && now.chain.attempt == job->chain.attempt)
		return 0;
	return err_set(err, NEL_CONFLICT, "job %s became %s while its scores were read; ask again", job->id,
		       chain_state_name(now.state));
}

/* results.recorded, as the scheduler writes it at a job's end (openapi.yaml, schema Event). */
static int record(struct db *db, const struct job_row *job, const struct result_list *list, struct nel_err *err)
{
	CLEANUP(json_freep)
	json_t *data = json_pack("{s:s, s:s, s:s, s:i, s:I, s:o}", "cluster", job->cluster, "model", job->model, "task",
				 job->task, "index", job->index, "count", (json_int_t)list->count, "scores",
				 score_list_json(list->items, list->count));
	CLEANUP(mem_freep) char *text = data != NULL ? json_dumps(data, JSON_COMPACT) : NULL;
	if (text == NULL)
		return err_set(err, NEL_INTERNAL, "an event is no JSON");
	return events_insert(db, clock_now_s(), "results.recorded", job->user, job->evaluation, job->id, text, err);
}

/* Scores that somebody has changed after the end, or an evaluator that a dead node did not take with it, must not take
 * the place of others without a word. seal: of the text. */
static int check_seal(const struct job_row *job, const char *seal, const struct refresh_order *order, bool *ret_changed,
		      struct nel_err *err)
{
	*ret_changed =
	    chain_state_is_end(job->state) && job->results_seal != NULL && strcmp(job->results_seal, seal) != 0;
	if (!*ret_changed || order->accept_changed)
		return 0;
	return err_set(
	    err, NEL_CONFLICT,
	    "results.yml of job %s is not the one that its end left (%s): something has written to it since. The "
	    "scores stay as they were; ?changed=true takes those of the file, and the job will say so",
	    job->id, strcmp(job->results_seal, "none") == 0 ? "which left none" : "their SHA-256 hashes differ");
}

/* What is to be known of the scores now, as JSON; NULL: nothing. */
static char *warn(const struct scores *scores, bool changed, const char *by)
{
	CLEANUP(json_freep) json_t *warnings = json_array();
	char at[CLOCK_RFC3339_SIZE];
	CLEANUP(mem_freep)
	char *told =
	    mem_printf("the scores were read again at %s, by %s, from a results.yml that was changed after the "
		       "job's end",
		       clock_rfc3339(clock_now_s(), at), by);
	CLEANUP(mem_freep) char *left_out = scores->left_out > 0 ? scores_describe_left_out(scores) : NULL;
	if (changed)
		json_array_append_new(warnings, json_string(told));
	if (left_out != NULL)
		json_array_append_new(warnings, json_string(left_out));
	return json_array_size(warnings) > 0 ? json_dumps(warnings, JSON_COMPACT) : NULL;
}

/* Of a job that has not ended the end will tell. */
static int store_seal(struct db *db, const struct job_row *job, const char *seal, const char *warnings,
		      struct nel_err *err)
{
	return chain_state_is_end(job->state) ? jobs_set_results(db, job->seq, seal, warnings, err) : 0;
}

int service_refresh_results(struct service *service, struct db *db, const struct job_row *job, const char *text,
			    size_t size, const struct refresh_order *order, struct refresh *ret_refresh,
			    struct nel_err *err)
{
	char seal[2 * crypto_hash_sha256_BYTES + 1];
	unsigned char hash[crypto_hash_sha256_BYTES];
	bool changed = false;
	crypto_hash_sha256(hash, (const unsigned char *)text, size);
	sodium_bin2hex(seal, sizeof seal, hash, sizeof hash);
	if (check_seal(job, seal, order, &changed, err) != 0)
		return -1;
	CLEANUP(scores_done) struct scores scores = {0};
	CLEANUP(refresh_done) struct refresh refresh = {0};
	CLEANUP(mask_freep) struct mask *mask = NULL;
	if (secrets_mask(service, db, job, &mask, err) != 0)
		return -1;
	if (scores_parse(text, size, &scores, err) != 0) {
		mask_text(mask, err->msg, false);
		return -1;
	}
	scores_mask(&scores, mask);
	CLEANUP(mem_freep) char *warnings = warn(&scores, changed, order->by);
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0 || check_unchanged(db, job, err) != 0 ||
	    results_of_job(db, job->seq, &refresh.before, err) != 0 ||
	    results_replace(db, job->seq, scores.items, scores.count, clock_now_s(), err) != 0 ||
	    results_of_job(db, job->seq, &refresh.after, err) != 0 ||
	    likenesses_basis(db, job->seq, &refresh.basis, err) != 0 || record(db, job, &refresh.after, err) != 0 ||
	    store_seal(db, job, seal, warnings, err) != 0 || db_commit(db, err) != 0)
		return -1;
	*ret_refresh = refresh;
	refresh = (struct refresh){0};
	return 0;
}

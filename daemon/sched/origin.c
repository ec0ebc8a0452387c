#include "sched/origin.h"

#include "base/mem.h"
#include "db/jobs.h"
#include "db/likenesses.h"
#include "slurm/script.h"

#include <string.h>

static char *label_of(const char *evaluation)
{
	return mem_printf("origin:%s", evaluation);
}

static json_t *likeness_json(const char *hash, const char *parts)
{
	return hash == NULL ? json_null() : json_pack("{s:s, s:s}", "hash", hash, "parts", parts);
}

static int add_job(struct db *db, json_t *jobs, const char *rundir, const struct job_row *row,
		   const struct eval_plan *plan, struct nel_err *err)
{
	struct job_basis basis = {0};
	const struct plan_job *plan_job = eval_plan_job(plan, row->index);
	if (plan_job == NULL)
		return err_set(err, NEL_DB, "job %s: its evaluation has %zu tasks", row->id, plan->job_count);
	if (likenesses_basis(db, row->seq, &basis, err) != 0)
		return -1;
	CLEANUP(mem_freep)
	char *name = row->chain.at_once > 0 ? script_shared_name(plan, row->chain.number, row->evaluation, 1)
					    : script_job_name(plan, plan_job, row->evaluation, 1);
	*strrchr(name, '.') = '\0';
	/* The row's is another job's, where that one's scores stand for its own. */
	CLEANUP(mem_freep) char *job_dir = script_job_dir(rundir, plan_job);
	json_t *job =
	    json_pack("{s:i, s:i, s:i, s:s, s:s, s:s, s:I, s:I, s:i, s:s, s:s, s:s?, s:s?, s:I, s:o, s:o}", "index",
		      row->index, "chain", row->chain.number, "at_once", row->chain.at_once, "name", name, "task",
		      row->task, "job_dir", job_dir, "walltime_s", (json_int_t)row->chain.walltime_s, "budget_limit_s",
		      (json_int_t)row->chain.budget_limit_s, "max_attempts", row->chain.max_attempts, "resume_mode",
		      row->chain.resume_mode, "resume_on", row->chain.resume_on, "partition", row->partition, "account",
		      row->account, "gpus", (json_int_t)row->gpus, "subject",
		      likeness_json(basis.subject_hash, basis.subject_parts), "protocol",
		      likeness_json(basis.protocol_hash, basis.protocol_parts));
	job_basis_done(&basis);
	if (job == NULL || json_array_append_new(jobs, job) != 0)
		return err_set(err, NEL_INTERNAL, "job %s cannot be put into JSON", row->id);
	return 0;
}

static int make_document(struct db *db, const struct evaluation_row *row, const struct eval_plan *plan,
			 json_t **ret_document, struct nel_err *err)
{
	CLEANUP(job_list_done) struct job_list jobs = {0};
	CLEANUP(json_freep) json_t *array = json_array();
	CLEANUP(json_freep) json_t *labels = json_object();
	if (jobs_of_evaluation(db, row->id, &jobs, err) != 0)
		return -1;
	for (size_t i = 0; i < jobs.count; i++)
		if (add_job(db, array, row->rundir, &jobs.items[i], plan, err) != 0)
			return -1;
	for (size_t i = 0; i < row->label_count; i++)
		json_object_set_new(labels, row->labels[i].key, json_string(row->labels[i].value));
	*ret_document =
	    json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:O, s:O}",
		      "format", ORIGIN_FORMAT, "id", row->id, "user", row->user, "cluster", row->cluster, "identity",
		      row->identity, "model", row->model, "rundir", row->rundir, "submitted_type", row->submitted_type,
		      "submitted_text", row->submitted_text, "overrides", row->overrides, "resolved", row->resolved,
		      "config_hash", row->config_hash, "images", row->images, "warnings", row->warnings, "reuse",
		      (int)row->reuse, "created_at", (json_int_t)row->created_at, "labels", labels, "jobs", array);
	return *ret_document != NULL ? 0 : err_set(err, NEL_INTERNAL, "evaluation %s cannot be put into JSON", row->id);
}

int origin_make(struct db *db, const struct secret_key *key, const struct evaluation_row *row,
		const struct eval_plan *plan, unsigned char **ret_sealed, size_t *ret_size, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *document = NULL;
	if (key == NULL)
		return 0; /* tests of single actions have none */
	if (make_document(db, row, plan, &document, err) != 0)
		return -1;
	CLEANUP(mem_freep) char *label = label_of(row->id);
	CLEANUP(mem_freep) char *text = json_dumps(document, JSON_COMPACT);
	if (text == NULL)
		return err_set(err, NEL_INTERNAL, "evaluation %s cannot be put into JSON", row->id);
	return secret_seal(key, label, text, strlen(text), ret_sealed, ret_size, err);
}

int origin_open(const struct secret_key *key, const char *evaluation, const unsigned char *sealed, size_t size,
		json_t **ret_document, struct nel_err *err)
{
	CLEANUP(mem_freep) char *label = label_of(evaluation);
	return secret_open_json(key, label, sealed, size, ret_document, err);
}

/* The text of a member; "" when it is missing, which is noted. */
static char *text_of(const json_t *object, const char *key, bool *missing)
{
	const char *text = json_string_value(json_object_get(object, key));
	*missing = *missing || text == NULL;
	return mem_strdup(text != NULL ? text : "");
}

static int64_t number_of(const json_t *object, const char *key, bool *missing)
{
	const json_t *number = json_object_get(object, key);
	*missing = *missing || !json_is_integer(number);
	return json_integer_value(number);
}

static struct likeness_row likeness_of(const json_t *job, const char *key)
{
	const json_t *likeness = json_object_get(job, key);
	return (struct likeness_row){json_string_value(json_object_get(likeness, "hash")),
				     json_string_value(json_object_get(likeness, "parts"))};
}

/* shared_seq: of the chain that several jobs of the evaluation share; 0: none of them is stored yet. */
static int store_job(struct db *db, const struct evaluation_row *evaluation, const json_t *job, int64_t *shared_seq,
		     int64_t now_s, struct nel_err *err)
{
	bool missing = false;
	const json_t *gpus = json_object_get(job, "gpus");
	CLEANUP(job_row_done)
	struct job_row row = {.evaluation_seq = evaluation->seq,
			      .index = (int)number_of(job, "index", &missing),
			      .user = mem_strdup(evaluation->user),
			      .cluster = mem_strdup(evaluation->cluster),
			      .identity = mem_strdup(evaluation->identity),
			      .model = mem_strdup(evaluation->model),
			      .task = text_of(job, "task", &missing),
			      .job_dir = text_of(job, "job_dir", &missing),
			      .state = CHAIN_QUEUED,
			      .chain = {.walltime_s = number_of(job, "walltime_s", &missing),
					.max_attempts = (int)number_of(job, "max_attempts", &missing),
					.resume_mode = text_of(job, "resume_mode", &missing),
					.resume_on = text_of(job, "resume_on", &missing),
					.budget_limit_s = number_of(job, "budget_limit_s", &missing),
					.budget_from_attempt = 1},
			      .progress = -1,
			      /* Origins of older versions lack these. */
			      .partition = mem_strdup(json_string_value(json_object_get(job, "partition"))),
			      .account = mem_strdup(json_string_value(json_object_get(job, "account"))),
			      .gpus = json_is_integer(gpus) ? json_integer_value(gpus) : -1,
			      .created_at = evaluation->created_at,
			      .updated_at = now_s,
			      .version = 1};
	if (missing)
		return err_set(err, NEL_INVALID, "its .origin lacks something of a job");
	ids_format_job(evaluation->id, row.index, row.id);
	row.chain.at_once = (int)json_integer_value(json_object_get(job, "at_once"));
	bool shared = row.chain.at_once > 0;
	row.chain.number = shared ? (int)json_integer_value(json_object_get(job, "chain")) : row.index;
	row.chain.seq = shared ? *shared_seq : 0;
	memcpy(row.evaluation, evaluation->id, sizeof row.evaluation);
	if (jobs_insert(db, &row, err) != 0)
		return -1;
	*shared_seq = shared ? row.chain.seq : *shared_seq;
	const struct likeness_row subject = likeness_of(job, "subject");
	const struct likeness_row protocol = likeness_of(job, "protocol");
	if (subject.hash == NULL || subject.parts == NULL || protocol.hash == NULL || protocol.parts == NULL)
		return 0;
	return likenesses_set(db, row.seq, &subject, &protocol, err);
}

static void fill_labels(const json_t *document, struct evaluation_row *row)
{
	const char *key = NULL;
	json_t *value = NULL;
	json_t *labels = json_object_get(document, "labels");
	row->labels = mem_calloc(json_object_size(labels), sizeof *row->labels);
	json_object_foreach(labels, key, value) {
		if (!json_is_string(value))
			continue;
		row->labels[row->label_count].key = mem_strdup(key);
		row->labels[row->label_count++].value = mem_strdup(json_string_value(value));
	}
}

int origin_store(struct db *db, const json_t *document, const unsigned char *sealed_env, size_t sealed_env_size,
		 int64_t now_s, struct nel_err *err)
{
	bool missing = false;
	missing = number_of(document, "format", &missing) != ORIGIN_FORMAT;
	CLEANUP(evaluation_row_done)
	struct evaluation_row row = {.user = text_of(document, "user", &missing),
				     .cluster = text_of(document, "cluster", &missing),
				     .identity = text_of(document, "identity", &missing),
				     .state = mem_strdup("queued"),
				     .model = text_of(document, "model", &missing),
				     .rundir = text_of(document, "rundir", &missing),
				     .submitted_text = text_of(document, "submitted_text", &missing),
				     .submitted_type = text_of(document, "submitted_type", &missing),
				     .overrides = text_of(document, "overrides", &missing),
				     .resolved = text_of(document, "resolved", &missing),
				     .config_hash = text_of(document, "config_hash", &missing),
				     .images = text_of(document, "images", &missing),
				     .warnings = text_of(document, "warnings", &missing),
				     .reuse = json_is_true(json_object_get(document, "reuse")),
				     .created_at = number_of(document, "created_at", &missing),
				     .updated_at = now_s,
				     .version = 1};
	CLEANUP(mem_freep) char *id = text_of(document, "id", &missing);
	if (missing || !ids_is_evaluation(id))
		return err_set(err, NEL_INVALID, "its .origin lacks something that this version needs");
	memcpy(row.id, id, sizeof row.id);
	fill_labels(document, &row);
	if (sealed_env != NULL) {
		row.sealed_env = (unsigned char *)mem_dup(sealed_env, sealed_env_size);
		row.sealed_env_size = sealed_env_size;
	}
	if (evaluations_insert(db, &row, err) != 0)
		return -1;
	int64_t shared_seq = 0;
	const json_t *jobs = json_object_get(document, "jobs");
	for (size_t i = 0; i < json_array_size(jobs); i++)
		if (store_job(db, &row, json_array_get(jobs, i), &shared_seq, now_s, err) != 0)
			return -1;
	return 0;
}

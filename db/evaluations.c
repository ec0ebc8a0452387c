/* Owns the tables evaluations, evaluation_texts and labels. */
#include "db/evaluations.h"

#include "base/mem.h"
#include "db/columns.h"
#include "db/created.h"
#include "db/postings.h"
#include "db/scope.h"
#include "db/search.h"

#include <inttypes.h>
#include <string.h>

static void labels_free(struct label *labels, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(labels[i].key);
		free(labels[i].value);
	}
	free(labels);
}

/* What is stored at the beginning, but for created_at. */
/* clang-format off */
#define EVALUATION_NEW(C) \
	C(NAME, id, id) \
	C(TEXT, user, user) \
	C(TEXT, cluster, cluster) \
	C(TEXT, identity, identity) \
	C(TEXT, state, state) \
	C(TEXT, model, model) \
	C(TEXT, rundir, rundir) \
	C(TEXT, submitted_type, submitted_type) \
	C(TEXT, config_hash, config_hash) \
	C(TEXT, overrides, overrides) \
	C(TEXT, warnings, warnings) \
	C(TEXT, images, images) \
	C(TEXT, placement, placement) \
	C(INT, reuse, reuse) \
	C(INT, updated_at, updated_at) \
	C(NULL_0, ended_at, ended_at)
/* clang-format on */

#define ROW_COLUMNS EVALUATION_NEW(COLUMN_NAME) "created_at, version, seq"

void evaluation_row_done(struct evaluation_row *row)
{
	if (row == NULL)
		return;
	EVALUATION_NEW(COLUMN_FREE)
	free(row->submitted_text);
	free(row->resolved);
	free(row->sealed_env);
	labels_free(row->labels, row->label_count);
	*row = (struct evaluation_row){0};
}

static struct statement insert_evaluation = {
    .sql = "INSERT INTO evaluations (created_at, created_high, " EVALUATION_NEW(
	COLUMN_NAME) "version)"
		     " VALUES (?1, max(?1, coalesce((SELECT max(created_high) FROM evaluations), ?1)), " EVALUATION_NEW(
			 COLUMN_MARK) "1)",
};

static int insert_row(struct db *db, const struct evaluation_row *row, int64_t *ret_seq, struct nel_err *err)
{
	CLEANUP(query_done) struct query insert = query_start(db, &insert_evaluation);
	struct query *q = &insert;
	query_bind_int(q, row->created_at);
	EVALUATION_NEW(COLUMN_BIND)
	if (query_run(q, err) != 0)
		return -1;
	*ret_seq = sqlite3_last_insert_rowid(db->sqlite);
	return 0;
}

static struct statement insert_texts = {
    .sql = "INSERT INTO evaluation_texts (evaluation, submitted_text, resolved, sealed_env) VALUES (?, ?, ?, ?)",
};

static int insert_row_texts(struct db *db, const struct evaluation_row *row, int64_t seq, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &insert_texts);
	query_bind_int(&q, seq);
	query_bind_text(&q, row->submitted_text);
	query_bind_text(&q, row->resolved);
	query_bind_blob(&q, row->sealed_env, row->sealed_env_size);
	return query_run(&q, err);
}

static struct statement insert_label = {.sql = "INSERT INTO labels (evaluation, key, value) VALUES (?, ?, ?)"};

static int insert_row_labels(struct db *db, const struct evaluation_row *row, int64_t seq, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &insert_label);
	for (size_t i = 0; i < row->label_count; i++) {
		query_bind_int(&q, seq);
		query_bind_text(&q, row->labels[i].key);
		query_bind_text(&q, row->labels[i].value);
		if (query_run(&q, err) != 0)
			return -1;
		query_again(&q);
	}
	return 0;
}

int evaluations_insert(struct db *db, struct evaluation_row *row, struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	int64_t seq = 0;
	if (scope_begin_write(&scope, db, err) != 0 || insert_row(db, row, &seq, err) != 0 ||
	    insert_row_texts(db, row, seq, err) != 0 || insert_row_labels(db, row, seq, err) != 0 ||
	    scope_commit(&scope, err) != 0)
		return err_prefix(err, "evaluation %s", row->id);
	row->seq = seq;
	row->version = 1;
	return 0;
}

static void read_row(struct query *q, struct evaluation_row *row)
{
	EVALUATION_NEW(COLUMN_READ)
	row->created_at = query_int(q);
	row->version = query_int(q);
	row->seq = query_int(q);
}

static struct statement labels_of = {.sql = "SELECT key, value FROM labels WHERE evaluation = ? ORDER BY key"};

static int read_labels(struct db *db, struct evaluation_row *row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &labels_of);
	query_bind_int(&q, row->seq);
	while (query_next(&q, err)) {
		struct label *label = ROW_ADD(row->labels, row->label_count);
		label->key = query_text(&q);
		label->value = query_text(&q);
	}
	return query_failed(&q) ? -1 : 0;
}

static struct statement texts_of = {
    .sql = "SELECT submitted_text, resolved, sealed_env FROM evaluation_texts WHERE evaluation = ?",
};

static int read_texts(struct db *db, struct evaluation_row *row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &texts_of);
	bool found = false;
	query_bind_int(&q, row->seq);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_DB, "the texts of evaluation %s are missing", row->id);
	row->submitted_text = query_text(&q);
	row->resolved = query_text(&q);
	row->sealed_env = query_blob(&q, &row->sealed_env_size);
	return 0;
}

static struct statement by_id = {.sql = "SELECT " ROW_COLUMNS " FROM evaluations WHERE id = ?"};

static int get_by_id(struct db *db, const char *id, struct evaluation_row *row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &by_id);
	bool found = false;
	query_bind_text(&q, id);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_NOTFOUND, "there is no evaluation %s", id);
	read_row(&q, row);
	return 0;
}

int evaluations_get(struct db *db, const char *id, bool with_texts, struct evaluation_row *ret_row, struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	if (scope_begin_read(&scope, db, err) != 0 || get_by_id(db, id, &row, err) != 0 ||
	    read_labels(db, &row, err) != 0 || (with_texts && read_texts(db, &row, err) != 0))
		return -1;
	*ret_row = row;
	row = (struct evaluation_row){0};
	return 0;
}

static struct statement list_all = {.sql = "SELECT seq FROM evaluations WHERE seq <= ?1 ORDER BY seq DESC"};
static struct statement list_state = {
    .sql = "SELECT seq FROM evaluations INDEXED BY evaluations_state WHERE state = ?1 AND seq <= ?2 ORDER BY seq DESC",
};
static struct statement list_user = {
    .sql = "SELECT seq FROM evaluations INDEXED BY evaluations_user WHERE user = ?1 AND seq <= ?2 ORDER BY seq DESC",
};
static struct statement list_cluster = {
    .sql =
	"SELECT seq FROM evaluations INDEXED BY evaluations_cluster WHERE cluster = ?1 AND seq <= ?2 ORDER BY seq DESC",
};
static struct statement list_model = {
    .sql = "SELECT seq FROM evaluations INDEXED BY evaluations_model WHERE model = ?1 AND seq <= ?2 ORDER BY seq DESC",
};
static struct statement list_config_hash = {
    .sql = "SELECT seq FROM evaluations INDEXED BY evaluations_config_hash WHERE config_hash = ?1 AND seq <= ?2"
	   " ORDER BY seq DESC",
};
/* Few begin with as many digits as the API asks for: they are found by the index, and sorted. Without
 * the '+' older versions of SQLite go through all rows in the order of seq. */
static struct statement list_id = {
    .sql = "SELECT seq FROM evaluations WHERE id >= ?1 AND id < ?1 || 'g' AND +seq <= ?2 ORDER BY +seq DESC",
};
static struct statement list_task = {
    .sql = "SELECT evaluation_seq FROM jobs INDEXED BY jobs_task_evaluation WHERE task = ?1 AND evaluation_seq <= ?2"
	   " ORDER BY evaluation_seq DESC",
};
static struct statement list_label = {
    .sql = "SELECT evaluation FROM labels INDEXED BY labels_value WHERE key = ?1 AND value = ?2 AND evaluation <= ?3"
	   " ORDER BY evaluation DESC",
};

static struct statement list_since = {
    .sql = "SELECT seq FROM evaluations WHERE seq >= ?1 AND created_at >= ?2 AND seq <= ?3 ORDER BY seq DESC",
};
static struct statement list_until = {
    .sql = "SELECT seq FROM evaluations INDEXED BY evaluations_late"
	   " WHERE created_at < created_high AND seq > ?1 AND seq <= ?3 AND created_at < ?2"
	   " UNION ALL SELECT seq FROM evaluations WHERE seq <= min(?1, ?3) ORDER BY 1 DESC",
};

static int add_filters(struct postings *postings, struct db *db, const struct evaluation_filter *filter,
		       struct nel_err *err)
{
	postings_add_text(postings, db, &list_state, filter->state);
	postings_add_text(postings, db, &list_user, filter->user);
	postings_add_text(postings, db, &list_cluster, filter->cluster);
	postings_add_text(postings, db, &list_id, filter->id_start);
	postings_add_text(postings, db, &list_task, filter->task);
	postings_add_text(postings, db, &list_model, filter->model);
	postings_add_text(postings, db, &list_config_hash, filter->config_hash);
	search_add_evaluations(postings, db, filter->search);
	if (filter->label_key != NULL) {
		struct query q = query_start(db, &list_label);
		query_bind_text(&q, filter->label_key);
		query_bind_text(&q, filter->label_value);
		postings_add(postings, q);
	}
	struct created_bounds bounds;
	if (created_bounds_find(db, filter->since_s, filter->until_s, &bounds, err) != 0)
		return -1;
	created_add_postings(postings, db, &list_since, bounds.first, filter->since_s);
	created_add_postings(postings, db, &list_until, bounds.last, filter->until_s);
	if (postings->count == 0)
		postings_add(postings, query_start(db, &list_all));
	return 0;
}

static struct statement by_seq = {.sql = "SELECT " ROW_COLUMNS " FROM evaluations WHERE seq = ?"};

int evaluations_get_at(struct db *db, int64_t seq, struct evaluation_row *ret_row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &by_seq);
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	bool found = false;
	query_bind_int(&q, seq);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_NOTFOUND, "there is no evaluation number %" PRId64, seq);
	read_row(&q, &row);
	if (read_labels(db, &row, err) != 0)
		return -1;
	*ret_row = row;
	row = (struct evaluation_row){0};
	return 0;
}

int evaluations_total(struct db *db, const struct evaluation_filter *filter, int64_t *ret_total, bool *ret_capped,
		      struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	CLEANUP(postings_done) struct postings postings = {0};
	if (scope_begin_read(&scope, db, err) != 0 || add_filters(&postings, db, filter, err) != 0)
		return -1;
	return postings_total(&postings, ret_total, ret_capped, err);
}

/* For postings_list(). */
static struct statement walk_oldest = {
    .sql = "SELECT seq, ?1 FROM evaluations WHERE seq > ?2 ORDER BY seq",
};
static struct statement walk_changed = {
    .sql = "SELECT seq, updated_at FROM evaluations INDEXED BY evaluations_updated"
	   " WHERE (updated_at, seq) < (?1, ?2) ORDER BY updated_at DESC, seq DESC",
};

int evaluations_list(struct db *db, const struct evaluation_filter *filter, struct seq_list *ret_list,
		     struct nel_err *err)
{
	size_t limit = filter->limit < 0 ? 0 : filter->limit < DB_LIST_MAX ? (size_t)filter->limit : DB_LIST_MAX;
	CLEANUP(scope_end) struct scope scope = {NULL};
	CLEANUP(postings_done) struct postings postings = {0};
	if (scope_begin_read(&scope, db, err) != 0 || add_filters(&postings, db, filter, err) != 0)
		return -1;
	return postings_list(&postings, db, filter->sort == LIST_OLDEST ? &walk_oldest : &walk_changed, filter->sort,
			     filter->position, limit, ret_list, err);
}

static int run_on_row(struct query *q, int64_t seq, struct nel_err *err)
{
	query_bind_int(q, seq);
	if (query_run(q, err) != 0)
		return -1;
	return query_changes(q) == 1 ? 0 : err_set(err, NEL_NOTFOUND, "there is no evaluation number %" PRId64, seq);
}

static struct statement set_state = {
    .sql = "UPDATE evaluations SET state = ?1, updated_at = ?2, ended_at = ?3, version = version + 1 WHERE seq = ?4",
};

int evaluations_set_state(struct db *db, int64_t seq, const char *state, int64_t now_s, bool ended, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_state);
	query_bind_text(&q, state);
	query_bind_int(&q, now_s);
	query_bind_int_or_null(&q, ended ? now_s : 0, 0);
	return run_on_row(&q, seq, err);
}

static struct statement touch = {.sql = "UPDATE evaluations SET updated_at = ?1, version = version + 1 WHERE seq = ?2"};

int evaluations_touch(struct db *db, int64_t seq, int64_t now_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &touch);
	query_bind_int(&q, now_s);
	return run_on_row(&q, seq, err);
}

/* Nothing goes on about any job of e. */
#define AT_REST \
	" NOT EXISTS (SELECT 1 FROM jobs j WHERE j.evaluation_seq = e.seq AND" \
	" (j.ended_at IS NULL OR j.collected = 0 OR j.attention = 1 OR j.resume_requested_at IS NOT NULL))"

/* For statements whose parameters are a time and how many rows at most. */
static int run_before(struct db *db, const struct statement *statement, int64_t before_s, int limit, int *ret_count,
		      struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, statement);
	query_bind_int(&q, before_s);
	query_bind_int(&q, limit);
	if (query_run(&q, err) != 0)
		return -1;
	*ret_count = query_changes(&q);
	return 0;
}

#define PRUNED \
	"(SELECT e.seq FROM evaluations e INDEXED BY evaluations_ended" \
	" WHERE e.ended_at < ?1 AND" AT_REST " ORDER BY e.ended_at, e.seq LIMIT ?2)"
/* First, while they are there: no trigger may reach a virtual table. */
static struct statement prune_search = {.sql = "DELETE FROM evaluation_search WHERE rowid IN " PRUNED};
static struct statement prune_job_search = {
    .sql = "DELETE FROM job_search WHERE rowid IN (SELECT seq FROM jobs WHERE evaluation_seq IN " PRUNED ")",
};
static struct statement prune = {.sql = "DELETE FROM evaluations WHERE seq IN " PRUNED};

int evaluations_prune(struct db *db, int64_t ended_before_s, int limit, int *ret_count, struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	if (scope_begin_write(&scope, db, err) != 0 ||
	    run_before(db, &prune_search, ended_before_s, limit, ret_count, err) != 0 ||
	    run_before(db, &prune_job_search, ended_before_s, limit, ret_count, err) != 0 ||
	    run_before(db, &prune, ended_before_s, limit, ret_count, err) != 0)
		return -1;
	return scope_commit(&scope, err);
}

static struct statement set_hash = {
    .sql = "UPDATE evaluations SET config_hash = ?2, version = version + 1 WHERE seq = ?1",
};

int evaluations_set_hash(struct db *db, int64_t seq, const char *config_hash, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_hash);
	query_bind_int(&q, seq);
	query_bind_text(&q, config_hash);
	return query_run(&q, err);
}

static struct statement env_of = {.sql = "SELECT sealed_env FROM evaluation_texts WHERE evaluation = ?"};

int evaluations_get_env(struct db *db, int64_t seq, unsigned char **ret_sealed, size_t *ret_size, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &env_of);
	bool found = false;
	query_bind_int(&q, seq);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_NOTFOUND, "there is no evaluation with the number %" PRId64, seq);
	*ret_sealed = query_blob(&q, ret_size);
	return 0;
}

static struct statement set_env = {.sql = "UPDATE evaluation_texts SET sealed_env = ?1 WHERE evaluation = ?2"};

int evaluations_set_env(struct db *db, int64_t seq, const unsigned char *sealed, size_t size, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_env);
	query_bind_blob(&q, sealed, size);
	return run_on_row(&q, seq, err);
}

static struct statement clear_envs = {
    .sql = "UPDATE evaluation_texts SET sealed_env = NULL WHERE evaluation IN"
	   " (SELECT t.evaluation FROM evaluation_texts t INDEXED BY evaluation_texts_sealed"
	   " CROSS JOIN evaluations e ON e.seq = t.evaluation WHERE t.sealed_env IS NOT NULL"
	   " AND (e.state = 'succeeded' OR e.ended_at < ?1)"
	   " AND" AT_REST " LIMIT ?2)",
};

int evaluations_clear_envs(struct db *db, int64_t ended_before_s, int limit, int *ret_count, struct nel_err *err)
{
	return run_before(db, &clear_envs, ended_before_s, limit, ret_count, err);
}

static struct statement find_label = {
    .sql =
	"SELECT 1 FROM labels WHERE key = substr(?1, 1, instr(?1, ':') - 1) AND value = substr(?1, instr(?1, ':') + 1)"
	" AND evaluation = ?2",
};

int evaluations_has_label(struct db *db, int64_t seq, const char *label, bool *ret_has, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &find_label);
	query_bind_text(&q, label);
	query_bind_int(&q, seq);
	return query_step(&q, ret_has, err);
}

struct statement *const evaluations_statements[] = {&find_label,
						    &insert_evaluation,
						    &insert_texts,
						    &insert_label,
						    &labels_of,
						    &texts_of,
						    &by_id,
						    &list_all,
						    &list_state,
						    &list_id,
						    &list_user,
						    &list_cluster,
						    &list_model,
						    &list_task,
						    &list_label,
						    &list_config_hash,
						    &list_since,
						    &list_until,
						    &by_seq,
						    &walk_oldest,
						    &walk_changed,
						    &set_state,
						    &touch,
						    &prune_search,
						    &prune_job_search,
						    &prune,
						    &env_of,
						    &set_env,
						    &clear_envs,
						    &set_hash,
						    NULL};

/* Owns the tables campaigns, campaign_texts and campaign_values. */
#include "db/campaigns.h"

#include "base/mem.h"
#include "base/str.h"
#include "chain/chain.h"
#include "db/statement.h"

#include <string.h>

static const char *const state_names[] = {"active", "paused", "ended", "cancelled"};
static const char *const order_names[] = {"newest_first", "listed"};

const char *campaign_state_name(enum campaign_state state)
{
	return state_names[state];
}

const char *campaign_order_name(enum campaign_order order)
{
	return order_names[order];
}

int campaign_order_from_name(const char *name, enum campaign_order *ret_order)
{
	for (int i = CAMPAIGN_NEWEST_FIRST; i <= CAMPAIGN_LISTED; i++) {
		if (strcmp(name, order_names[i]) == 0) {
			*ret_order = (enum campaign_order)i;
			return 0;
		}
	}
	return -1;
}

void campaign_row_done(struct campaign_row *row)
{
	free(row->user);
	free(row->name);
	free(row->reason);
	free(row->parameter);
	free(row->convert);
	free(row->overrides);
	free(row->labels);
	free(row->config);
	free(row->sealed_env);
	*row = (struct campaign_row){0};
}

void campaign_list_done(struct campaign_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		campaign_row_done(&list->items[i]);
	free(list->items);
	*list = (struct campaign_list){0};
}

void campaign_value_done(struct campaign_value *value)
{
	free(value->value);
	free(value->error);
	free(value->state);
	free(value->conversion_state);
	free(value->conversion_reason);
	free(value->conversion_waiting_on);
	free(value->conversion_rundir);
	*value = (struct campaign_value){0};
}

void campaign_value_list_done(struct campaign_value_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		campaign_value_done(&list->items[i]);
	free(list->items);
	*list = (struct campaign_value_list){0};
}

static struct statement insert_campaign = {
    .sql = "INSERT INTO campaigns (id, user, account, name, state, reason, parameter, values_order, live,"
	   " config_type, overrides, labels, created_at, updated_at, reuse, convert)"
	   " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
};
static struct statement insert_texts = {
    .sql = "INSERT INTO campaign_texts (campaign, config, sealed_env) VALUES (?, ?, ?)",
};

char *campaigns_env_label(const char *id)
{
	return mem_printf("campaign:%s", id);
}

int campaigns_insert(struct db *db, struct campaign_row *row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &insert_campaign);
	query_bind_text(&q, row->id);
	query_bind_text(&q, row->user);
	query_bind_int(&q, row->account);
	query_bind_text(&q, row->name);
	query_bind_text(&q, campaign_state_name(row->state));
	query_bind_text(&q, row->reason);
	query_bind_text(&q, row->parameter);
	query_bind_text(&q, campaign_order_name(row->order));
	query_bind_int(&q, row->live);
	query_bind_text(&q, row->json ? "application/json" : "application/yaml");
	query_bind_text(&q, row->overrides);
	query_bind_text(&q, row->labels);
	query_bind_int(&q, row->created_at);
	query_bind_int(&q, row->updated_at);
	query_bind_int(&q, row->reuse);
	query_bind_text(&q, row->convert);
	if (query_run(&q, err) != 0)
		return -1;
	row->seq = sqlite3_last_insert_rowid(db->sqlite);
	CLEANUP(query_done) struct query texts = query_start(db, &insert_texts);
	query_bind_int(&texts, row->seq);
	query_bind_text(&texts, row->config);
	query_bind_blob(&texts, row->sealed_env, row->sealed_env_size);
	return query_run(&texts, err);
}

#define CAMPAIGN_COLUMNS \
	"seq, id, user, account, name, state, reason, parameter, values_order, live, config_type, overrides, labels," \
	" created_at, updated_at, reuse, convert"

static enum campaign_state read_state(struct query *q)
{
	char name[16];
	query_text_into(q, name, sizeof name);
	for (int i = CAMPAIGN_ACTIVE; i < CAMPAIGN_CANCELLED; i++)
		if (strcmp(name, state_names[i]) == 0)
			return (enum campaign_state)i;
	return CAMPAIGN_CANCELLED;
}

static void read_campaign(struct query *q, struct campaign_row *row)
{
	char word[24];
	row->seq = query_int(q);
	query_text_into(q, row->id, sizeof row->id);
	row->user = query_text(q);
	row->account = query_int(q) != 0;
	row->name = query_text(q);
	row->state = read_state(q);
	row->reason = query_text(q);
	row->parameter = query_text(q);
	query_text_into(q, word, sizeof word);
	row->order = strcmp(word, "listed") == 0 ? CAMPAIGN_LISTED : CAMPAIGN_NEWEST_FIRST;
	row->live = (int)query_int(q);
	query_text_into(q, word, sizeof word);
	row->json = strcmp(word, "application/json") == 0;
	row->overrides = query_text(q);
	row->labels = query_text(q);
	row->created_at = query_int(q);
	row->updated_at = query_int(q);
	row->reuse = query_int(q) != 0;
	row->convert = query_text(q);
}

static struct statement campaign_by_id = {.sql = "SELECT " CAMPAIGN_COLUMNS " FROM campaigns WHERE id = ?"};

int campaigns_get(struct db *db, const char *id, struct campaign_row *ret_row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &campaign_by_id);
	bool found = false;
	query_bind_text(&q, id);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_NOTFOUND, "no campaign \"%.64s\"", id);
	read_campaign(&q, ret_row);
	return 0;
}

static struct statement texts_of = {.sql = "SELECT config, sealed_env FROM campaign_texts WHERE campaign = ?"};

int campaigns_get_texts(struct db *db, struct campaign_row *row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &texts_of);
	bool found = false;
	query_bind_int(&q, row->seq);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_DB, "campaign %s has no config", row->id);
	free(row->config);
	free(row->sealed_env);
	row->config = query_text(&q);
	row->sealed_env = query_blob(&q, &row->sealed_env_size);
	return 0;
}

static struct statement campaigns_of_user = {
    .sql = "SELECT " CAMPAIGN_COLUMNS " FROM campaigns WHERE seq < ?1 AND user = ?3 ORDER BY seq DESC LIMIT ?2",
};
static struct statement campaigns_of_all = {
    .sql = "SELECT " CAMPAIGN_COLUMNS " FROM campaigns WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
};

int campaigns_list(struct db *db, const char *user, int64_t before_seq, int limit, struct campaign_list *ret_list,
		   struct nel_err *err)
{
	CLEANUP(campaign_list_done) struct campaign_list list = {0};
	CLEANUP(query_done) struct query q = query_start(db, user != NULL ? &campaigns_of_user : &campaigns_of_all);
	query_bind_int(&q, before_seq != 0 ? before_seq : INT64_MAX);
	query_bind_int(&q, limit);
	if (user != NULL)
		query_bind_text(&q, user);
	while (query_next(&q, err))
		read_campaign(&q, ROW_ADD(list.items, list.count));
	if (query_failed(&q))
		return -1;
	*ret_list = list;
	list = (struct campaign_list){0};
	return 0;
}

static struct statement next_open = {
    .sql = "SELECT " CAMPAIGN_COLUMNS " FROM campaigns INDEXED BY campaigns_open"
	   " WHERE state IN ('active', 'paused') AND seq > ? ORDER BY seq LIMIT 1",
};

int campaigns_next_open(struct db *db, int64_t after_seq, struct campaign_row *ret_row, bool *ret_found,
			struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &next_open);
	query_bind_int(&q, after_seq);
	if (query_step(&q, ret_found, err) != 0)
		return -1;
	if (*ret_found)
		read_campaign(&q, ret_row);
	return 0;
}

static struct statement count_open = {
    .sql = "SELECT count(*) FROM campaigns WHERE user = ? AND state IN ('active', 'paused')",
};

int campaigns_count_open(struct db *db, const char *user, int64_t *ret_count, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &count_open);
	bool found = false;
	query_bind_text(&q, user);
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_count = query_int(&q);
	return 0;
}

static struct statement set_state = {
    .sql = "UPDATE campaigns SET state = ?, reason = ?, updated_at = ? WHERE seq = ? AND state = ?",
};

static struct statement forget_env = {.sql = "UPDATE campaign_texts SET sealed_env = NULL WHERE campaign = ?"};

int campaigns_set_state(struct db *db, int64_t seq, enum campaign_state from, enum campaign_state to,
			const char *reason, int64_t now_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_state);
	query_bind_text(&q, campaign_state_name(to));
	query_bind_text(&q, reason);
	query_bind_int(&q, now_s);
	query_bind_int(&q, seq);
	query_bind_text(&q, campaign_state_name(from));
	if (query_run(&q, err) != 0)
		return -1;
	if (query_changes(&q) != 1)
		return err_set(err, NEL_CONFLICT, "the campaign is not %s", campaign_state_name(from));
	if (to != CAMPAIGN_ENDED && to != CAMPAIGN_CANCELLED)
		return 0;
	CLEANUP(query_done) struct query forget = query_start(db, &forget_env);
	query_bind_int(&forget, seq);
	return query_run(&forget, err);
}

static struct statement prune = {
    .sql = "DELETE FROM campaigns WHERE seq IN (SELECT c.seq FROM campaigns c INDEXED BY campaigns_over"
	   " WHERE c.state IN ('ended', 'cancelled') AND c.updated_at < ?1 AND NOT EXISTS"
	   " (SELECT 1 FROM campaign_values v JOIN evaluations e ON e.id IN (v.evaluation, v.conversion)"
	   " WHERE v.campaign = c.seq)"
	   " ORDER BY c.updated_at LIMIT ?2)",
};

int campaigns_prune(struct db *db, int64_t ended_before_s, int limit, int *ret_count, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &prune);
	query_bind_int(&q, ended_before_s);
	query_bind_int(&q, limit);
	if (query_run(&q, err) != 0)
		return -1;
	*ret_count = query_changes(&q);
	return 0;
}

/* --- values --- */

static struct statement insert_value = {
    .sql = "INSERT INTO campaign_values (campaign, position, value, step) VALUES (?, ?, ?, ?)",
};

int campaign_values_insert(struct db *db, int64_t campaign, const struct campaign_value *value, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &insert_value);
	query_bind_int(&q, campaign);
	query_bind_int(&q, value->position);
	query_bind_text(&q, value->value);
	query_bind_int_or_null(&q, value->step, CAMPAIGN_NO_STEP);
	return query_run(&q, err);
}

#define VALUE_COLUMNS \
	"v.position, v.value, v.step, v.evaluation, v.submitted_at, v.error, e.state, v.conversion, cj.state, " \
	"cj.reason," \
	" cj.waiting_on, ce.rundir"
/* A conversion is an evaluation of one job. */
#define VALUE_TABLES(indexed_by) \
	"campaign_values v " indexed_by " LEFT JOIN evaluations e ON e.id = v.evaluation" \
	" LEFT JOIN evaluations ce ON ce.id = v.conversion LEFT JOIN jobs cj ON cj.evaluation_seq = ce.seq"

static void read_value(struct query *q, struct campaign_value *value)
{
	value->position = query_int(q);
	value->value = query_text(q);
	value->step = query_int_or(q, CAMPAIGN_NO_STEP);
	query_text_into(q, value->evaluation, sizeof value->evaluation);
	value->submitted_at = query_int(q);
	value->error = query_text(q);
	value->state = query_text(q);
	query_text_into(q, value->conversion, sizeof value->conversion);
	value->conversion_state = query_text(q);
	value->conversion_reason = query_text(q);
	value->conversion_waiting_on = query_text(q);
	value->conversion_rundir = query_text(q);
}

static bool is_end(const char *state)
{
	enum chain_state read = CHAIN_QUEUED;
	return chain_state_from_name(state, &read) == 0 && chain_state_is_end(read);
}

const char *campaign_value_state(const struct campaign_value *value)
{
	if (value->error != NULL)
		return "refused";
	if (value->evaluation[0] != '\0')
		return value->state != NULL ? value->state : "pruned";
	if (value->conversion[0] == '\0')
		return "waiting";
	if (value->conversion_state == NULL)
		return "pruned";
	if (!is_end(value->conversion_state))
		return "converting";
	return strcmp(value->conversion_state, "succeeded") == 0 ? "converted" : value->conversion_state;
}

bool campaign_value_is_over(const struct campaign_value *value)
{
	static const char *const open[] = {"waiting", "converting", "converted", "queued", "running", NULL};
	return !str_in(campaign_value_state(value), open);
}

static struct statement list_values = {
    .sql = "SELECT " VALUE_COLUMNS " FROM " VALUE_TABLES("") " WHERE v.campaign = ? ORDER BY v.position",
};

int campaign_values_list(struct db *db, int64_t campaign, struct campaign_value_list *ret_list, struct nel_err *err)
{
	CLEANUP(campaign_value_list_done) struct campaign_value_list list = {0};
	CLEANUP(query_done) struct query q = query_start(db, &list_values);
	query_bind_int(&q, campaign);
	while (query_next(&q, err))
		read_value(&q, ROW_ADD(list.items, list.count));
	if (query_failed(&q))
		return -1;
	*ret_list = list;
	list = (struct campaign_value_list){0};
	return 0;
}

static struct statement count_values = {
    .sql = "SELECT count(*) FILTER (WHERE v.evaluation IS NULL AND v.error IS NULL AND v.conversion IS NULL),"
	   " count(*) FILTER (WHERE (e.seq IS NOT NULL AND e.ended_at IS NULL) OR (v.evaluation IS NULL AND v.error IS "
	   "NULL"
	   "  AND ce.seq IS NOT NULL AND (ce.ended_at IS NULL OR ce.state = 'succeeded')))"
	   " FROM campaign_values v LEFT JOIN evaluations e ON e.id = v.evaluation"
	   " LEFT JOIN evaluations ce ON ce.id = v.conversion WHERE v.campaign = ?",
};

int campaign_values_count(struct db *db, int64_t campaign, int64_t *ret_waiting, int64_t *ret_live, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &count_values);
	bool found = false;
	query_bind_int(&q, campaign);
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_waiting = query_int(&q);
	*ret_live = query_int(&q);
	return 0;
}

/* Nulls are the smallest: last in a descending order. */
#define NEXT_VALUE(indexed_by) \
	"SELECT v.position, v.value, v.step, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM " \
	"campaign_values v " indexed_by \
	" WHERE v.campaign = ? AND v.evaluation IS NULL AND v.error IS NULL AND v.conversion IS NULL"

static struct statement next_newest = {
    .sql = NEXT_VALUE("INDEXED BY campaign_values_waiting") " ORDER BY v.step DESC, v.position DESC LIMIT 1"};
static struct statement next_listed = {.sql = NEXT_VALUE("") " ORDER BY v.position LIMIT 1"};

int campaign_values_next(struct db *db, int64_t campaign, enum campaign_order order, struct campaign_value *ret_value,
			 bool *ret_found, struct nel_err *err)
{
	CLEANUP(query_done)
	struct query q = query_start(db, order == CAMPAIGN_NEWEST_FIRST ? &next_newest : &next_listed);
	query_bind_int(&q, campaign);
	if (query_step(&q, ret_found, err) != 0)
		return -1;
	if (*ret_found)
		read_value(&q, ret_value);
	return 0;
}

static struct statement converted = {
    .sql = "SELECT " VALUE_COLUMNS " FROM " VALUE_TABLES(
	"INDEXED BY campaign_values_converting") " WHERE v.campaign = ? AND v.evaluation IS NULL AND v.error IS NULL"
						 " AND v.conversion IS NOT NULL AND ce.state = 'succeeded' ORDER BY "
						 "v.step DESC, v.position DESC LIMIT 1",
};

int campaign_values_converted(struct db *db, int64_t campaign, struct campaign_value *ret_value, bool *ret_found,
			      struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &converted);
	query_bind_int(&q, campaign);
	if (query_step(&q, ret_found, err) != 0)
		return -1;
	if (*ret_found)
		read_value(&q, ret_value);
	return 0;
}

#define WHERE_WAITING " WHERE campaign = ? AND position = ? AND evaluation IS NULL AND error IS NULL"

static int changed_one(const struct query *q, struct nel_err *err)
{
	return query_changes(q) == 1 ? 0
				     : err_set(err, NEL_CONFLICT, "the campaign does not wait for this value any more");
}

#define OF_ACTIVE " AND EXISTS (SELECT 1 FROM campaigns c WHERE c.seq = campaign AND c.state = 'active')"

static struct statement value_converting = {
    .sql = "UPDATE campaign_values SET conversion = ?" WHERE_WAITING " AND conversion IS NULL" OF_ACTIVE,
};

int campaign_values_converting(struct db *db, int64_t campaign, int64_t position, const char *conversion,
			       struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &value_converting);
	query_bind_text(&q, conversion);
	query_bind_int(&q, campaign);
	query_bind_int(&q, position);
	return query_run(&q, err) != 0 ? -1 : changed_one(&q, err);
}

static struct statement value_submitted = {
    .sql = "UPDATE campaign_values SET evaluation = ?, submitted_at = ?" WHERE_WAITING OF_ACTIVE,
};

int campaign_values_submitted(struct db *db, int64_t campaign, int64_t position, const char *evaluation, int64_t now_s,
			      struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &value_submitted);
	query_bind_text(&q, evaluation);
	query_bind_int(&q, now_s);
	query_bind_int(&q, campaign);
	query_bind_int(&q, position);
	return query_run(&q, err) != 0 ? -1 : changed_one(&q, err);
}

static struct statement value_refused = {.sql = "UPDATE campaign_values SET error = ?" WHERE_WAITING};

int campaign_values_refused(struct db *db, int64_t campaign, int64_t position, const char *error, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &value_refused);
	query_bind_text(&q, error);
	query_bind_int(&q, campaign);
	query_bind_int(&q, position);
	return query_run(&q, err) != 0 ? -1 : changed_one(&q, err);
}

struct statement *const campaigns_statements[] = {&insert_campaign,
						  &insert_texts,
						  &campaign_by_id,
						  &texts_of,
						  &campaigns_of_user,
						  &campaigns_of_all,
						  &next_open,
						  &count_open,
						  &set_state,
						  &forget_env,
						  &prune,
						  &insert_value,
						  &list_values,
						  &count_values,
						  &next_newest,
						  &next_listed,
						  &converted,
						  &value_converting,
						  &value_submitted,
						  &value_refused,
						  NULL};

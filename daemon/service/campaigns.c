#include "service/campaigns.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"
#include "config/compose/overrides.h"
#include "config/plan/plan_convert.h"
#include "config/text/reader.h"
#include "db/audit.h"
#include "db/campaign_scores.h"
#include "service/apart.h"
#include "service/campaign_events.h"
#include "service/campaign_runner.h"
#include "service/campaign_step.h"
#include "service/campaign_submit.h"
#include "service/evidence.h"
#include "service/identity_lookup.h"
#include "service/lifecycle.h"
#include "service/secrets.h"
#include "slurm/watch.h"

#include <string.h>

static int check_parameter(const char *parameter, struct nel_err *err)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
	static const char more[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789.-";
	if (strchr(letters, parameter[0]) != NULL && strspn(parameter, more) == strlen(parameter))
		return 0;
	return err_set(err, NEL_INVALID, "parameter must be a key of the config, as deployment.checkpoint_path");
}

/* What a value may be, so that the override that sets it means it and nothing else. */
static int check_value(const char *value, size_t size_max, const char *what, struct nel_err *err)
{
	size_t size = strlen(value);
	if (size == 0 || size > size_max || !utf8_ok(value, size))
		return err_set(err, NEL_INVALID, "%s must have 1 to %zu bytes, in UTF-8", what, size_max);
	if (str_has_control(value) || strpbrk(value, "'\\") != NULL || strstr(value, "${") != NULL)
		return err_set(err, NEL_INVALID,
			       "%s must be without control characters, single quotes, backslashes and ${", what);
	return 0;
}

static int check_watch(struct service *service, struct db *db, const struct actor *actor,
		       const struct campaign_watch *watch, struct nel_err *err)
{
	const struct settings *settings = service->settings;
	const struct settings_cluster *cluster = settings_cluster_by_name(settings, watch->cluster);
	char identity[IDENTITY_NAME_SIZE];
	if (cluster == NULL)
		return err_set(err, NEL_INVALID, "watch.cluster: there is no cluster %s", watch->cluster);
	if (check_value(watch->directory, CAMPAIGN_DIRECTORY_MAX, "watch.directory", err) != 0)
		return -1;
	const char *why = watch->directory[0] != '/'
			      ? "it must be an absolute path"
			      : apart_watch_refusal(watch->directory, !cluster->identity_per_user);
	if (why != NULL)
		return err_set(err, NEL_INVALID, "watch.directory: %s", why);
	if (!watch_pattern_ok(watch->pattern))
		return err_set(
		    err, NEL_INVALID,
		    "watch.pattern must be of letters, digits, . _ = + - and * ? [ ], and not begin with a dot");
	if (watch->ready_file != NULL && !watch_name_ok(watch->ready_file))
		return err_set(err, NEL_INVALID,
			       "watch.ready.file must be a file's name of letters, digits and . _ = + -");
	if (service_identity_name(db, actor, cluster, identity, err) != 0) {
		err->kind = err->kind == NEL_NOTFOUND ? NEL_INVALID : err->kind;
		return err_prefix(err, "watch.cluster");
	}
	return 0;
}

static int check(struct service *service, struct db *db, const struct campaign_request *request, struct nel_err *err)
{
	if (check_parameter(request->parameter, err) != 0)
		return -1;
	if (request->base->override_count >= SUBMIT_OVERRIDES_MAX || request->base->label_count >= SUBMIT_LABELS_MAX)
		return err_set(err, NEL_INVALID,
			       "a campaign has at most %d overrides and %d labels: it adds one of each",
			       SUBMIT_OVERRIDES_MAX - 1, SUBMIT_LABELS_MAX - 1);
	for (size_t i = 0; i < request->base->label_count; i++) {
		const char *label = request->base->labels[i].name;
		if (strcmp(label, CAMPAIGN_LABEL) == 0 ||
		    (request->convert != NULL && strcmp(label, CAMPAIGN_CONVERSION_LABEL) == 0))
			return err_set(err, NEL_INVALID, "the label %s is the campaign's own: leave it out", label);
	}
	for (size_t i = 0; i < request->value_count; i++) {
		char what[32];
		snprintf(what, sizeof what, "values[%zu]", i);
		if (check_value(request->values[i], CAMPAIGN_VALUE_MAX, what, err) != 0)
			return -1;
		if (request->convert != NULL && request->values[i][0] != '/')
			return err_set(err, NEL_INVALID, "%s must be an absolute path, since it is to be converted",
				       what);
	}
	return request->watch != NULL ? check_watch(service, db, request->base->actor, request->watch, err) : 0;
}

static int check_convert(const json_t *convert, struct submit_reply_to_client *reply, struct nel_err *err)
{
	CLEANUP(problems_done) struct problems errors = {0};
	CLEANUP(problems_done) struct problems warnings = {0};
	const struct reader reader = {.errors = &errors, .warnings = &warnings};
	if (convert == NULL)
		return 0;
	plan_convert_check(&reader, convert);
	if (errors.count == 0)
		return 0;
	reply->errors = problems_to_json(&errors);
	return err_set(err, NEL_INVALID, "convert: %s", errors.items[0].message);
}

/* One that stands for them all; free() it. */
static char *first_value(const struct campaign_request *request)
{
	return request->watch != NULL ? mem_printf("%s/checkpoint", request->watch->directory)
				      : mem_strdup(request->values[0]);
}

static int check_first_value(struct service *service, struct db *db, const struct campaign_request *request,
			     const struct campaign_row *row, struct submit_reply_to_client *reply, struct nel_err *err)
{
	CLEANUP(mem_freep) char *value = first_value(request);
	return campaign_check_value(service, db, row, request->base->actor, value, reply, err);
}

/* What the plan warns of the parameter, or of what it lies in, as a key that nothing reads; NULL: nothing. */
static const char *find_unread(const json_t *warnings, const char *parameter)
{
	CLEANUP(mem_freep) char *wanted = override_pointer(parameter);
	size_t i = 0;
	const json_t *warning = NULL;
	json_array_foreach(warnings, i, warning) {
		const char *message = json_string_value(json_object_get(warning, "message"));
		const char *pointer = json_string_value(json_object_get(warning, "pointer"));
		size_t size = strlen(pointer);
		if (str_starts_with(message, READER_UNKNOWN_KEY) && strncmp(wanted, pointer, size) == 0 &&
		    (wanted[size] == '/' || wanted[size] == '\0'))
			return message;
	}
	return NULL;
}

static int refuse_parameter(const char *parameter, const char *warning, struct submit_reply_to_client *reply,
			    struct nel_err *err)
{
	CLEANUP(problems_done) struct problems errors = {0};
	const char *hint = warning != NULL ? strstr(warning, "; ") : NULL;
	problems_add(&errors, "/parameter", 0, 0,
		     "the parameter %s makes no difference: no key of the plan reads it, and every value would be "
		     "the same evaluation%s",
		     parameter, hint != NULL ? hint : "");
	reply->errors = problems_to_json(&errors);
	return err_set(err, NEL_INVALID, "%s", errors.items[0].message);
}

/* The value after the first one, or what might be one. */
static char *second_value(const struct campaign_request *request)
{
	if (request->watch != NULL)
		return mem_printf("%s/checkpoint-2", request->watch->directory);
	return request->value_count > 1 ? mem_strdup(request->values[1]) : mem_printf("%s-2", request->values[0]);
}

/* Does what is hashed of a run not show all keys like this one? Of execution and exports not everything is in it, of
 * variables not which secret they are, and of many tasks only the first. */
static bool is_hidden(const char *parameter)
{
	return str_starts_with(parameter, "execution.") || str_starts_with(parameter, "export.") ||
	       str_starts_with(parameter, "evaluation.tasks.") || strstr(parameter, "env_vars") != NULL;
}

/* A parameter that is mistyped would evaluate one thing as often as there are values. */
static int check_difference(struct service *service, struct db *db, const struct campaign_request *request,
			    const struct campaign_row *row, struct submit_reply_to_client *reply, struct nel_err *err)
{
	const struct actor *actor = request->base->actor;
	CLEANUP(mem_freep) char *first = first_value(request);
	CLEANUP(mem_freep) char *second = second_value(request);
	CLEANUP(submit_reply_to_client_done) struct submit_reply_to_client one = {0};
	CLEANUP(submit_reply_to_client_done) struct submit_reply_to_client other = {0};
	char hashes[2][SECRET_HASH_SIZE];
	struct nel_err why = {0};
	if (strcmp(first, second) == 0)
		return 0;
	if (campaign_plan_run(service, db, row, actor, first, hashes[0], &one, &why) != 0 ||
	    campaign_plan_run(service, db, row, actor, second, hashes[1], &other, &why) != 0) {
		if (why.kind == NEL_INVALID)
			return 0; /* it makes a difference */
		*err = why;
		return -1;
	}
	const char *warning = find_unread(one.warnings, row->parameter);
	bool reads = warning == NULL && is_hidden(row->parameter);
	return reads || strcmp(hashes[0], hashes[1]) != 0 ? 0 : refuse_parameter(row->parameter, warning, reply, err);
}

static int fill_row(const struct campaign_request *request, struct campaign_row *row, struct nel_err *err)
{
	const struct submit_request *base = request->base;
	CLEANUP(json_freep) json_t *overrides = json_array();
	CLEANUP(json_freep) json_t *labels = json_object();
	for (size_t i = 0; i < base->override_count; i++)
		json_array_append_new(overrides, json_string(base->overrides[i]));
	for (size_t i = 0; i < base->label_count; i++)
		json_object_set_new(labels, base->labels[i].name, json_string(base->labels[i].value));
	ids_new_evaluation(row->id);
	row->user = mem_strdup(base->actor->name);
	row->account = base->actor->sign_in == SIGN_IN_ACCOUNT && base->actor->role == ROLE_ADMIN;
	row->name = mem_strdup(request->name);
	row->state = CAMPAIGN_ACTIVE;
	row->parameter = mem_strdup(request->parameter);
	row->order = request->order;
	row->live = request->live;
	row->reuse = base->reuse;
	row->config = mem_strndup(base->text, base->size);
	row->json = base->json;
	row->overrides = json_dumps(overrides, JSON_COMPACT);
	row->labels = json_dumps(labels, JSON_COMPACT);
	row->convert = request->convert != NULL ? json_dumps(request->convert, JSON_COMPACT) : NULL;
	row->created_at = row->updated_at = clock_now_s();
	if (strlen(row->config) != base->size)
		return err_set(err, NEL_INVALID, "config has a NUL character");
	return row->overrides != NULL && row->labels != NULL
		   ? 0
		   : err_set(err, NEL_INVALID, "overrides and labels must be in UTF-8");
}

static int seal_env(struct service *service, const struct submit_request *base, struct campaign_row *row,
		    struct nel_err *err)
{
	CLEANUP(mem_freep) char *label = campaigns_env_label(row->id);
	return secrets_seal_sent(service, base, label, &row->sealed_env, &row->sealed_env_size, err);
}

static int insert_values(struct db *db, const struct campaign_request *request, const struct campaign_row *row,
			 struct nel_err *err)
{
	for (size_t i = 0; i < request->value_count; i++) {
		const struct campaign_value value = {.position = (int64_t)i,
						     .value = (char *)request->values[i],
						     .step = campaign_step_of(request->values[i])};
		if (campaign_values_insert(db, row->seq, &value, err) != 0)
			return err->kind == NEL_CONFLICT
				   ? err_set(err, NEL_INVALID, "values[%zu] stands there already", i)
				   : -1;
		if (campaign_log_value_found(db, row, &value, row->created_at, err) != 0)
			return -1;
	}
	return 0;
}

static int check_baseline(struct db *db, const char *baseline, struct nel_err *err)
{
	if (baseline == NULL || service_check_side(db, baseline, err) == 0)
		return 0;
	if (err->kind == NEL_NOTFOUND || err->kind == NEL_CONFLICT)
		err->kind = NEL_INVALID;
	return err_prefix(err, "baseline");
}

static int check_open(struct db *db, const char *user, struct nel_err *err)
{
	int64_t count = 0;
	if (campaigns_count_open(db, user, &count, err) != 0)
		return -1;
	return count < CAMPAIGNS_OPEN_MAX
		   ? 0
		   : err_set(err, NEL_CONFLICT, "%s has %d campaigns that have not ended: cancel one first", user,
			     (int)count);
}

int service_make_campaign(struct service *service, struct db *db, const struct campaign_request *request,
			  struct submit_reply_to_client *ret_reply, struct nel_err *err)
{
	const struct submit_request *base = request->base;
	CLEANUP(campaign_row_done) struct campaign_row row = {0};
	int found = submit_find_repeat(db, base, clock_now_s(), ret_reply, err);
	if (found != 0)
		return found < 0 ? -1 : 0;
	if (check(service, db, request, err) != 0 || check_convert(request->convert, ret_reply, err) != 0 ||
	    check_baseline(db, request->baseline, err) != 0 || fill_row(request, &row, err) != 0 ||
	    seal_env(service, base, &row, err) != 0 ||
	    check_first_value(service, db, request, &row, ret_reply, err) != 0 ||
	    check_difference(service, db, request, &row, ret_reply, err) != 0)
		return -1;
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0)
		return -1;
	/* Again: two requests with one key may be under way. */
	found = submit_find_repeat(db, base, row.created_at, ret_reply, err);
	if (found != 0)
		return found < 0 ? -1 : 0;
	audit_say(db, row.id, NULL);
	if (check_open(db, row.user, err) != 0 || campaigns_insert(db, &row, err) != 0 ||
	    campaign_baseline_set(db, row.seq, request->baseline, err) != 0 ||
	    insert_values(db, request, &row, err) != 0 ||
	    (request->watch != NULL && campaign_watches_insert(db, row.seq, request->watch, err) != 0) ||
	    service_note_idempotent(db, row.user, &base->idempotency, row.id, row.created_at, err) != 0 ||
	    db_commit(db, err) != 0)
		return -1;
	memcpy(ret_reply->id, row.id, sizeof row.id);
	log_info("campaign made", LOG_S("campaign", row.id), LOG_S("user", row.user),
		 LOG_N("values", (int64_t)request->value_count));
	campaign_runner_wake(service->campaigns);
	return 0;
}

/* Within a transaction. */
static int change(struct db *db, const struct campaign_row *row, enum campaign_state to, struct nel_err *err)
{
	if (row->state == to)
		return 0;
	if (row->state == CAMPAIGN_ENDED || row->state == CAMPAIGN_CANCELLED)
		return err_set(err, NEL_CONFLICT, "the campaign has %s",
			       row->state == CAMPAIGN_ENDED ? "ended" : "been cancelled");
	int64_t now_s = clock_now_s();
	if (campaigns_set_state(db, row->seq, row->state, to, NULL, now_s, err) != 0)
		return -1;
	return to == CAMPAIGN_CANCELLED ? campaign_log_ended(db, row, to, now_s, err) : 0;
}

static int ask(struct db *db, const struct actor *actor, const char *id, enum campaign_state to,
	       struct campaign_row *row, struct nel_err *err)
{
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0 || campaigns_get(db, id, row, err) != 0 ||
	    service_check_owner(actor, row->user, err) != 0 || change(db, row, to, err) != 0 || db_commit(db, err) != 0)
		return -1;
	if (row->state != to)
		log_info("campaign's state", LOG_S("campaign", id), LOG_S("to", campaign_state_name(to)),
			 LOG_S("user", actor->name));
	return 0;
}

int service_pause_campaign(struct service *service, struct db *db, const struct actor *actor, const char *id,
			   struct nel_err *err)
{
	(void)service;
	CLEANUP(campaign_row_done) struct campaign_row row = {0};
	return ask(db, actor, id, CAMPAIGN_PAUSED, &row, err);
}

int service_resume_campaign(struct service *service, struct db *db, const struct actor *actor, const char *id,
			    struct nel_err *err)
{
	CLEANUP(campaign_row_done) struct campaign_row row = {0};
	if (ask(db, actor, id, CAMPAIGN_ACTIVE, &row, err) != 0)
		return -1;
	campaign_runner_wake(service->campaigns);
	return 0;
}

/* An evaluation's state; NULL: there is none. */
static bool is_live(const char *state)
{
	return state != NULL && (strcmp(state, "queued") == 0 || strcmp(state, "running") == 0);
}

int service_cancel_campaign(struct service *service, struct db *db, const struct actor *actor, const char *id,
			    struct nel_err *err)
{
	CLEANUP(campaign_row_done) struct campaign_row row = {0};
	CLEANUP(campaign_value_list_done) struct campaign_value_list values = {0};
	if (ask(db, actor, id, CAMPAIGN_CANCELLED, &row, err) != 0 ||
	    campaign_values_list(db, row.seq, &values, err) != 0)
		return -1;
	for (size_t i = 0; i < values.count; i++) {
		const struct campaign_value *value = &values.items[i];
		bool converts = strcmp(campaign_value_state(value), "converting") == 0;
		const char *evaluation = converts                ? value->conversion
					 : is_live(value->state) ? value->evaluation
								 : NULL;
		if (evaluation != NULL && service_cancel_evaluation(service, db, actor, evaluation, err) != 0)
			return -1;
	}
	return 0;
}

#include "service/campaign_submit.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/secret.h"
#include "slurm/script.h"

#include <string.h>

/* A submission made of a campaign's row, and what it borrows from. */
struct value_request {
	json_t *overrides;
	json_t *labels;
	json_t *env;     /* secrets */
	json_t *convert; /* NULL: it is no conversion */
	char *set_value; /* the override of the parameter */
	const char **override_items;
	struct name_value *label_items;
	struct name_value *env_items;
	struct submit_request submit;
};

static void value_request_done(struct value_request *r)
{
	json_decref(r->overrides);
	json_decref(r->labels);
	secret_free_json(r->env);
	json_decref(r->convert);
	free(r->set_value);
	free(r->override_items);
	free(r->label_items);
	free(r->env_items);
	*r = (struct value_request){0};
}

static struct name_value *list_pairs(json_t *object, size_t more)
{
	struct name_value *items = mem_calloc(json_object_size(object) + more, sizeof *items);
	size_t count = 0;
	const char *name = NULL;
	json_t *value = NULL;
	json_object_foreach(object, name, value)
		items[count++] = (struct name_value){name, json_string_value(value)};
	return items;
}

static int open_env(struct service *service, const struct campaign_row *campaign, json_t **ret_env, struct nel_err *err)
{
	if (campaign->sealed_env == NULL)
		return 0;
	CLEANUP(mem_freep) char *label = campaigns_env_label(campaign->id);
	if (secret_open_json(service->master_key, label, campaign->sealed_env, campaign->sealed_env_size, ret_env,
			     err) == 0)
		return 0;
	/* That the key does not fit is no fault of the campaign's. */
	err->kind = NEL_INTERNAL;
	return -1;
}

/* value: what the parameter is set to. */
static int value_request_init(struct service *service, const struct campaign_row *campaign, const struct actor *actor,
			      const char *value, struct value_request *r, struct nel_err *err)
{
	r->overrides = json_loads(campaign->overrides, 0, NULL);
	r->labels = json_loads(campaign->labels, 0, NULL);
	if (!json_is_array(r->overrides) || !json_is_object(r->labels))
		return err_set(err, NEL_DB, "campaign %s cannot be read", campaign->id);
	if (open_env(service, campaign, &r->env, err) != 0)
		return -1;
	size_t label_count = json_object_size(r->labels);
	size_t i = 0;
	const json_t *item = NULL;
	/* Last, so that it holds whatever the others say; quoted, so that it is a text whatever it looks like. */
	r->set_value = mem_printf("++%s='%s'", campaign->parameter, value);
	r->override_items = mem_calloc(json_array_size(r->overrides) + 1, sizeof *r->override_items);
	json_array_foreach(r->overrides, i, item)
		r->override_items[i] = json_string_value(item);
	r->override_items[i] = r->set_value;
	r->label_items = list_pairs(r->labels, 1);
	r->label_items[label_count] = (struct name_value){CAMPAIGN_LABEL, campaign->id};
	r->env_items = list_pairs(r->env, 1);
	r->submit = (struct submit_request){.actor = actor,
					    .text = campaign->config,
					    .size = strlen(campaign->config),
					    .json = campaign->json,
					    .reuse = campaign->reuse,
					    .overrides = r->override_items,
					    .override_count = json_array_size(r->overrides) + 1,
					    .labels = r->label_items,
					    .label_count = label_count + 1,
					    .env = r->env_items,
					    .env_count = json_object_size(r->env)};
	return 0;
}

static int read_convert(const struct campaign_row *campaign, json_t **ret_convert, struct nel_err *err)
{
	*ret_convert = json_loads(campaign->convert, 0, NULL);
	return *ret_convert != NULL ? 0 : err_set(err, NEL_DB, "campaign %s cannot be read", campaign->id);
}

/* Of the value's conversion. */
static int conversion_request_init(struct service *service, const struct campaign_row *campaign,
				   const struct actor *actor, const char *value, struct value_request *r,
				   struct nel_err *err)
{
	if (value[0] != '/')
		return err_set(err, NEL_INVALID, "%s is no absolute path, and so nothing that can be converted", value);
	if (value_request_init(service, campaign, actor, value, r, err) != 0 ||
	    read_convert(campaign, &r->convert, err) != 0)
		return -1;
	r->label_items[r->submit.label_count - 1].name = CAMPAIGN_CONVERSION_LABEL;
	r->submit.reuse = false; /* what was converted lies in its own run directory */
	r->submit.convert = r->convert;
	r->submit.checkpoint = value;
	return 0;
}

/* What is evaluated of a conversion's run directory; free() it. NULL on error. */
static char *converted_of(const struct campaign_row *campaign, const char *rundir, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *convert = NULL;
	if (read_convert(campaign, &convert, err) != 0)
		return NULL;
	const char *output = json_string_value(json_object_get(convert, "output"));
	return script_converted(rundir, output != NULL ? output : "");
}

static int check_conversion(struct service *service, struct db *db, const struct campaign_row *campaign,
			    const struct actor *actor, const char *value, char **ret_converted,
			    struct submit_reply_to_client *ret_reply, struct nel_err *err)
{
	CLEANUP(value_request_done) struct value_request request = {0};
	CLEANUP(submit_reply_to_client_done) struct submit_reply_to_client reply = {0};
	if (conversion_request_init(service, campaign, actor, value, &request, err) != 0)
		return -1;
	if (service_plan(service, db, &request.submit, &reply, err) != 0) {
		ret_reply->errors = TAKE(reply.errors);
		ret_reply->warnings = TAKE(reply.warnings);
		return err_prefix(err, "convert");
	}
	*ret_converted = converted_of(campaign, json_string_value(json_object_get(reply.dry_run, "rundir")), err);
	return *ret_converted != NULL ? 0 : -1;
}

int campaign_check_value(struct service *service, struct db *db, const struct campaign_row *campaign,
			 const struct actor *actor, const char *value, struct submit_reply_to_client *ret_reply,
			 struct nel_err *err)
{
	CLEANUP(value_request_done) struct value_request request = {0};
	CLEANUP(mem_freep) char *converted = NULL;
	if (campaign->convert != NULL &&
	    check_conversion(service, db, campaign, actor, value, &converted, ret_reply, err) != 0)
		return -1;
	if (value_request_init(service, campaign, actor, converted != NULL ? converted : value, &request, err) != 0)
		return -1;
	return service_plan(service, db, &request.submit, ret_reply, err);
}

int campaign_plan_run(struct service *service, struct db *db, const struct campaign_row *campaign,
		      const struct actor *actor, const char *value, char ret_hash[SECRET_HASH_SIZE],
		      struct submit_reply_to_client *ret_reply, struct nel_err *err)
{
	CLEANUP(value_request_done) struct value_request request = {0};
	if (value_request_init(service, campaign, actor, value, &request, err) != 0)
		return -1;
	return service_plan_run(service, db, &request.submit, ret_hash, ret_reply, err);
}

struct place {
	int64_t campaign;
	int64_t position;
};

static int note_submitted(struct db *db, const char *evaluation, void *arg, struct nel_err *err)
{
	const struct place *place = arg;
	return campaign_values_submitted(db, place->campaign, place->position, evaluation, clock_now_s(), err);
}

static int note_converting(struct db *db, const char *evaluation, void *arg, struct nel_err *err)
{
	const struct place *place = arg;
	return campaign_values_converting(db, place->campaign, place->position, evaluation, err);
}

int campaign_submit_conversion(struct service *service, struct db *db, const struct campaign_row *campaign,
			       const struct actor *actor, const struct campaign_value *value,
			       struct submit_reply_to_client *ret_reply, struct nel_err *err)
{
	struct place place = {campaign->seq, value->position};
	CLEANUP(value_request_done) struct value_request request = {0};
	if (conversion_request_init(service, campaign, actor, value->value, &request, err) != 0)
		return -1;
	request.submit.within = note_converting;
	request.submit.within_arg = &place;
	return service_submit(service, db, &request.submit, ret_reply, err);
}

int campaign_submit_value(struct service *service, struct db *db, const struct campaign_row *campaign,
			  const struct actor *actor, const struct campaign_value *value,
			  struct submit_reply_to_client *ret_reply, struct nel_err *err)
{
	struct place place = {campaign->seq, value->position};
	CLEANUP(value_request_done) struct value_request request = {0};
	CLEANUP(mem_freep) char *converted = NULL;
	if (campaign->convert != NULL && (converted = converted_of(campaign, value->conversion_rundir, err)) == NULL)
		return -1;
	if (value_request_init(service, campaign, actor, converted != NULL ? converted : value->value, &request, err) !=
	    0)
		return -1;
	request.submit.within = note_submitted;
	request.submit.within_arg = &place;
	return service_submit(service, db, &request.submit, ret_reply, err);
}

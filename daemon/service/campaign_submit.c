#include "service/campaign_submit.h"

#include "base/clock.h"
#include "base/mem.h"

#include <string.h>

/* A submission made of a campaign's row, and what it borrows from. */
struct value_request {
	json_t *overrides;
	json_t *labels;
	char *set_value; /* the override of the parameter */
	const char **override_items;
	struct name_value *label_items;
	struct submit_request submit;
};

static void value_request_done(struct value_request *r)
{
	json_decref(r->overrides);
	json_decref(r->labels);
	free(r->set_value);
	free(r->override_items);
	free(r->label_items);
	*r = (struct value_request){0};
}

static int value_request_init(const struct campaign_row *campaign, const struct actor *actor, const char *value,
			      struct value_request *r, struct nel_err *err)
{
	r->overrides = json_loads(campaign->overrides, 0, NULL);
	r->labels = json_loads(campaign->labels, 0, NULL);
	if (!json_is_array(r->overrides) || !json_is_object(r->labels))
		return err_set(err, NEL_DB, "campaign %s cannot be read", campaign->id);
	size_t count = 0;
	size_t i = 0;
	const json_t *item = NULL;
	const char *key = NULL;
	json_t *label = NULL;
	/* Last, so that it holds whatever the others say; quoted, so that it is a text whatever it looks like. */
	r->set_value = mem_printf("++%s='%s'", campaign->parameter, value);
	r->override_items = mem_calloc(json_array_size(r->overrides) + 1, sizeof *r->override_items);
	json_array_foreach(r->overrides, i, item)
		r->override_items[i] = json_string_value(item);
	r->override_items[i] = r->set_value;
	r->label_items = mem_calloc(json_object_size(r->labels) + 1, sizeof *r->label_items);
	json_object_foreach(r->labels, key, label)
		r->label_items[count++] = (struct name_value){key, json_string_value(label)};
	r->label_items[count++] = (struct name_value){CAMPAIGN_LABEL, campaign->id};
	r->submit = (struct submit_request){.actor = actor,
					    .text = campaign->config,
					    .size = strlen(campaign->config),
					    .json = campaign->json,
					    .overrides = r->override_items,
					    .override_count = json_array_size(r->overrides) + 1,
					    .labels = r->label_items,
					    .label_count = count};
	return 0;
}

int campaign_check_value(struct service *service, struct db *db, const struct campaign_row *campaign,
			 const struct actor *actor, const char *value, struct submit_reply_to_client *ret_reply,
			 struct nel_err *err)
{
	CLEANUP(value_request_done) struct value_request request = {0};
	if (value_request_init(campaign, actor, value, &request, err) != 0)
		return -1;
	return service_plan(service, db, &request.submit, ret_reply, err);
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

int campaign_submit_value(struct service *service, struct db *db, const struct campaign_row *campaign,
			  const struct actor *actor, const struct campaign_value *value,
			  struct submit_reply_to_client *ret_reply, struct nel_err *err)
{
	struct place place = {campaign->seq, value->position};
	CLEANUP(value_request_done) struct value_request request = {0};
	if (value_request_init(campaign, actor, value->value, &request, err) != 0)
		return -1;
	request.submit.within = note_submitted;
	request.submit.within_arg = &place;
	return service_submit(service, db, &request.submit, ret_reply, err);
}

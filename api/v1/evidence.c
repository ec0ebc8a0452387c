/* Handlers of comparisons of two runs, and of the gate. */
#include "service/evidence.h"
#include "api/http/body.h"
#include "api/http/handlers.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "api/v1/differs.h"
#include "api/v1/read.h"
#include "api/v1/render.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "service/gate.h"

#include <math.h>

#define SIDE_MAX 4096 /* bytes of an id, or of a model's name */
#define FLIPS_MAX 100 /* listed of each score */

static void render_side(struct json_out *out, const char *name, const struct evidence_side *side)
{
	out_object(out, name);
	out_string(out, "evaluation", side->evaluation);
	out_string(out, "job", side->job);
	out_string(out, "model", side->model);
	out_end(out);
}

/* What makes the two unlike, beside what was evaluated. */
static void render_differs(struct json_out *out, const struct evidence_item *item)
{
	CLEANUP(json_freep) json_t *names = json_object();
	if (item->a->basis->protocol != item->b->basis->protocol || item->a->basis->protocol == 0) {
		const char *a_text = item->a->basis->protocol_parts, *b_text = item->b->basis->protocol_parts;
		CLEANUP(json_freep) json_t *a = a_text != NULL ? json_loads(a_text, 0, NULL) : NULL;
		CLEANUP(json_freep) json_t *b = b_text != NULL ? json_loads(b_text, 0, NULL) : NULL;
		if (a == NULL && b == NULL)
			json_object_set_new(names, "unknown", json_true());
		else
			differs_add(names, a, b);
	}
	differs_render(out, "differs", names);
}

static void render_unpaired(struct json_out *out, const struct evidence_item *item)
{
	if (!item->sampled) {
		out_null(out, "unpaired");
		return;
	}
	out_object(out, "unpaired");
	out_int(out, "a", (int64_t)item->comparison.only_a);
	out_int(out, "b", (int64_t)item->comparison.only_b);
	out_end(out);
}

static void render_sample_link(struct json_out *out, const char *name, const char *job, size_t number)
{
	CLEANUP(mem_freep) char *path = mem_printf("/v1/jobs/%s/samples/%zu", job, number);
	out_string(out, name, path);
}

/* flipped: with the list of them. */
static void render_flips(struct json_out *out, const struct evidence_item *item, bool flipped)
{
	const struct comparison *found = &item->comparison;
	if (found->method == COMPARE_INDEPENDENT) {
		out_null(out, "flips");
		return;
	}
	out_object(out, "flips");
	out_int(out, "better", (int64_t)(item->lower_is_better ? found->worse : found->better));
	out_int(out, "worse", (int64_t)(item->lower_is_better ? found->better : found->worse));
	if (flipped) {
		out_array(out, "samples");
		for (size_t i = 0; i < item->flips.count; i++) {
			const struct flip *flip = &item->flips.items[i];
			out_object(out, NULL);
			out_int_or_null(out, "id", flip->id, flip->id >= 0);
			out_double(out, "a", flip->a);
			out_double(out, "b", flip->b);
			render_sample_link(out, "a_sample", item->a->job, flip->a_n);
			render_sample_link(out, "b_sample", item->b->job, flip->b_n);
			out_end(out);
		}
		out_end(out);
		out_int(out, "more", (int64_t)item->flips.more);
	}
	out_end(out);
}

static void render_comparison(struct json_out *out, const struct evidence_item *item, bool flipped)
{
	const struct comparison *found = &item->comparison;
	out_string(out, "metric", item->a->row.metric);
	out_string(out, "score", item->a->row.score);
	out_double(out, "a", found->a);
	out_double(out, "b", found->b);
	out_double(out, "difference", found->difference);
	render_interval(out, "ci95", found->ci);
	out_int(out, "pairs", (int64_t)found->pairs);
	out_string(out, "method", compare_method_names[found->method]);
	out_double(out, "p", found->p);
	out_double(out, "p_adjusted", item->p_adjusted);
	out_double(out, "detectable", found->detectable);
	out_bool(out, "lower_is_better", item->lower_is_better);
	out_string(out, "verdict", compare_verdict_names[item->verdict]);
	render_unpaired(out, item);
	render_flips(out, item, flipped);
	out_string(out, "a_job", item->a->job);
	out_string(out, "b_job", item->b->job);
	render_differs(out, item);
}

static void render_only(struct json_out *out, const char *name, const struct result_of_job *const *scores, size_t count)
{
	out_array(out, name);
	for (size_t i = 0; i < count; i++) {
		out_object(out, NULL);
		out_string(out, "task", scores[i]->row.task);
		out_bool(out, "group", scores[i]->row.group);
		out_string(out, "metric", scores[i]->row.metric);
		out_string(out, "score", scores[i]->row.score);
		out_string(out, "job", scores[i]->job);
		out_end(out);
	}
	out_end(out);
}

static int wanted_side(const struct request *request, const char *name, const char **ret_side, struct nel_err *err)
{
	*ret_side = query_get(&request->query, name);
	if (*ret_side != NULL)
		return 0;
	return err_set(err, NEL_INVALID,
		       "query parameter \"%s\" is missing: an evaluation's or a job's id, or model:NAME", name);
}

int api_compareScores(struct request *request, struct nel_err *err)
{
	CLEANUP(evidence_done) struct evidence evidence = {0};
	const char *a = NULL;
	const char *b = NULL;
	bool flipped = false;
	struct db *db = NULL;
	if (query_get_bool(&request->query, "flips", false, &flipped, err) != 0 ||
	    wanted_side(request, "a", &a, err) != 0 || wanted_side(request, "b", &b, err) != 0 ||
	    request_read_db(request, &db, err) != 0)
		return -1;
	if (read_list_is_known(request))
		return 0;
	if (service_compare(db, a, b, flipped ? FLIPS_MAX : 0, &evidence, err) != 0)
		return -1;
	struct json_out body = {0};
	out_object(&body, NULL);
	render_side(&body, "a", &evidence.a);
	render_side(&body, "b", &evidence.b);
	out_array(&body, "items");
	for (size_t i = 0; i < evidence.count; i++) {
		out_object(&body, NULL);
		out_string(&body, "task", evidence.items[i].a->row.task);
		out_bool(&body, "group", evidence.items[i].a->row.group);
		render_comparison(&body, &evidence.items[i], flipped);
		out_end(&body);
	}
	out_end(&body);
	render_only(&body, "only_a", evidence.only_a, evidence.only_a_count);
	render_only(&body, "only_b", evidence.only_b, evidence.only_b_count);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

static void render_rule(struct json_out *out, const struct gate_rule *rule)
{
	out_object(out, NULL);
	out_string(out, "task", rule->task);
	out_string(out, "level", gate_level_names[rule->level]);
	out_double(out, "drop", rule->drop);
	out_int(out, "least_pairs", rule->least_pairs);
	out_string(out, "outcome", gate_outcome_names[rule->outcome]);
	out_string(out, "why", rule->why);
	if (rule->item != NULL) {
		out_object(out, "comparison");
		out_bool(out, "group", rule->item->a->row.group);
		render_comparison(out, rule->item, false);
		out_end(out);
	} else {
		out_null(out, "comparison");
	}
	out_end(out);
}

int api_runGate(struct request *request, struct nel_err *err)
{
	static const char *const fields[] = {"baseline", "candidate", "policy", NULL};
	CLEANUP(json_freep) json_t *body = NULL;
	CLEANUP(gate_done) struct gate gate = {0};
	const char *baseline = NULL;
	const char *candidate = NULL;
	struct db *db = NULL;
	if (body_object(request, fields, &body, err) != 0 ||
	    body_text(body, "baseline", true, 1, SIDE_MAX, &baseline, err) != 0 ||
	    body_text(body, "candidate", true, 1, SIDE_MAX, &candidate, err) != 0 ||
	    request_read_db(request, &db, err) != 0 ||
	    service_gate(db, baseline, candidate, json_object_get(body, "policy"), &gate, err) != 0)
		return -1;
	struct json_out out = {0};
	out_object(&out, NULL);
	out_string(&out, "verdict", gate_verdict_names[gate.verdict]);
	render_side(&out, "baseline", &gate.evidence.a);
	render_side(&out, "candidate", &gate.evidence.b);
	out_array(&out, "rules");
	for (size_t i = 0; i < gate.count; i++)
		render_rule(&out, &gate.rules[i]);
	out_end(&out);
	out_end(&out);
	return reply_json_text(request, MHD_HTTP_OK, &out.text, err);
}

#include "sched/placement_document.h"

#include "base/clock.h"
#include "base/json_or_null.h"

#include <string.h>

static const char *const state_names[] = {"choosing", "placed", "withdrawing", "leaving", "settled"};
static const char *const answer_names[] = {"starts", "takes", "refused", "silent", "left_out"};

const char *placement_state_name(enum placement_state state)
{
	return state_names[state];
}

enum placement_state placement_state_from(const char *name)
{
	for (size_t i = 0; name != NULL && i < sizeof state_names / sizeof state_names[0]; i++)
		if (strcmp(name, state_names[i]) == 0)
			return (enum placement_state)i;
	return PLACEMENT_SETTLED;
}

const char *placement_document_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

int64_t placement_document_time(const json_t *object, const char *key)
{
	int64_t at_s = 0;
	const char *text = placement_document_text(object, key);
	return text != NULL && clock_parse_rfc3339(text, &at_s) == 0 ? at_s : 0;
}

static bool has_answer(const json_t *candidate, enum placement_answer answer)
{
	const char *name = placement_document_text(candidate, "answer");
	return name != NULL && strcmp(name, answer_names[answer]) == 0;
}

json_t *placement_document_candidates(const json_t *document)
{
	return json_object_get(document, "candidates");
}

json_t *placement_document_candidate(const json_t *document, const char *cluster)
{
	size_t i;
	json_t *candidate;
	json_array_foreach(placement_document_candidates(document), i, candidate)
		if (strcmp(placement_document_text(candidate, "cluster"), cluster) == 0)
			return candidate;
	return NULL;
}

bool placement_document_is_open(const json_t *candidate)
{
	return !has_answer(candidate, ANSWER_LEFT_OUT) && !json_is_true(json_object_get(candidate, "had"));
}

bool placement_document_has_open(const json_t *document)
{
	size_t i;
	json_t *candidate;
	json_array_foreach(placement_document_candidates(document), i, candidate)
		if (placement_document_is_open(candidate))
			return true;
	return false;
}

bool placement_document_take(json_t *document, const char *cluster, enum placement_answer answer,
			     int64_t expected_start, const char *message)
{
	json_t *candidate = placement_document_candidate(document, cluster);
	if (candidate == NULL || json_object_get(candidate, "answer") != json_null())
		return false;
	json_object_set_new(candidate, "answer", json_string(answer_names[answer]));
	json_object_set_new(candidate, "expected_start", json_or_null_time(expected_start));
	json_object_set_new(candidate, "message", json_or_null_text(message));
	json_object_set_new(candidate, "asked_at", json_or_null_time(clock_now_s()));
	return true;
}

static bool would_take(const json_t *candidate)
{
	return has_answer(candidate, ANSWER_STARTS) || has_answer(candidate, ANSWER_TAKES);
}

const char *placement_document_best(const json_t *document)
{
	const json_t *best = NULL;
	size_t i;
	json_t *candidate;
	json_array_foreach(placement_document_candidates(document), i, candidate) {
		if (!placement_document_is_open(candidate) || !would_take(candidate))
			continue;
		bool starts = has_answer(candidate, ANSWER_STARTS);
		bool sooner = best == NULL || (starts && !has_answer(best, ANSWER_STARTS)) ||
			      (starts && placement_document_time(candidate, "expected_start") <
					     placement_document_time(best, "expected_start"));
		if (sooner)
			best = candidate;
	}
	return best != NULL ? placement_document_text(best, "cluster") : NULL;
}

const char *placement_document_choice(const json_t *document)
{
	const char *best = placement_document_best(document);
	size_t i;
	json_t *candidate;
	if (best != NULL)
		return best;
	json_array_foreach(placement_document_candidates(document), i, candidate) {
		if (!placement_document_is_open(candidate))
			continue;
		if (!has_answer(candidate, ANSWER_REFUSED))
			return NULL;
		best = best != NULL ? best : placement_document_text(candidate, "cluster");
	}
	return best;
}

void placement_document_describe(const json_t *document, struct str *text)
{
	size_t i;
	json_t *candidate;
	json_array_foreach(placement_document_candidates(document), i, candidate) {
		const char *start = placement_document_text(candidate, "expected_start");
		const char *message = placement_document_text(candidate, "message");
		str_appendf(text, "%s%s: ", i > 0 ? "; " : "", placement_document_text(candidate, "cluster"));
		if (!placement_document_is_open(candidate) && !has_answer(candidate, ANSWER_LEFT_OUT))
			str_append(text, "has had it");
		else if (has_answer(candidate, ANSWER_STARTS))
			str_appendf(text, "would start at %s", start != NULL ? start : "an unknown time");
		else if (has_answer(candidate, ANSWER_TAKES))
			str_append(text, "would take it");
		else
			str_append(text, message != NULL ? message : "not asked");
	}
}

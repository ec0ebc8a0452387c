#include "slurm/sample_line.h"

#include "base/utf8.h"

#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64 /* of lists and objects in each other */
#define NUMBER_MAX 63

enum kind {
	KIND_NONE, /* not JSON */
	KIND_STRING,
	KIND_NUMBER,
	KIND_TRUE,
	KIND_FALSE,
	KIND_NULL,
	KIND_LIST,
	KIND_OBJECT,
};

/* A value where it stands; of a string without its quotes. */
struct value {
	enum kind kind;
	struct sample_span text;
};

struct scan {
	const char *at;
	const char *end;
};

/* What a line may turn out to say, in whatever order its members stand. */
struct members {
	struct sample_metric candidates[SAMPLE_CANDIDATES_MAX];
	size_t count;
	struct value names; /* the list of metrics, when there is one */
	struct value id, repeat, filter;
	struct value hash, other_hash, last_hash;
};

static void skip_space(struct scan *scan)
{
	while (scan->at < scan->end && memchr(" \t\r\n", *scan->at, 4) != NULL)
		scan->at++;
}

static bool take(struct scan *scan, char c)
{
	skip_space(scan);
	if (scan->at == scan->end || *scan->at != c)
		return false;
	scan->at++;
	return true;
}

static struct value read_string(struct scan *scan)
{
	struct value value = {KIND_NONE, {scan->at + 1, 0}};
	for (const char *at = scan->at + 1; at < scan->end; at++) {
		if ((unsigned char)*at < 0x20)
			break;
		if (*at == '"') {
			value.kind = KIND_STRING;
			value.text.size = (size_t)(at - value.text.data);
			scan->at = at + 1;
			break;
		}
		at += *at == '\\' && at + 1 < scan->end;
	}
	return value;
}

static struct value read_word(struct scan *scan)
{
	static const struct {
		const char *word;
		enum kind kind;
	} words[] = {{"true", KIND_TRUE},  {"false", KIND_FALSE},     {"null", KIND_NULL},
		     {"NaN", KIND_NUMBER}, {"Infinity", KIND_NUMBER}, {"-Infinity", KIND_NUMBER}};
	static const char digits[] = "+-.0123456789Ee";
	struct value value = {KIND_NONE, {scan->at, 0}};
	size_t left = (size_t)(scan->end - scan->at);
	for (size_t i = 0; i < sizeof words / sizeof words[0] && value.kind == KIND_NONE; i++) {
		size_t size = strlen(words[i].word);
		if (size <= left && memcmp(scan->at, words[i].word, size) == 0)
			value = (struct value){words[i].kind, {scan->at, size}};
	}
	if (value.kind == KIND_NONE && left > 0 && (*scan->at == '-' || (*scan->at >= '0' && *scan->at <= '9'))) {
		value.kind = KIND_NUMBER;
		while (value.text.size < left && memchr(digits, scan->at[value.text.size], sizeof digits - 1) != NULL)
			value.text.size++;
	}
	scan->at += value.text.size;
	return value;
}

/* Passes over a list or an object; what is in it is held to its strings and brackets alone. */
static struct value read_nested(struct scan *scan)
{
	struct value value = {*scan->at == '[' ? KIND_LIST : KIND_OBJECT, {scan->at, 0}};
	char closing[DEPTH_MAX];
	size_t depth = 0;
	do {
		char c = *scan->at;
		if (c == '"') {
			if (read_string(scan).kind == KIND_NONE)
				return (struct value){0};
			continue;
		}
		if (c == '[' || c == '{') {
			if (depth == DEPTH_MAX)
				return (struct value){0};
			closing[depth++] = c == '[' ? ']' : '}';
		} else if (c == ']' || c == '}') {
			if (closing[--depth] != c)
				return (struct value){0};
		} else if (c == '\0') {
			return (struct value){0};
		}
		scan->at++;
	} while (depth > 0 && scan->at < scan->end);
	if (depth > 0)
		return (struct value){0};
	value.text.size = (size_t)(scan->at - value.text.data);
	return value;
}

static struct value read_value(struct scan *scan)
{
	skip_space(scan);
	if (scan->at == scan->end)
		return (struct value){0};
	if (*scan->at == '"')
		return read_string(scan);
	if (*scan->at == '[' || *scan->at == '{')
		return read_nested(scan);
	return read_word(scan);
}

/* The next member of an object whose '{' is passed. 1, 0 at its end, -1 when it is none. */
static int next_member(struct scan *scan, bool first, struct sample_span *ret_key, struct value *ret_value)
{
	if (take(scan, '}'))
		return 0;
	if (!first && !take(scan, ','))
		return -1;
	skip_space(scan);
	if (scan->at == scan->end || *scan->at != '"')
		return -1;
	struct value key = read_string(scan);
	if (key.kind == KIND_NONE || !take(scan, ':'))
		return -1;
	*ret_value = read_value(scan);
	*ret_key = key.text;
	return ret_value->kind == KIND_NONE ? -1 : 1;
}

static bool is(struct sample_span text, const char *word)
{
	return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

static bool is_name(struct sample_span text)
{
	if (text.size == 0 || text.size > SAMPLE_NAME_MAX || !utf8_ok(text.data, text.size))
		return false;
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] == '\\' || (unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
			return false;
	return true;
}

static double number(struct sample_span text)
{
	char digits[NUMBER_MAX + 1];
	char *end = NULL;
	if (text.size > NUMBER_MAX)
		return NAN;
	memcpy(digits, text.data, text.size);
	digits[text.size] = '\0';
	double value = strtod(digits, &end);
	return *end == '\0' && isfinite(value) ? value : NAN;
}

static bool integer(const struct value *value, int64_t *ret_number)
{
	char digits[NUMBER_MAX + 1];
	if (value->kind != KIND_NUMBER || value->text.size > 19)
		return false;
	for (size_t i = 0; i < value->text.size; i++)
		if (value->text.data[i] < '0' || value->text.data[i] > '9')
			return false;
	memcpy(digits, value->text.data, value->text.size);
	digits[value->text.size] = '\0';
	unsigned long long found = strtoull(digits, NULL, 10);
	if (found > INT64_MAX)
		return false;
	*ret_number = (int64_t)found;
	return true;
}

/* NAN unless it has nothing but true and false in it, and something. */
static double mean_of_list(struct sample_span text)
{
	struct scan scan = {text.data + 1, text.data + text.size};
	size_t count = 0, right = 0;
	while (!take(&scan, ']')) {
		if (count > 0 && !take(&scan, ','))
			return NAN;
		struct value value = read_value(&scan);
		if (value.kind != KIND_TRUE && value.kind != KIND_FALSE)
			return NAN;
		right += value.kind == KIND_TRUE;
		count++;
	}
	return count == 0 ? NAN : (double)right / (double)count;
}

static double outcome(const struct value *value)
{
	switch (value->kind) {
	case KIND_TRUE: return 1;
	case KIND_FALSE: return 0;
	case KIND_NUMBER: return number(value->text);
	case KIND_LIST: return mean_of_list(value->text);
	case KIND_NONE:
	case KIND_STRING:
	case KIND_NULL:
	case KIND_OBJECT: break;
	}
	return NAN;
}

static void add_candidate(struct members *members, struct sample_span name, const struct value *value)
{
	double found = outcome(value);
	if (isnan(found) || !is_name(name) || members->count == SAMPLE_CANDIDATES_MAX)
		return;
	for (size_t i = 0; i < members->count; i++)
		if (members->candidates[i].name.size == name.size &&
		    memcmp(members->candidates[i].name.data, name.data, name.size) == 0)
			return;
	members->candidates[members->count++] = (struct sample_metric){name, found};
}

static void add_all(struct members *members, const struct value *object)
{
	if (object->kind != KIND_OBJECT)
		return;
	struct scan scan = {object->text.data + 1, object->text.data + object->text.size};
	struct sample_span key;
	struct value value;
	for (bool first = true; next_member(&scan, first, &key, &value) > 0; first = false)
		add_candidate(members, key, &value);
}

static void find_in(const struct value *object, const char *wanted, struct value *ret_value)
{
	if (object->kind != KIND_OBJECT)
		return;
	struct scan scan = {object->text.data + 1, object->text.data + object->text.size};
	struct sample_span key;
	struct value value;
	for (bool first = true; next_member(&scan, first, &key, &value) > 0; first = false)
		if (is(key, wanted))
			*ret_value = value;
}

/* The samples of lm-evaluation-harness (lm_eval/evaluator.py) without what its task makes of them. */
static void take_lm_eval(struct members *members, struct sample_span key, const struct value *value)
{
	static const char *const texts[] = {"doc", "target", "arguments", "resps", "filtered_resps"};
	if (is(key, "doc_id"))
		members->id = *value;
	else if (is(key, "filter"))
		members->filter = *value;
	else if (is(key, "metrics"))
		members->names = *value;
	else if (is(key, "doc_hash"))
		members->hash = *value;
	else if (is(key, "prompt_hash"))
		members->other_hash = *value;
	else if (is(key, "target_hash"))
		members->last_hash = *value;
	else {
		for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
			if (is(key, texts[i]))
				return;
		add_candidate(members, key, value);
	}
}

static void take_byob(struct members *members, struct sample_span key, const struct value *value)
{
	if (is(key, "sample_id"))
		members->id = *value;
	else if (is(key, "prompt"))
		members->hash = *value;
	else if (is(key, "target"))
		members->other_hash = *value;
	else if (is(key, "scores"))
		add_all(members, value);
	else if (is(key, "metadata"))
		find_in(value, "_repeat", &members->repeat);
}

static void take_n5(struct members *members, struct sample_span key, const struct value *value)
{
	if (is(key, "problem_idx"))
		members->id = *value;
	else if (is(key, "repeat"))
		members->repeat = *value;
	else if (is(key, "expected_answer"))
		members->hash = *value;
	else if (is(key, "reward"))
		add_candidate(members, key, value);
	else if (is(key, "scoring_details"))
		add_all(members, value);
}

static uint64_t hash_text(struct sample_span text, uint64_t seed)
{
	unsigned char key[crypto_shorthash_KEYBYTES] = {0};
	uint64_t hash;
	memcpy(key, &seed, sizeof seed);
	_Static_assert(crypto_shorthash_BYTES == sizeof hash, "SipHash-2-4 has 64 bits");
	crypto_shorthash((unsigned char *)&hash, (const unsigned char *)text.data, text.size, key);
	return hash;
}

/* Of a document's own hash where there is one, since that says all that was asked; else of two texts that say it; and
 * where there is neither, of the answer that was wanted. */
static uint32_t content_hash(enum sample_format format, const struct members *members)
{
	bool alone = format == SAMPLE_LM_EVAL && members->hash.kind == KIND_STRING;
	uint64_t hash = 0;
	bool asked = members->hash.kind != KIND_NONE || members->other_hash.kind != KIND_NONE;
	if (!asked && members->last_hash.kind == KIND_NONE)
		return 0;
	if (!asked)
		hash = hash_text(members->last_hash.text, hash);
	if (members->hash.kind != KIND_NONE)
		hash = hash_text(members->hash.text, hash);
	if (!alone && members->other_hash.kind != KIND_NONE)
		hash = hash_text(members->other_hash.text, hash);
	return (uint32_t)hash == 0 ? 1 : (uint32_t)hash;
}

static bool listed(const struct value *names, struct sample_span name)
{
	if (names->kind != KIND_LIST)
		return true;
	struct scan scan = {names->text.data + 1, names->text.data + names->text.size};
	for (bool first = true; !take(&scan, ']'); first = false) {
		if (!first && !take(&scan, ','))
			return false;
		struct value value = read_value(&scan);
		if (value.kind == KIND_STRING && value.text.size == name.size &&
		    memcmp(value.text.data, name.data, name.size) == 0)
			return true;
		if (value.kind == KIND_NONE)
			return false;
	}
	return false;
}

static bool make_line(enum sample_format format, const struct members *members, struct sample_line *line)
{
	int64_t repeat = 0;
	if (members->id.kind == KIND_STRING) {
		line->named = true;
		line->id = (int64_t)(hash_text(members->id.text, 0) >> 1);
	} else if (!integer(&members->id, &line->id)) {
		return false;
	}
	if (integer(&members->repeat, &repeat) && repeat <= UINT32_MAX)
		line->repeat = (uint32_t)repeat;
	if (members->filter.kind == KIND_STRING && is_name(members->filter.text))
		line->filter = members->filter.text;
	line->hash = content_hash(format, members);
	for (size_t i = 0; i < members->count && line->metric_count < SAMPLE_METRICS_MAX; i++)
		if (listed(&members->names, members->candidates[i].name))
			line->metrics[line->metric_count++] = members->candidates[i];
	return true;
}

bool sample_line_read(enum sample_format format, const char *line, size_t size, struct sample_line *ret_line)
{
	static void (*const takers[])(struct members *, struct sample_span, const struct value *) = {
	    [SAMPLE_LM_EVAL] = take_lm_eval, [SAMPLE_BYOB] = take_byob, [SAMPLE_N5] = take_n5};
	struct scan scan = {line, line + size};
	struct members members = {0};
	struct sample_line found = {0};
	struct sample_span key;
	struct value value;
	int more = 1;
	if (!take(&scan, '{'))
		return false;
	for (bool first = true; (more = next_member(&scan, first, &key, &value)) > 0; first = false)
		takers[format](&members, key, &value);
	skip_space(&scan);
	if (more != 0 || scan.at != scan.end || !make_line(format, &members, &found))
		return false;
	*ret_line = found;
	return true;
}

#include "service/gate.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"

#include <math.h>
#include <string.h>

const char *const gate_level_names[] = {"critical", "supporting", "advisory", NULL};
const char *const gate_outcome_names[] = {"pass", "fail", "inconclusive", NULL};
const char *const gate_verdict_names[] = {"pass", "warn", "block", "inconclusive", NULL};

/* One RULE of a policy, as it stands there. */
struct policy_rule {
	enum gate_level level;
	double drop;
	int64_t least_pairs;
	const char *metric; /* NULL: every one */
	const char *score;
};

void gate_done(struct gate *gate)
{
	evidence_done(&gate->evidence);
	free(gate->rules);
	*gate = (struct gate){0};
}

static int read_level(const char *where, const json_t *value, enum gate_level *ret_level, struct nel_err *err)
{
	for (int i = 0; gate_level_names[i] != NULL; i++)
		if (json_is_string(value) && strcmp(json_string_value(value), gate_level_names[i]) == 0) {
			*ret_level = (enum gate_level)i;
			return 0;
		}
	return err_set(err, NEL_INVALID, "%.300s.level must be critical, supporting or advisory", where);
}

static int read_text(const char *where, const char *field, const json_t *value, const char **ret_text,
		     struct nel_err *err)
{
	if (!json_is_string(value))
		return err_set(err, NEL_INVALID, "%.300s.%s must be a text", where, field);
	*ret_text = json_string_value(value);
	return 0;
}

static int read_rule(const char *where, const json_t *object, struct policy_rule *rule, struct nel_err *err)
{
	const char *field = NULL;
	json_t *value = NULL;
	if (!json_is_object(object))
		return err_set(err, NEL_INVALID,
			       "%.300s must be an object with level, drop, least_pairs, metric, score", where);
	json_object_foreach((json_t *)object, field, value) {
		int status = 0;
		if (strcmp(field, "level") == 0) {
			status = read_level(where, value, &rule->level, err);
		} else if (strcmp(field, "drop") == 0) {
			rule->drop = json_number_value(value);
			if (!json_is_number(value) || rule->drop < 0)
				status = err_set(err, NEL_INVALID, "%.300s.drop must be a number, 0 or greater", where);
		} else if (strcmp(field, "least_pairs") == 0) {
			rule->least_pairs = json_integer_value(value);
			if (!json_is_integer(value) || rule->least_pairs < 0)
				status = err_set(err, NEL_INVALID,
						 "%.300s.least_pairs must be a whole number, 0 or greater", where);
		} else if (strcmp(field, "metric") == 0) {
			status = read_text(where, field, value, &rule->metric, err);
		} else if (strcmp(field, "score") == 0) {
			status = read_text(where, field, value, &rule->score, err);
		} else {
			status =
			    err_set(err, NEL_INVALID,
				    "%.300s has no field \"%.100s\"; it has level, drop, least_pairs, metric, score",
				    where, field);
		}
		if (status != 0)
			return -1;
	}
	return 0;
}

/* How many observations the weaker side has; -1: not known. */
static int64_t observations(const struct evidence_item *item)
{
	if (item->comparison.method != COMPARE_INDEPENDENT)
		return (int64_t)item->comparison.pairs;
	return item->a->row.count < item->b->row.count ? item->a->row.count : item->b->row.count;
}

static void decide(struct gate_rule *rule)
{
	const struct evidence_item *item = rule->item;
	const struct comparison *found = &item->comparison;
	double better = item->lower_is_better ? -found->difference : found->difference;
	double least =
	    item->lower_is_better ? -found->ci.hi : found->ci.lo; /* the worst that the interval leaves possible */
	int64_t count = observations(item);
	if (isnan(found->p)) {
		rule->outcome = GATE_INCONCLUSIVE;
		snprintf(rule->why, sizeof rule->why,
			 "nothing can be said: there are no samples in common, and a standard error is missing");
	} else if (count < rule->least_pairs) {
		rule->outcome = GATE_INCONCLUSIVE;
		if (count < 0)
			snprintf(rule->why, sizeof rule->why, "the number of samples is not known, and %lld are wanted",
				 (long long)rule->least_pairs);
		else
			snprintf(rule->why, sizeof rule->why, "%lld samples, and %lld are wanted", (long long)count,
				 (long long)rule->least_pairs);
	} else if (item->verdict == COMPARE_WORSE && -better > rule->drop) {
		rule->outcome = GATE_FAILS;
		snprintf(rule->why, sizeof rule->why, "worse by %.6g; %.6g is allowed", -better, rule->drop);
	} else if (item->verdict == COMPARE_INCONCLUSIVE || (rule->drop > 0 && least < -rule->drop)) {
		rule->outcome = GATE_INCONCLUSIVE;
		snprintf(rule->why, sizeof rule->why,
			 "a drop of up to %.6g is possible, and %.6g is allowed; %.6g could have been seen", -least,
			 rule->drop, found->detectable);
	} else {
		rule->outcome = GATE_PASSES;
		if (item->verdict == COMPARE_WORSE)
			snprintf(rule->why, sizeof rule->why, "worse by %.6g, which is allowed", -better);
		else if (item->verdict == COMPARE_BETTER)
			snprintf(rule->why, sizeof rule->why, "better by %.6g", better);
		else
			snprintf(rule->why, sizeof rule->why, "no drop is shown; one of %.6g would have been seen",
				 found->detectable);
	}
}

static void add_rule(struct gate *gate, const char *task, const struct policy_rule *policy,
		     const struct evidence_item *item)
{
	gate->rules = mem_realloc(gate->rules, gate->count + 1, sizeof *gate->rules);
	struct gate_rule *rule = &gate->rules[gate->count++];
	*rule = (struct gate_rule){.task = task,
				   .level = policy->level,
				   .drop = policy->drop,
				   .least_pairs = policy->least_pairs,
				   .item = item,
				   .outcome = GATE_INCONCLUSIVE};
	if (item != NULL)
		decide(rule);
	else
		snprintf(rule->why, sizeof rule->why, "the baseline and the candidate have no such score in common");
}

/* Adds a rule for each score of the task that the policy means; none at all is a rule, too. */
static void add_rules_of(struct gate *gate, const char *task, const struct policy_rule *policy)
{
	size_t before = gate->count;
	for (size_t i = 0; i < gate->evidence.count; i++) {
		const struct evidence_item *item = &gate->evidence.items[i];
		const struct score *row = &item->a->row;
		if (strcmp(row->task, task) == 0 &&
		    (policy->metric == NULL || strcmp(row->metric, policy->metric) == 0) &&
		    (policy->score == NULL || strcmp(row->score, policy->score) == 0))
			add_rule(gate, task, policy, item);
	}
	if (gate->count == before)
		add_rule(gate, task, policy, NULL);
}

static int read_policy(struct gate *gate, const json_t *policy, struct nel_err *err)
{
	const json_t *tasks = json_object_get(policy, "tasks"), *fallback = json_object_get(policy, "default");
	const char *name = NULL;
	json_t *value = NULL;
	struct policy_rule of_others = {.level = GATE_ADVISORY};
	if (!json_is_object(policy) || (tasks != NULL && !json_is_object(tasks)))
		return err_set(
		    err, NEL_INVALID,
		    "policy must be an object with tasks (an object, a rule for each name) and default (a rule)");
	json_object_foreach((json_t *)policy, name, value)
		if (strcmp(name, "tasks") != 0 && strcmp(name, "default") != 0)
			return err_set(err, NEL_INVALID, "policy has no field \"%.100s\"; it has tasks and default",
				       name);
	if (tasks == NULL && fallback == NULL)
		return err_set(err, NEL_INVALID, "policy has no rule: tasks or default is missing");
	if (fallback != NULL && read_rule("policy.default", fallback, &of_others, err) != 0)
		return -1;
	if (json_object_size(tasks) > GATE_TASKS_MAX)
		return err_set(err, NEL_INVALID, "policy.tasks has more than %d tasks", GATE_TASKS_MAX);
	json_object_foreach((json_t *)tasks, name, value) {
		struct policy_rule rule = {.level = GATE_CRITICAL};
		CLEANUP(mem_freep) char *where = mem_printf("policy.tasks.%.200s", name);
		if (read_rule(where, value, &rule, err) != 0)
			return -1;
		add_rules_of(gate, name, &rule);
	}
	for (size_t i = 0; i < gate->evidence.count; i++) {
		const struct score *row = &gate->evidence.items[i].a->row;
		bool meant = (of_others.metric == NULL || strcmp(row->metric, of_others.metric) == 0) &&
			     (of_others.score == NULL || strcmp(row->score, of_others.score) == 0);
		if (meant && json_object_get(tasks, row->task) == NULL)
			add_rule(gate, row->task, &of_others, &gate->evidence.items[i]);
	}
	return 0;
}

static enum gate_verdict sum_up(const struct gate *gate)
{
	bool open = false, warned = false;
	for (size_t i = 0; i < gate->count; i++) {
		const struct gate_rule *rule = &gate->rules[i];
		if (rule->level == GATE_CRITICAL && rule->outcome == GATE_FAILS)
			return GATE_BLOCK;
		open = open || (rule->level == GATE_CRITICAL && rule->outcome == GATE_INCONCLUSIVE);
		warned = warned || (rule->level == GATE_SUPPORTING && rule->outcome != GATE_PASSES);
	}
	return open ? GATE_NOTHING_SAID : warned ? GATE_WARN : GATE_PASS;
}

int service_gate(struct db *db, const char *baseline, const char *candidate, const json_t *policy,
		 struct gate *ret_gate, struct nel_err *err)
{
	CLEANUP(gate_done) struct gate gate = {0};
	if (service_compare(db, baseline, candidate, 0, &gate.evidence, err) != 0 ||
	    read_policy(&gate, policy, err) != 0)
		return -1;
	gate.verdict = sum_up(&gate);
	*ret_gate = gate;
	gate = (struct gate){0};
	return 0;
}

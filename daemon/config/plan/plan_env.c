/* Environment variables of a config. A value is never echoed unless it is the name of a variable: people paste tokens.
 */
#include "config/plan/plan_env.h"

#include "base/mem.h"

#include <string.h>

#define ECHO_MAX 64

static const struct {
	const char *prefix;
	enum env_source source;
} prefixes[] = {
    {"host:", ENV_HOST},
    {"lit:", ENV_LITERAL},
    {"runtime:", ENV_RUNTIME},
};

static bool is_name_byte(char c, bool first)
{
	return c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (!first && c >= '0' && c <= '9');
}

bool plan_env_is_name(const char *name)
{
	if (*name == '\0')
		return false;
	for (const char *p = name; *p != '\0'; p++)
		if (!is_name_byte(*p, p == name))
			return false;
	return true;
}

/* Upper case, as variables are called and tokens are not. */
static bool is_safe_to_echo(const char *name)
{
	return strlen(name) <= ECHO_MAX && strpbrk(name, "abcdefghijklmnopqrstuvwxyz") == NULL;
}

static void advise(const char *text, struct str *advice)
{
	const char *name = *text == '$' ? text + 1 : text;
	str_append(advice, "must say where the value comes from: ");
	if (plan_env_is_name(name) && is_safe_to_echo(name))
		str_appendf(advice, "write 'host:%s' for the secret of that name", name);
	else if (plan_env_is_name(name))
		str_append(advice, "put 'host:' before the name of a secret, or 'lit:' before a literal value");
	else
		str_append(advice, "put 'lit:' before a literal value");
}

bool plan_env_parse(const char *text, enum env_source *ret_source, const char **ret_value, struct str *ret_advice)
{
	const char *plain = *text == '$' ? text + 1 : text;
	str_clear(ret_advice);
	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
		if (!str_starts_with(plain, prefixes[i].prefix))
			continue;
		const char *value = plain + strlen(prefixes[i].prefix);
		if (prefixes[i].source != ENV_LITERAL && !plan_env_is_name(value)) {
			str_appendf(ret_advice, "needs the name of a variable after '%s' ([A-Za-z_][A-Za-z0-9_]*)",
				    prefixes[i].prefix);
			return false;
		}
		*ret_source = prefixes[i].source;
		*ret_value = value;
		return true;
	}
	advise(text, ret_advice);
	return false;
}

/* The place of name in the sorted group: its index, or where it belongs. */
static size_t find(const struct env_group *group, const char *name, bool *ret_found)
{
	size_t low = 0, high = group->count;
	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(group->vars[middle].name, name);
		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void put(struct env_group *group, const char *name, enum env_source source, const char *value)
{
	bool found;
	size_t at = find(group, name, &found);
	if (!found) {
		group->vars = mem_realloc(group->vars, group->count + 1, sizeof *group->vars);
		memmove(group->vars + at + 1, group->vars + at, (group->count - at) * sizeof *group->vars);
		group->vars[at] = (struct env_var){.name = mem_strdup(name)};
		group->count++;
	}
	free(group->vars[at].value);
	group->vars[at].source = source;
	group->vars[at].value = mem_strdup(value);
}

void plan_env_add(const struct reader *r, const json_t *object, const char *base, const char *key,
		  struct env_group *group)
{
	const json_t *vars = reader_object(r, object, base, key);
	CLEANUP(mem_freep) char *place = reader_join(base, key);
	const char *name;
	json_t *given;
	json_object_foreach((json_t *)vars, name, given) {
		CLEANUP(mem_freep) char *pointer = reader_join(place, name);
		enum env_source source;
		const char *value;
		struct str advice = {0};
		if (group->count >= PLAN_ENV_MAX)
			reader_error(r, place, "More than %d environment variables", PLAN_ENV_MAX);
		else if (!plan_env_is_name(name))
			reader_error(r, pointer, "Not a variable name: letters, digits and '_' only, no digit first");
		else if (reader_is_missing(given))
			reader_missing(r, pointer);
		else if (!json_is_string(given))
			reader_error(r, pointer, "%s must be text: put 'lit:' before a literal value", name);
		else if (!plan_env_parse(json_string_value(given), &source, &value, &advice))
			reader_error(r, pointer, "%s %s", name, str_text(&advice));
		else
			put(group, name, source, value);
		str_done(&advice);
	}
}

void plan_env_default(struct env_group *group, const char *name, enum env_source source, const char *value)
{
	bool found;
	find(group, name, &found);
	if (!found)
		put(group, name, source, value);
}

void plan_env_settle(struct env_group *group)
{
	for (size_t i = 0; i < group->count; i++) {
		struct env_var *var = &group->vars[i];
		for (size_t steps = 0; var->source == ENV_RUNTIME && steps < group->count; steps++) {
			bool found;
			const struct env_var *named = &group->vars[find(group, var->value, &found)];
			if (!found || named == var)
				break;
			var->source = named->source;
			char *value = mem_strdup(named->value);
			free(var->value);
			var->value = value;
		}
	}
}

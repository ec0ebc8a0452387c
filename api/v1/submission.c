/* Owns what was submitted until the service has it, and its limits. */
#include "api/v1/submission.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"

#include <sodium.h>
#include <string.h>

#define OVERRIDE_SIZE_MAX 65536
#define ENV_NAME_SIZE_MAX 128
#define TASK_SIZE_MAX 512

static void free_pair(struct name_value *pair, bool wipe)
{
	if (wipe)
		secret_wipe((char *)pair->value);
	free((char *)pair->name);
	free((char *)pair->value);
}

void submission_done(struct submission *s)
{
	for (size_t i = 0; i < s->override_count; i++)
		free(s->overrides[i]);
	for (size_t i = 0; i < s->task_count; i++)
		free(s->tasks[i]);
	for (size_t i = 0; i < s->env_count; i++)
		free_pair(&s->env[i], true);
	for (size_t i = 0; i < s->label_count; i++)
		free_pair(&s->labels[i], false);
	free(s->overrides);
	free(s->tasks);
	free(s->env);
	free(s->labels);
	free(s->text);
	*s = (struct submission){0};
}

int submission_add_override(struct submission *s, const char *text, struct nel_err *err)
{
	if (s->override_count == SUBMIT_OVERRIDES_MAX)
		return err_set(err, NEL_INVALID, "more than %d overrides", SUBMIT_OVERRIDES_MAX);
	size_t size = strlen(text);
	if (size > OVERRIDE_SIZE_MAX)
		return err_set(err, NEL_INVALID, "an override of more than %d bytes", OVERRIDE_SIZE_MAX);
	if (size == 0 || !utf8_ok(text, size))
		return err_set(err, NEL_INVALID, "an override is %s", size == 0 ? "empty" : "not UTF-8");
	s->overrides = mem_realloc(s->overrides, s->override_count + 1, sizeof *s->overrides);
	s->overrides[s->override_count++] = mem_strdup(text);
	return 0;
}

int submission_add_task(struct submission *s, const char *name, struct nel_err *err)
{
	if (s->task_count == SUBMIT_TASKS_MAX)
		return err_set(err, NEL_INVALID, "more than %d names of tasks", SUBMIT_TASKS_MAX);
	size_t size = strlen(name);
	if (size == 0 || size > TASK_SIZE_MAX || !utf8_ok(name, size))
		return err_set(err, NEL_INVALID, "a task's name has 1 to %d bytes, in UTF-8", TASK_SIZE_MAX);
	s->tasks = mem_realloc(s->tasks, s->task_count + 1, sizeof *s->tasks);
	s->tasks[s->task_count++] = mem_strdup(name);
	return 0;
}

static bool env_name_ok(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
	static const char more[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
	size_t size = strlen(name);
	return size > 0 && size <= ENV_NAME_SIZE_MAX && strchr(letters, name[0]) != NULL && strspn(name, more) == size;
}

int submission_add_env(struct submission *s, const char *name, const char *value, struct nel_err *err)
{
	if (!env_name_ok(name))
		return err_set(err, NEL_INVALID, "\"%.64s\" cannot be the name of a variable", name);
	if (strlen(value) > SUBMIT_ENV_SIZE_MAX)
		return err_set(err, NEL_INVALID, "the value of %s is longer than %d bytes", name, SUBMIT_ENV_SIZE_MAX);
	for (size_t i = 0; i < s->env_count; i++) {
		if (strcmp(s->env[i].name, name) == 0) {
			secret_wipe((char *)s->env[i].value);
			free((char *)s->env[i].value);
			s->env[i].value = mem_strdup(value);
			return 0;
		}
	}
	if (s->env_count == SUBMIT_ENV_MAX)
		return err_set(err, NEL_INVALID, "more than %d variables in env", SUBMIT_ENV_MAX);
	s->env = mem_realloc(s->env, s->env_count + 1, sizeof *s->env);
	s->env[s->env_count++] = (struct name_value){.name = mem_strdup(name), .value = mem_strdup(value)};
	return 0;
}

int submission_add_label(struct submission *s, const char *key, const char *value, struct nel_err *err)
{
	size_t key_size = strlen(key);
	if (s->label_count == SUBMIT_LABELS_MAX)
		return err_set(err, NEL_INVALID, "more than %d labels", SUBMIT_LABELS_MAX);
	if (key_size == 0 || key_size > SUBMIT_LABEL_SIZE_MAX || strlen(value) > SUBMIT_LABEL_SIZE_MAX)
		return err_set(err, NEL_INVALID, "a label's key has 1 to %d bytes, its value at most as many",
			       SUBMIT_LABEL_SIZE_MAX);
	if (str_has_control(key) || str_has_control(value))
		return err_set(err, NEL_INVALID, "a label has a control character");
	if (strchr(key, ':') != NULL)
		return err_set(err, NEL_INVALID,
			       "a label's key has a colon: the filter label=key:value could not name it");
	s->labels = mem_realloc(s->labels, s->label_count + 1, sizeof *s->labels);
	s->labels[s->label_count++] = (struct name_value){.name = mem_strdup(key), .value = mem_strdup(value)};
	return 0;
}

/* Sizes go in with the texts, so that no two different lists of texts hash alike. */
static void hash_text(crypto_hash_sha256_state *state, const char *text, size_t size)
{
	uint64_t size64 = size;
	crypto_hash_sha256_update(state, (const unsigned char *)&size64, sizeof size64);
	crypto_hash_sha256_update(state, (const unsigned char *)text, size);
}

static void hash_pairs(crypto_hash_sha256_state *state, const struct name_value *pairs, size_t count)
{
	uint64_t count64 = count;
	crypto_hash_sha256_update(state, (const unsigned char *)&count64, sizeof count64);
	for (size_t i = 0; i < count; i++) {
		hash_text(state, pairs[i].name, strlen(pairs[i].name));
		hash_text(state, pairs[i].value, strlen(pairs[i].value));
	}
}

void submission_hash(const struct submission *s, bool strict, bool reuse, char ret_hash[SECRET_HASH_SIZE])
{
	const char flags[2] = {(char)s->json, (char)strict};
	unsigned char hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state state;
	crypto_hash_sha256_init(&state);
	hash_text(&state, flags, sizeof flags);
	hash_text(&state, s->text, s->size);
	hash_pairs(&state, s->env, s->env_count);
	hash_pairs(&state, s->labels, s->label_count);
	for (size_t i = 0; i < s->override_count; i++)
		hash_text(&state, s->overrides[i], strlen(s->overrides[i]));
	for (size_t i = 0; i < s->task_count; i++) {
		hash_text(&state, "task", strlen("task")); /* told from an override */
		hash_text(&state, s->tasks[i], strlen(s->tasks[i]));
	}
	if (reuse)
		hash_text(&state, "reuse", strlen("reuse"));
	crypto_hash_sha256_final(&state, hash);
	sodium_bin2hex(ret_hash, SECRET_HASH_SIZE, hash, sizeof hash);
}

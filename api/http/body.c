/* Owns the reading of small JSON bodies. */
#include "api/http/body.h"

#include "api/http/media.h"
#include "api/http/router.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/secret.h"

#include "service/submit.h"

#include <string.h>

#define IDEMPOTENCY_KEY_SIZE_MAX 255
#define EXPIRES_IN_MAX_S (10LL * 366 * 24 * 3600)

int body_object(struct request *request, const char *const *fields, json_t **ret_body, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *body = NULL;
	if (request_read_object(request, &body, err) != 0)
		return -1;
	if (body == NULL)
		body = json_object();
	const char *name = NULL;
	json_t *value = NULL;
	json_object_foreach(body, name, value) {
		if (str_in(name, fields))
			continue;
		struct str known = {0};
		for (const char *const *field = fields; *field != NULL; field++)
			str_appendf(&known, "%s%s", known.len > 0 ? ", " : "", *field);
		err_set(err, NEL_INVALID, "unknown field \"%.64s\": known here: %s", name, str_text(&known));
		str_done(&known);
		return -1;
	}
	*ret_body = TAKE(body);
	return 0;
}

static bool has_control(const char *text, const char *but)
{
	for (; *text != '\0'; text++)
		if (((unsigned char)*text < ' ' || *text == 0x7f) && strchr(but, *text) == NULL)
			return true;
	return false;
}

static int read_text(const json_t *body, const char *field, bool wanted, size_t min_size, size_t max_size,
		     const char *but, const char **ret_text, struct nel_err *err)
{
	const json_t *value = json_object_get(body, field);
	*ret_text = NULL;
	if (value == NULL || json_is_null(value))
		return wanted ? err_set(err, NEL_INVALID, "the field \"%s\" is wanted", field) : 0;
	const char *text = json_string_value(value);
	if (text == NULL || json_string_length(value) < min_size || json_string_length(value) > max_size ||
	    has_control(text, but))
		return err_set(err, NEL_INVALID, "\"%s\" must be text of %zu to %zu bytes without control characters%s",
			       field, min_size, max_size, but[0] != '\0' ? " other than line ends and tabs" : "");
	*ret_text = text;
	return 0;
}

int body_text(const json_t *body, const char *field, bool wanted, size_t min_size, size_t max_size,
	      const char **ret_text, struct nel_err *err)
{
	return read_text(body, field, wanted, min_size, max_size, "", ret_text, err);
}

int body_lines(const json_t *body, const char *field, bool wanted, size_t min_size, size_t max_size,
	       const char **ret_text, struct nel_err *err)
{
	return read_text(body, field, wanted, min_size, max_size, "\r\n\t", ret_text, err);
}

int body_role(const json_t *body, const char *field, bool wanted, bool *ret_given, enum role *ret_role,
	      struct nel_err *err)
{
	const char *text = NULL;
	if (body_text(body, field, wanted, 0, 64, &text, err) != 0)
		return -1;
	*ret_given = text != NULL;
	if (text != NULL && role_from_name(text, ret_role) != 0)
		return err_set(err, NEL_INVALID, "\"%s\" must be one of viewer, user, admin", field);
	return 0;
}

int body_expiry(const json_t *body, int64_t now_s, int64_t *ret_at_s, struct nel_err *err)
{
	const json_t *in = json_object_get(body, "expires_in");
	const char *at = NULL;
	if (body_text(body, "expires_at", false, 0, 64, &at, err) != 0)
		return -1;
	*ret_at_s = 0;
	if (at != NULL && in != NULL && !json_is_null(in))
		return err_set(err, NEL_INVALID, "expires_in and expires_at say the same: send one of them");
	if (at != NULL && clock_parse_rfc3339(at, ret_at_s) != 0)
		return err_set(err, NEL_INVALID,
			       "\"expires_at\" must be an RFC 3339 time such as 2030-01-31T12:00:00Z");
	if (in == NULL || json_is_null(in))
		return 0;
	if (!json_is_integer(in) || json_integer_value(in) < 1 || json_integer_value(in) > EXPIRES_IN_MAX_S)
		return err_set(err, NEL_INVALID, "\"expires_in\" must be a number of seconds from 1 to %lld",
			       EXPIRES_IN_MAX_S);
	*ret_at_s = now_s + json_integer_value(in);
	return 0;
}

void body_hash(const struct request *request, const json_t *body, char ret_hash[SECRET_HASH_SIZE])
{
	CLEANUP(mem_freep) char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
	CLEANUP(mem_freep) char *all = mem_printf("%s %s", request->route->operation, text);
	secret_hash(all, ret_hash);
}

int body_idempotency_key(const struct request *request, const char **ret_key, struct nel_err *err)
{
	const char *key = request_header(request, "Idempotency-Key");
	size_t size = key == NULL ? 0 : strlen(key);
	bool ok = key == NULL || (size > 0 && size <= IDEMPOTENCY_KEY_SIZE_MAX);
	for (size_t i = 0; i < size && ok; i++)
		ok = key[i] > ' ' && key[i] < 0x7f;
	if (!ok)
		return err_set(err, NEL_INVALID, "Idempotency-Key must be 1 to %d visible ASCII characters",
			       IDEMPOTENCY_KEY_SIZE_MAX);
	*ret_key = key;
	return 0;
}

static int check_env(const json_t *env, struct nel_err *err)
{
	const char *name = NULL;
	json_t *value = NULL;
	if (!json_is_object(env) || json_object_size(env) > SUBMIT_ENV_MAX)
		return err_set(err, NEL_INVALID, "env must be an object of at most %d variables", SUBMIT_ENV_MAX);
	json_object_foreach((json_t *)(uintptr_t)env, name, value)
		if (!json_is_string(value) || json_string_length(value) > SUBMIT_ENV_SIZE_MAX)
			return err_set(err, NEL_INVALID, "the value of %.64s in env must be text of at most %d bytes",
				       name, SUBMIT_ENV_SIZE_MAX);
	return 0;
}

int body_resume(struct request *request, bool *ret_reset_budget, json_t **ret_env, struct nel_err *err)
{
	static const char *const fields[] = {"reset_budget", "env", NULL};
	json_t *body = NULL;
	if (body_object(request, fields, &body, err) != 0)
		return -1;
	const json_t *reset = json_object_get(body, "reset_budget");
	json_t *env = json_object_get(body, "env");
	int rc = 0;
	if (reset != NULL && !json_is_boolean(reset))
		rc = err_set(err, NEL_INVALID, "reset_budget must be true or false");
	else if (env != NULL)
		rc = check_env(env, err);
	if (rc == 0) {
		*ret_reset_budget = json_is_true(reset);
		*ret_env = json_incref(env);
	} else {
		secret_free_json(json_incref(env));
	}
	json_decref(body);
	return rc;
}

/* Bodies that are small JSON objects: which members they may have, and of what kind. All messages name the member. */
#ifndef NEL_API_HTTP_BODY_H
#define NEL_API_HTTP_BODY_H

#include "api/http/request.h"

/* The body as an object, {} when it is empty; *ret_body is json_decref()ed by the caller. Status 415 when it is not
 * application/json; INVALID when it is no object or has members that are not among `fields` (ends with NULL). */
int body_object(struct request *request, const char *const *fields, json_t **ret_body, struct nel_err *err);

/* The member's text, of min_size to max_size bytes and without control characters; NULL when it is not there (INVALID
 * when it is wanted). Points into the body. */
int body_text(const json_t *body, const char *field, bool wanted, size_t min_size, size_t max_size,
	      const char **ret_text, struct nel_err *err);

/* The same of a text of several lines, as a file's. */
int body_lines(const json_t *body, const char *field, bool wanted, size_t min_size, size_t max_size,
	       const char **ret_text, struct nel_err *err);

/* The member as a role; *ret_given says whether it is there (INVALID when it is wanted and is not). */
int body_role(const json_t *body, const char *field, bool wanted, bool *ret_given, enum role *ret_role,
	      struct nel_err *err);

/* When something ends: {expires_at}, a time, or {expires_in}, seconds from now_s on; 0 for neither, INVALID for both.
 */
int body_expiry(const json_t *body, int64_t now_s, int64_t *ret_at_s, struct nel_err *err);

/* What the client asks for, for its Idempotency-Key: operation and body. */
void body_hash(const struct request *request, const json_t *body, char ret_hash[SECRET_HASH_SIZE]);

/* The Idempotency-Key header, NULL without one; INVALID: it is not 1 to 255 visible ASCII characters. */
int body_idempotency_key(const struct request *request, const char **ret_key, struct nel_err *err);

/* {"reset_budget": bool, "env": {"NAME": "value"}} of a resumption. *ret_env: for secret_free_json(); NULL: none. */
int body_resume(struct request *request, bool *ret_reset_budget, json_t **ret_env, struct nel_err *err);

#endif

/* One HTTP request, from its first line to its end: what the client sent, who it is, and the reply being made. Belongs
 * to the HTTP thread of its connection. */
#ifndef NEL_API_HTTP_REQUEST_H
#define NEL_API_HTTP_REQUEST_H

#include "api/http/query.h"
#include "base/str.h"
#include "db/audit.h"
#include "service/service.h"

#include <microhttpd.h>

#define REQUEST_ID_SIZE_MAX 64
#define REQUEST_ETAG_SIZE 35 /* 32 hex digits in quotes, and a NUL */
#define REQUEST_HEADERS_MAX 12
#define PEER_NAME_SIZE 64

/* Bodies that are refused are read to their end up to this size, so that the client reads the reply instead of a reset
 * connection (RFC 9112, section 9.6). */
#define REQUEST_DRAIN_MAX (8 * 1024 * 1024)

struct api_server;
struct route;
struct waiter;

enum request_phase {
	REQUEST_NEW,     /* only the request line and headers are there */
	REQUEST_READING, /* its body is coming */
	REQUEST_WAITING, /* suspended */
	REQUEST_REPLIED
};

struct request_header {
	const char *name; /* static */
	char *value;
};

/* See request_audit.h. */
struct request_audit {
	struct audit_entry entry;
	char source[PEER_NAME_SIZE];
	struct db *attached; /* entry is attached to it, during a callback */
	bool stored;
};

struct request {
	struct api_server *server;
	struct service *service;
	struct MHD_Connection *connection;
	char id[REQUEST_ID_SIZE_MAX + 1];
	enum request_phase phase;
	bool on_unix;       /* came over a unix socket */
	int64_t started_us; /* monotonic */

	const char *method;        /* libmicrohttpd's, until the request ends; NULL when it never came so far */
	const char *path;          /* as sent, without the query */
	char *path_copy;           /* its captures are decoded here */
	char *raw_query;           /* consumed by `query` */
	const struct route *route; /* NULL: none found */
	const char *captures[PATH_CAPTURES_MAX];
	struct query query;
	struct actor actor; /* name is empty without credentials */

	struct str body;
	size_t body_limit;
	const char *other_type; /* what a body may be beside JSON; NULL: nothing */
	uint64_t body_seen;
	struct request_audit audit;
	bool changes_nothing; /* a write by its method, but a dry run */
	bool waits_for_store; /* it resumes without a cluster having been asked */

	bool by_cookie;    /* the actor is a session's */
	bool keys_missing; /* who asks cannot be told until the issuer's keys are there */
	bool keys_awaited; /* that was waited for: once is enough */
	bool refused;      /* err is the reply, once the body is read */

	struct nel_err err;
	int fail_status;  /* overrides what err.kind maps to; 0: not */
	json_t *errors;   /* for the problem's "errors"; NULL: none */
	json_t *warnings; /* with errors, for the problem's "warnings" */

	struct request_header headers[REQUEST_HEADERS_MAX]; /* of the reply */
	size_t header_count;
	struct MHD_Response *response;
	int status; /* of the reply; 0: none yet */

	char etag[REQUEST_ETAG_SIZE]; /* of the reply, when it was made without the body; "" */
	int64_t revision;             /* of the store, from before the read transaction */
	int64_t instant;              /* for the cache of replies: server_read_instant() */
	struct db *reading;           /* has a read transaction open; NULL: none */

	struct waiter *waiter;                                       /* when a lane was asked */
	int (*resume)(struct request *request, struct nel_err *err); /* called once it has answered */
	int (*again)(struct request *request, struct nel_err *err);  /* auth_wait_for()'s */
	void *state;                                                 /* the handler's, between the two */
	void (*state_free)(void *state);

	char text[]; /* the URI twice: as sent, and to be decoded in place */
};

/* At the request line; uri is copied. */
struct request *request_new(struct api_server *server, struct service *service, struct MHD_Connection *connection,
			    const char *uri);
void request_free(struct request *request); /* accepts NULL */

/* Takes the client's X-Request-Id when it is sane, else the request keeps its own. */
void request_take_id(struct request *request);

bool request_is_head(const struct request *request);

/* Neither GET nor HEAD: its credentials are checked before its body comes, and the body is kept. */
bool request_is_write(const struct request *request);

/* A header of the request, or NULL. */
const char *request_header(const struct request *request, const char *name);

/* Adds a header to the reply, whatever it will be. `name` is static; value is copied. */
void request_add_header(struct request *request, const char *name, const char *value);

/* Takes a header back, if it was added. */
void request_drop_header(struct request *request, const char *name);

/* Fails with an HTTP status that no error kind stands for. Returns -1. */
int request_fail(struct request *request, int status, struct nel_err *err, enum nel_err_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* Before the body: refuses one that is announced larger than the limit. */
int request_check_length(struct request *request, struct nel_err *err);

/* Before the body: refuses one that is compressed, or encoded in another way (RFC 9110, section 8.4). */
int request_check_encoding(struct request *request, struct nel_err *err);

/* Takes a piece of the body; only a write's is kept. INVALID with status 413 when it is more than the limit; the
 * request is then refused and further pieces are dropped. */
int request_take_body(struct request *request, const char *data, size_t size, struct nel_err *err);

/* Is the reply to be CSV? By the parameter `format`, else by Accept, which the reply then says. INVALID: another
 * format.
 */
int request_wants_csv(struct request *request, bool *ret_csv, struct nel_err *err);
#define REQUEST_CSV_TYPE "text/csv; charset=utf-8"

/* Takes the query apart; `known` as in query_check(). */
int request_check_query(struct request *request, const char *known, struct nel_err *err);

/* The body as a JSON object, NULL when it is empty; json_decref()ed by the caller. INVALID when it is something else,
 * with status 415 when its type is not application/json. */
int request_read_object(struct request *request, json_t **ret_object, struct nel_err *err);

/* For a write that takes no input: its body is empty or the JSON object {}. */
int request_no_body(struct request *request, struct nel_err *err);

#endif

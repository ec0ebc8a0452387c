/* Errors: what went wrong, kept on the caller's stack and passed up.
 *
 * Every function that can fail takes `struct nel_err *err` last but its outputs, returns 0 or -1, and fills *err on -1.
 * A caller adds context with err_prefix() and passes it on, or handles it; whoever handles it logs it, nobody else. */
#ifndef NEL_BASE_ERR_H
#define NEL_BASE_ERR_H

#include <stdbool.h>

#define NEL_ERR_MSG_MAX 1024

enum nel_err_kind {
	NEL_OK = 0,
	NEL_INVALID,  /* the input is wrong; saying so helps whoever sent it */
	NEL_NOTFOUND, /* what was named does not exist */
	NEL_CONFLICT, /* not possible in the present state */
	NEL_DENIED,   /* not permitted, or credentials refused */
	NEL_BUSY,     /* a bounded resource is used up; worth another try */
	NEL_REMOTE,   /* the network or a cluster failed; worth another try */
	NEL_DB,       /* the store failed */
	NEL_NOMEM,    /* out of memory */
	NEL_INTERNAL  /* a fault of the program or of its host */
};

/* What more is to be decided on than the kind; never the text. */
enum nel_err_reason {
	NEL_REASON_NONE = 0,
	NEL_REASON_LOGIN,     /* DENIED: a cluster refuses the login, or the key for it cannot be used */
	NEL_REASON_HOST_KEY,  /* DENIED: it is not known whether the host that answers is the right one */
	NEL_REASON_CREDENTIAL /* DENIED: a certificate cannot be used, or the command that hands it out gives none */
};

/* Is it a login that will be refused until its credentials are others? */
static inline bool err_is_login(enum nel_err_reason reason)
{
	return reason == NEL_REASON_LOGIN || reason == NEL_REASON_CREDENTIAL;
}

struct nel_err {
	enum nel_err_kind kind;
	enum nel_err_reason reason; /* NONE unless err_because() says more */
	int sys;                    /* errno or a library's own number; 0 when there is none */
	char msg[NEL_ERR_MSG_MAX];
};

/* Fills *err (err may be NULL) and returns -1, so that `return err_set(...)` reads well. Control characters in the
 * message become spaces: messages end in logs and HTTP replies. */
int err_set(struct nel_err *err, enum nel_err_kind kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set(), with `sys` an errno; its text is appended. */
int err_sys(struct nel_err *err, enum nel_err_kind kind, int sys, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "<text>: " before the message and returns -1. */
int err_prefix(struct nel_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Says why, when the error is of the kind; returns -1. */
int err_because(struct nel_err *err, enum nel_err_kind kind, enum nel_err_reason reason);

/* Makes it an error of another kind, as where what is denied to the daemon is somebody's input; returns -1. */
int err_as(struct nel_err *err, enum nel_err_kind kind);

const char *err_kind_name(enum nel_err_kind kind);

#endif

/* What requests leave in the store (db/audit.h): one row for each write by somebody who is known, in the
 * transaction of the write, or, when there was none (it was refused, it changed nothing), in one of its own before the
 * reply; and one an hour for each person and job whose files are read from the cluster. Not for 401 and 429: whoever
 * has no credentials cannot fill the store. */
#ifndef NEL_API_HTTP_REQUEST_AUDIT_H
#define NEL_API_HTTP_REQUEST_AUDIT_H

#include "api/http/request.h"

/* The thread's connection is about to be written with, for this request. */
void request_audit_begin(struct request *request, struct db *db);

/* At the end of each callback of libmicrohttpd. */
void request_audit_end(struct request *request);

#endif

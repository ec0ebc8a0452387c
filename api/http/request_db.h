/* The store as a request reads it and writes to it. */
#ifndef NEL_API_HTTP_REQUEST_DB_H
#define NEL_API_HTTP_REQUEST_DB_H

#include "api/http/request.h"

/* The thread's database connection, to write with too. */
int request_db(struct request *request, struct db **ret_db, struct nel_err *err);

/* The same for reads only: all that one callback of libmicrohttpd reads is the store at one instant. */
int request_read_db(struct request *request, struct db **ret_db, struct nel_err *err);
/* Without a transaction: what is known of the instant that is now (request->instant) needs no look at the store, and
 * one statement is an instant of its own. */
int request_glance_db(struct request *request, struct db **ret_db, struct nel_err *err);
/* At the end of each callback. */
void request_end_read(struct request *request);

#endif

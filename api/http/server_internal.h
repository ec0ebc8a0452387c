/* What the rest of api/ needs of the server. */
#ifndef NEL_API_HTTP_SERVER_INTERNAL_H
#define NEL_API_HTTP_SERVER_INTERNAL_H

#include "base/err.h"
#include "db/db.h"

struct api_server;
struct limiter;
struct proxy;
struct read_cache;
struct stream_room;
struct wait_room;
struct feed;

/* The calling HTTP thread's connection to the database, opened at its first use and closed when the thread ends. */
int server_db(struct api_server *server, struct db **ret_db, struct nel_err *err);

/* Right after the calling HTTP thread has begun a read transaction: a number that is greater once anybody has changed
 * the store. revision: db_revision() from before the transaction. */
int server_read_instant(struct api_server *server, int64_t revision, int64_t *ret_instant, struct nel_err *err);

/* Shared by all HTTP threads. */
struct read_cache *server_read_cache(struct api_server *server);
struct limiter *server_limiter(struct api_server *server);
const struct proxy *server_proxy(const struct api_server *server);

struct wait_room *server_wait_room(struct api_server *server);
struct stream_room *server_stream_room(struct api_server *server);

struct feed *server_feed(struct api_server *server);

#endif

/* Table events: one monotonic log of what happened, for streams and dashboards. */
#ifndef NEL_DB_EVENTS_H
#define NEL_DB_EVENTS_H

#include "db/db.h"

/* kind: "evaluation.created", "job.state", ...; job may be NULL; data is JSON text. Within the transaction of what it
 * tells of. */
int events_insert(struct db *db, int64_t now_s, const char *kind, const char *user, const char *evaluation,
		  const char *job, const char *data, struct nel_err *err);

#endif

/* Owns how a request gets at the store: one instant for its reads, its row in the audit for its writes. */
#include "api/http/request_db.h"

#include "api/http/request_audit.h"
#include "api/http/server_internal.h"

int request_db(struct request *request, struct db **ret_db, struct nel_err *err)
{
	if (server_db(request->server, ret_db, err) != 0)
		return -1;
	request_audit_begin(request, *ret_db);
	return 0;
}

int request_read_db(struct request *request, struct db **ret_db, struct nel_err *err)
{
	struct db *db = NULL;
	if (server_db(request->server, &db, err) != 0)
		return -1;
	if (request->reading == NULL) {
		request->revision = db_revision();
		if (db_begin_read(db, err) != 0)
			return -1;
		request->reading = db;
		if (server_read_instant(request->server, request->revision, &request->instant, err) != 0)
			return -1;
	}
	*ret_db = db;
	return 0;
}

int request_glance_db(struct request *request, struct db **ret_db, struct nel_err *err)
{
	struct db *db = NULL;
	if (server_db(request->server, &db, err) != 0)
		return -1;
	if (request->reading == NULL) {
		request->revision = db_revision();
		if (server_read_instant(request->server, request->revision, &request->instant, err) != 0)
			return -1;
	}
	*ret_db = db;
	return 0;
}

void request_end_read(struct request *request)
{
	if (request->reading != NULL)
		db_rollback(request->reading);
	request->reading = NULL;
}

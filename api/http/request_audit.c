/* Owns what a request leaves in the audit table. */
#include "api/http/request_audit.h"

#include "api/http/peer.h"
#include "api/http/router.h"
#include "api/http/server_internal.h"
#include "base/clock.h"
#include "base/log.h"

#define DAY_S (24 * 3600)

/* Fills the request's entry, whose texts are the request's. */
static void describe(struct request *request)
{
	struct request_audit *audit = &request->audit;
	peer_name(request, audit->source);
	audit->entry = (struct audit_entry){.actor = request->actor.name,
					    .role = role_name(request->actor.role),
					    .source = audit->source,
					    .sign_in = sign_in_name(request->actor.sign_in),
					    .request = request->id,
					    .action = request->route->operation,
					    .target = request->captures[0],
					    .keep_s = request->service->settings->audit_keep_days * DAY_S};
}

static bool is_audited(const struct request *request)
{
	return request_is_write(request) && request->route != NULL && request->actor.name[0] != '\0';
}

void request_audit_begin(struct request *request, struct db *db)
{
	if (!is_audited(request) || request->audit.attached != NULL)
		return;
	describe(request);
	audit_attach(db, &request->audit.entry);
	request->audit.attached = db;
}

/* What the transactions of the request have not stored. */
static int store_rest(struct request *request, bool hourly, struct nel_err *err)
{
	struct db *db = NULL;
	struct audit_entry *entry = &request->audit.entry;
	if (server_db(request->server, &db, err) != 0)
		return -1;
	describe(request);
	entry->status = request->status;
	if (request->status >= 400) {
		entry->outcome = request->status >= 500 ? AUDIT_FAILED : AUDIT_REFUSED;
		entry->detail = request->err.msg;
	}
	return hourly ? audit_insert_hourly(db, entry, false, clock_now_s(), err)
		      : audit_insert(db, entry, clock_now_s(), err);
}

void request_audit_end(struct request *request)
{
	struct request_audit *audit = &request->audit;
	struct nel_err err;
	if (audit->attached != NULL && audit_detach(audit->attached))
		audit->stored = true;
	audit->attached = NULL;
	if (request->phase != REQUEST_REPLIED || audit->stored)
		return;
	bool asked_cluster = request->resume != NULL && !request->waits_for_store && request->actor.name[0] != '\0';
	bool wrote = is_audited(request) && !request->changes_nothing;
	bool unknown = request->status == MHD_HTTP_UNAUTHORIZED || request->status == MHD_HTTP_TOO_MANY_REQUESTS;
	if (unknown || (!wrote && !asked_cluster))
		return;
	audit->stored = true;
	if (store_rest(request, !wrote, &err) != 0)
		log_warning("a request left no row in the audit", LOG_S("request", request->id),
			    LOG_S("user", request->actor.name), LOG_S("error", err.msg));
}

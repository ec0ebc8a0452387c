/* Handler of /v1/audit. */
#include "db/audit.h"
#include "api/http/handlers.h"
#include "api/http/page.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "base/json_out.h"

static void render_row(struct json_out *out, const struct audit_row *row)
{
	out_object(out, NULL);
	out_int(out, "seq", row->seq);
	out_time(out, "at", row->at);
	out_time(out, "last_at", row->last_at);
	out_int(out, "count", row->count);
	out_string(out, "actor", row->actor);
	out_string(out, "role", row->role);
	out_string(out, "source", row->source);
	out_string(out, "signed_in_by", row->sign_in);
	out_string(out, "request_id", row->request);
	out_string(out, "action", row->action);
	out_string(out, "target", row->target);
	out_string(out, "cluster", row->cluster);
	out_string(out, "outcome", row->outcome);
	out_int_or_null(out, "status", row->status, row->status != 0);
	out_string(out, "detail", row->detail);
	out_end(out);
}

static int parse_filter(struct request *request, const struct page *page, struct audit_filter *filter,
			struct nel_err *err)
{
	const struct query *query = &request->query;
	*filter = (struct audit_filter){.actor = query_get(query, "actor"),
					.action = query_get(query, "action"),
					.target = query_get(query, "target"),
					.after_seq = page->position,
					.limit = page->limit + 1};
	return query_get_span(query, &filter->since_s, &filter->until_s, err);
}

int api_listAudit(struct request *request, struct nel_err *err)
{
	struct page page = {0};
	struct audit_filter filter;
	struct db *db = NULL;
	CLEANUP(audit_list_done) struct audit_list list = {0};
	if (page_parse(request, CURSOR_AUDIT, &page, err) != 0 || parse_filter(request, &page, &filter, err) != 0 ||
	    request_read_db(request, &db, err) != 0 || audit_list(db, &filter, &list, err) != 0)
		return -1;
	size_t shown = list.count > (size_t)page.limit ? (size_t)page.limit : list.count;
	struct json_out body = {0};
	out_object(&body, NULL);
	out_array(&body, "items");
	for (size_t i = 0; i < shown; i++)
		render_row(&body, &list.items[i]);
	out_end(&body);
	page_next(request, &page, shown < list.count ? list.items[shown - 1].seq : 0, &body);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

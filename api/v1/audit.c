/* Handler of /v1/audit. */
#include "db/audit.h"
#include "api/http/handlers.h"
#include "api/http/json_out.h"
#include "api/http/page.h"
#include "api/http/reply.h"

static void render_row(struct str *s, const struct audit_row *row)
{
	OUT(s, "{\"seq\":");
	out_int(s, row->seq);
	OUT(s, ",\"at\":");
	out_time(s, row->at);
	OUT(s, ",\"last_at\":");
	out_time(s, row->last_at);
	OUT(s, ",\"count\":");
	out_int(s, row->count);
	OUT(s, ",\"actor\":");
	out_string(s, row->actor);
	OUT(s, ",\"role\":");
	out_string(s, row->role);
	OUT(s, ",\"source\":");
	out_string(s, row->source);
	OUT(s, ",\"request_id\":");
	out_string(s, row->request);
	OUT(s, ",\"action\":");
	out_string(s, row->action);
	OUT(s, ",\"target\":");
	out_string(s, row->target);
	OUT(s, ",\"cluster\":");
	out_string(s, row->cluster);
	OUT(s, ",\"outcome\":");
	out_string(s, row->outcome);
	OUT(s, ",\"status\":");
	out_int_or_null(s, row->status, row->status != 0);
	OUT(s, ",\"detail\":");
	out_string(s, row->detail);
	OUT(s, "}");
}

static int parse_filter(struct request *request, const struct page *page, struct audit_filter *filter,
			struct nel_err *err)
{
	const struct query *query = &request->query;
	long long since_s = 0;
	long long until_s = 0;
	if (query_get_time(query, "since", &since_s, err) != 0 || query_get_time(query, "until", &until_s, err) != 0)
		return -1;
	*filter = (struct audit_filter){.actor = query_get(query, "actor"),
					.action = query_get(query, "action"),
					.target = query_get(query, "target"),
					.since_s = since_s,
					.until_s = until_s,
					.after_seq = page->position,
					.limit = page->limit + 1};
	return 0;
}

int api_listAudit(struct request *request, struct nel_err *err)
{
	static const struct query_rule rules[] = {{"actor", false}, {"action", false}, {"target", false},
						  {"since", false}, {"until", false},  PAGE_RULES};
	struct page page = {0};
	struct audit_filter filter;
	struct db *db = NULL;
	CLEANUP(audit_list_done) struct audit_list list = {0};
	if (request_check_query(request, rules, QUERY_RULES(rules), err) != 0 ||
	    page_parse(request, CURSOR_AUDIT, &page, err) != 0 || parse_filter(request, &page, &filter, err) != 0 ||
	    request_read_db(request, &db, err) != 0 || audit_list(db, &filter, &list, err) != 0)
		return -1;
	size_t shown = list.count > (size_t)page.limit ? (size_t)page.limit : list.count;
	struct str body = {0};
	OUT(&body, "{\"items\":[");
	for (size_t i = 0; i < shown; i++) {
		if (i > 0)
			OUT(&body, ",");
		render_row(&body, &list.items[i]);
	}
	OUT(&body, "],");
	page_next(request, &page, shown < list.count ? list.items[shown - 1].seq : 0, &body);
	OUT(&body, "}");
	return reply_json_text(request, MHD_HTTP_OK, &body, err);
}

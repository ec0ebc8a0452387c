/* Owns how a list says where it goes on. */
#include "api/http/page.h"

#include <string.h>

int page_parse(struct request *request, enum cursor_kind kind, struct page *ret_page, struct nel_err *err)
{
	struct page page = {.kind = kind};
	long long limit = 0;
	if (query_get_int(&request->query, "limit", 1, PAGE_LIMIT_MAX, PAGE_LIMIT_DEFAULT, &limit, err) != 0)
		return -1;
	page.limit = (int)limit;
	const char *cursor = query_get(&request->query, "cursor");
	if (cursor != NULL && cursor_parse(kind, cursor, &page.position, err) != 0)
		return -1;
	if (query_get_bool(&request->query, "total", false, &page.total, err) != 0)
		return -1;
	*ret_page = page;
	return 0;
}

void page_total(const struct page *page, int64_t total, bool capped, struct json_out *out)
{
	if (!page->total)
		return;
	out_int(out, "total", total);
	out_bool(out, "total_capped", capped);
}

/* The same request with the next cursor (RFC 8288). */
void page_link(struct request *request, const struct page *page, int64_t position)
{
	char cursor[CURSOR_SIZE];
	if (position == 0)
		return;
	cursor_format(page->kind, position, cursor);
	struct str link = {0};
	str_appendf(&link, "<%s?", request->path);
	for (size_t i = 0; i < request->query.count; i++) {
		const struct query_param *param = &request->query.items[i];
		if (strcmp(param->name, "cursor") == 0)
			continue;
		query_encode(&link, param->name);
		str_append_c(&link, '=');
		query_encode(&link, param->value);
		str_append_c(&link, '&');
	}
	str_appendf(&link, "cursor=%s>; rel=\"next\"", cursor);
	request_add_header(request, MHD_HTTP_HEADER_LINK, str_text(&link));
	str_done(&link);
}

void page_next(struct request *request, const struct page *page, int64_t position, struct json_out *out)
{
	char cursor[CURSOR_SIZE];
	if (position == 0) {
		out_null(out, "next");
		return;
	}
	cursor_format(page->kind, position, cursor);
	out_string(out, "next", cursor);
	page_link(request, page, position);
}

/* Owns how a list says where it goes on. */
#include "api/http/page.h"

#include <limits.h>
#include <string.h>

static int parse(struct request *request, enum cursor_kind kind, int if_none, struct page *ret_page,
		 struct nel_err *err)
{
	struct page page = {.kind = kind};
	long long limit = 0;
	if (query_get_int(&request->query, "limit", 1, PAGE_LIMIT_MAX, if_none, &limit, err) != 0)
		return -1;
	page.limit = (int)limit;
	const char *cursor = query_get(&request->query, "cursor");
	if (cursor != NULL && cursor_parse(kind, cursor, &page.position, err) != 0)
		return -1;
	*ret_page = page;
	return 0;
}

int page_parse(struct request *request, enum cursor_kind kind, struct page *ret_page, struct nel_err *err)
{
	return parse(request, kind, PAGE_LIMIT_DEFAULT, ret_page, err) != 0
		   ? -1
		   : query_get_bool(&request->query, "total", false, &ret_page->total, err);
}

int page_parse_whole(struct request *request, struct page *ret_page, struct nel_err *err)
{
	return parse(request, CURSOR_WHOLE, INT_MAX, ret_page, err);
}

bool page_has(const struct page *page, size_t row)
{
	return (int64_t)row >= page->position && (int64_t)row - page->position < page->limit;
}

int64_t page_after(const struct page *page, size_t count)
{
	return (int64_t)count - page->position > page->limit ? page->position + page->limit : 0;
}

void page_cut(struct request *request, const struct page *page, json_t *list)
{
	const json_t *items = json_object_get(list, "items");
	size_t count = json_array_size(items);
	int64_t next = page_after(page, count);
	json_t *shown = json_array();
	for (size_t i = 0; i < count; i++)
		if (page_has(page, i))
			json_array_append(shown, json_array_get(items, i));
	json_object_set_new(list, "items", shown);
	if (next != 0) {
		char cursor[CURSOR_SIZE];
		cursor_format(page->kind, next, cursor);
		json_object_set_new(list, "next", json_string(cursor));
		page_link(request, page, next);
	}
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

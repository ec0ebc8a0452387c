/* Pages of lists: the limit and cursor parameters, "next" and the Link header. */
#ifndef NEL_API_HTTP_PAGE_H
#define NEL_API_HTTP_PAGE_H

#include "api/http/cursor.h"
#include "api/http/request.h"
#include "base/json_out.h"

#define PAGE_LIMIT_MAX 500
#define PAGE_LIMIT_DEFAULT 50

struct page {
	enum cursor_kind kind;
	int limit;
	int64_t position; /* of the cursor; 0 without one */
	bool total;       /* how many there are on all pages is asked for */
};

int page_parse(struct request *request, enum cursor_kind kind, struct page *ret_page, struct nel_err *err);

/* Of a list that is made whole: without a limit, all of it is on the page, which begins at the row with the number
 * `position`, from 0. */
int page_parse_whole(struct request *request, struct page *ret_page, struct nel_err *err);
bool page_has(const struct page *page, size_t row);
/* Where it goes on, of so many rows, for page_next() and page_link(). */
int64_t page_after(const struct page *page, size_t count);
/* Leaves in `{"items": [...], "next": null}` what is on the page. */
void page_cut(struct request *request, const struct page *page, json_t *list);

/* Appends `"next":` with the cursor of the page that begins at `position` (null for 0) and adds the Link header. */
void page_next(struct request *request, const struct page *page, int64_t position, struct json_out *out);

/* Appends `"total":` and whether there may be more, where that was asked for. */
void page_total(const struct page *page, int64_t total, bool capped, struct json_out *out);

/* The Link header alone; nothing for 0. */
void page_link(struct request *request, const struct page *page, int64_t position);

#endif

/* Handler of /v1/tasks, the catalogue. */
#include "api/http/handlers.h"
#include "api/http/page.h"
#include "api/http/reply.h"

int api_listTasks(struct request *request, struct nel_err *err)
{
	struct page page = {0};
	if (page_parse(request, CURSOR_TASKS, &page, err) != 0)
		return -1;
	bool more = false;
	CLEANUP(json_freep)
	json_t *tasks =
	    service_tasks(request->service, query_get(&request->query, "search"), query_get(&request->query, "harness"),
			  (size_t)page.position, (size_t)page.limit, &more);
	CLEANUP(mem_freep) char *items = json_dumps(tasks, JSON_COMPACT);
	if (items == NULL)
		return err_set(err, NEL_INTERNAL, "the catalogue is no JSON");
	struct json_out body = {0};
	out_object(&body, NULL);
	out_json(&body, "items", items);
	page_next(request, &page, more ? page.position + page.limit : 0, &body);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

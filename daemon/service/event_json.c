#include "service/event_json.h"

#include "base/clock.h"
#include "base/mem.h"

#include <jansson.h>

char *event_json(const struct event_row *row)
{
	char at[CLOCK_RFC3339_SIZE];
	json_t *data = json_loads(row->data, 0, NULL);
	CLEANUP(json_freep)
	json_t *json = json_pack("{s:I, s:s, s:s, s:s?, s:s?, s:s?, s:o}", "seq", (json_int_t)row->seq, "at",
				 clock_rfc3339(row->at, at), "kind", row->kind, "user", row->user, "evaluation",
				 row->evaluation, "job", row->job, "data", data != NULL ? data : json_object());
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
	return text != NULL ? text : mem_strdup("{}");
}

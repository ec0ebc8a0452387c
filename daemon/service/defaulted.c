#include "service/defaulted.h"

#include "base/mem.h"
#include "config/compose/defaulted.h"
#include "config/text/yaml_json.h"

#include <string.h>

char *service_defaulted(const struct evaluation_row *row)
{
	CLEANUP(json_freep) json_t *resolved = json_loads(row->resolved, 0, NULL);
	CLEANUP(json_freep) json_t *submitted = NULL;
	CLEANUP(json_freep) json_t *overrides = json_loads(row->overrides, 0, NULL);
	bool json = strcmp(row->submitted_type, "application/json") == 0;
	(void)yaml_json_parse(row->submitted_text, strlen(row->submitted_text), json, &submitted, NULL, NULL, NULL);
	size_t count = json_array_size(overrides);
	CLEANUP(mem_freep) const char **texts = mem_calloc(count + 1, sizeof *texts);
	for (size_t i = 0; i < count; i++)
		texts[i] = json_string_value(json_array_get(overrides, i));
	CLEANUP(json_freep)
	json_t *found = json_pack("{s:o}", "items", defaulted_find(resolved, submitted, texts, count));
	return json_dumps(found, JSON_COMPACT);
}

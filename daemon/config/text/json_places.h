/* Strict JSON (RFC 8259) to a value with places. */
#ifndef NEL_CONFIG_TEXT_JSON_PLACES_H
#define NEL_CONFIG_TEXT_JSON_PLACES_H

#include "base/err.h"
#include "config/text/problem.h"
#include "config/text/source_map.h"

/* As yaml_json_parse() with `json` true. */
int json_places_parse(const char *text, size_t size, json_t **ret_value, struct source_map **ret_map,
		      struct problems *problems, struct nel_err *err);

#endif

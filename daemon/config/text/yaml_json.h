/* YAML 1.1 (as PyYAML reads it, but with the numbers of OmegaConf, the loader of the launcher: 1e-5 is one, and none
 * are sexagesimal) and JSON text to a JSON value, with places. */
#ifndef NEL_CONFIG_TEXT_YAML_JSON_H
#define NEL_CONFIG_TEXT_YAML_JSON_H

#include "base/err.h"
#include "config/text/limits.h"
#include "config/text/problem.h"
#include "config/text/source_map.h"

#define YAML_DIRECTIVES_MAX 64 /* lines that begin with '%'; libyaml compares each with all others */

/* Parses one document of `size` bytes (JSON is read as the YAML it is, except that `json` true demands strict JSON).
 * An empty document is null. 0: *ret_value is a new reference and *ret_map, when ret_map is not NULL, the caller's.
 * -1: the text is wrong; *err says it in one line (INVALID) and `problems` has it with its place. */
int yaml_json_parse(const char *text, size_t size, bool json, json_t **ret_value, struct source_map **ret_map,
		    struct problems *problems, struct nel_err *err);

/* Writes value as block-style YAML that PyYAML reads back as the same value (strings that YAML would take for
 * something else are quoted; multi-line strings may be literal blocks). The result is free()d by the caller. */
char *yaml_json_emit(const json_t *value);

#endif

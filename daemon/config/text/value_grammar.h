/* The value grammar that Hydra's overrides and the arguments of OmegaConf's resolvers share: `12:00:00`, `[a, b]`,
 * `{k: v}`, `'quoted'`, `1e-5`, `${a.b}`. Follows hydra.cc/docs/advanced/override_grammar; beyond it, characters that
 * Hydra wants quoted are taken as they are where they cannot be mistaken. */
#ifndef NEL_CONFIG_TEXT_VALUE_GRAMMAR_H
#define NEL_CONFIG_TEXT_VALUE_GRAMMAR_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>

#define VALUE_DEPTH_MAX 32
#define INTERPOLATION_BRACES_MAX 32 /* open at once: each level of "${" is read again for those within it */

/* How values are read; all borrowed. */
struct value_scan {
	const char *at; /* moves forward */
	const char *end;
	int depth;
	/* Gives the value of an interpolation, whose text ("${" and "}" included) is size bytes: a new reference, or
	 * NULL with *err filled. NULL: interpolations stay in the text. */
	json_t *(*interpolation)(const char *text, size_t size, void *arg, struct nel_err *err);
	void *arg;
};

/* Reads one element at s->at, up to a ',' or a closing bracket that is not part of it, or the end. NULL and *err when
 * the text is wrong. *ret_quoted (may be NULL): it is a quoted string. */
json_t *value_element(struct value_scan *s, bool *ret_quoted, struct nel_err *err);

/* All of text as one element. */
json_t *value_parse(const char *text, struct nel_err *err);

/* The end of the interpolation that starts at text ("${"): past its "}"; NULL when there is none before `end`. */
const char *value_interpolation_end(const char *text, const char *end);

/* The text of a value inside a longer string, as Python's str() gives it: "True", "None", "1e-05", "['a', 1]". */
char *value_to_text(const json_t *value);

#endif

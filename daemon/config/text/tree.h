/* Parsed JSON as a tree: copies that are cheap to make, and what work it is. */
#ifndef NEL_CONFIG_TEXT_TREE_H
#define NEL_CONFIG_TEXT_TREE_H

#include <jansson.h>
#include <stddef.h>

/* A copy whose containers may be changed. It shares the scalars, but for strings with interpolations: each of these
 * stands in one place only, by which it is known. json_deep_copy() takes several times as long, for it looks for
 * circles, which what was parsed has not. */
json_t *tree_copy(const json_t *value);

/* Puts a copy in the place of the object's member, a mapping that is about to be written to, and returns it (borrowed).
 * NULL when there is none, or object is NULL. */
json_t *tree_own(json_t *object, const char *key);

/* How many values it has, itself with them. A number with a fraction counts TREE_REAL times, since to write one takes
 * that much longer than the others. */
#define TREE_REAL 8
size_t tree_weight(const json_t *value);

#endif

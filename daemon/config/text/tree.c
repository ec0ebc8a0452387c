/* Owns how parsed JSON is copied and weighed. */
#include "config/text/tree.h"

#include <string.h>

json_t *tree_copy(const json_t *value)
{
	const char *key = NULL;
	json_t *member = NULL;
	size_t index = 0;
	if (json_is_string(value) && strstr(json_string_value(value), "${") != NULL)
		return json_string_nocheck(json_string_value(value));
	if (!json_is_object(value) && !json_is_array(value))
		return json_incref((json_t *)value);
	json_t *made = json_is_object(value) ? json_object() : json_array();
	json_object_foreach((json_t *)value, key, member)
		json_object_set_new_nocheck(made, key, tree_copy(member));
	json_array_foreach(value, index, member)
		json_array_append_new(made, tree_copy(member));
	return made;
}

json_t *tree_own(json_t *object, const char *key)
{
	json_t *member = json_object_get(object, key);
	if (!json_is_object(member))
		return NULL;
	json_object_set_new(object, key, json_copy(member));
	return json_object_get(object, key);
}

size_t tree_weight(const json_t *value)
{
	const char *key = NULL;
	json_t *member = NULL;
	size_t index = 0;
	size_t weight = json_is_real(value) ? TREE_REAL : 1;
	json_object_foreach((json_t *)value, key, member)
		weight += tree_weight(member);
	json_array_foreach(value, index, member)
		weight += tree_weight(member);
	return weight;
}

/* For cppcheck only: the macros of jansson and uthash in words that it understands without their headers. */
#define JSON_INTEGER_FORMAT "lld"
#define json_object_foreach(object, key, value) for (key = first(object), value = of(object, key); key; key = next(key))
#define json_object_foreach_safe(object, n, key, value) \
	for (key = first(object), n = next(key), value = of(object, key); key; key = n)
#define json_array_foreach(array, i, value) for (i = 0, value = at(array, i); i < count(array); i++)
#define HASH_ITER(hh, head, item, tmp) for (item = first(head), tmp = next(item); item; item = tmp)
#define HASH_FIND(hh, head, key, size, out) out = find(head, key, size)
#define HASH_ADD(hh, head, field, size, item) add(head, item)
#define HASH_DELETE(hh, head, item) del(head, item)

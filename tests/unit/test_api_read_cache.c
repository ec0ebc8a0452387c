/* The cache of replies. */
#include "api/http/read_cache.h"
#include "base/mem.h"
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *find(struct read_cache *cache, int64_t version, const char *id)
{
	const struct read_cached *cached = read_cache_find(cache, version, id);
	return cached == NULL ? NULL : cached->body;
}

static void store(struct read_cache *cache, const char *id, const char *text)
{
	struct str body = {0};
	str_append(&body, text);
	read_cache_store(cache, id, &body, "\"tag\"");
	str_done(&body);
}

static void test_read_cache_find_same_version_only(void **state)
{
	struct read_cache *cache = read_cache_new();
	(void)state;
	assert_null(find(cache, 1, "0123456789abcdef"));
	store(cache, "0123456789abcdef", "one");
	assert_string_equal(find(cache, 1, "0123456789abcdef"), "one");
	assert_string_equal(read_cache_find(cache, 1, "0123456789abcdef")->etag, "\"tag\"");
	assert_null(find(cache, 1, "0123456789abcde0"));
	assert_null(find(cache, 2, "0123456789abcdef"));
	assert_null(find(cache, 1, "0123456789abcdef"));
	read_cache_free(cache);
}

static void test_read_cache_clear_forgets(void **state)
{
	struct read_cache *cache = read_cache_new();
	(void)state;
	assert_null(find(cache, 1, "0123456789abcdef"));
	store(cache, "0123456789abcdef", "one");
	read_cache_clear(cache);
	assert_null(find(cache, 1, "0123456789abcdef"));
	read_cache_free(cache);
	read_cache_free(NULL);
}

static void test_read_cache_store_many_ids_never_mixed_up(void **state)
{
	struct read_cache *cache = read_cache_new();
	int found = 0;
	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 200; i++) {
			char id[IDS_EVALUATION_SIZE];
			snprintf(id, sizeof id, "%016x", i * 7919);
			const char *body = find(cache, 5, id);
			if (body != NULL) {
				assert_string_equal(body, id);
				found++;
			}
			store(cache, id, id);
			assert_string_equal(find(cache, 5, id), id);
		}
	}
	assert_true(found < 200);
	read_cache_free(cache);
}

static void test_read_cache_store_large_body_not_kept(void **state)
{
	struct read_cache *cache = read_cache_new();
	struct str body = {0};
	(void)state;
	for (int i = 0; i < 10000; i++)
		str_append(&body, "0123456789");
	assert_null(find(cache, 1, "0123456789abcdef"));
	read_cache_store(cache, "0123456789abcdef", &body, "\"tag\"");
	assert_null(find(cache, 1, "0123456789abcdef"));
	str_done(&body);
	read_cache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_read_cache_find_same_version_only),
	    cmocka_unit_test(test_read_cache_clear_forgets),
	    cmocka_unit_test(test_read_cache_store_many_ids_never_mixed_up),
	    cmocka_unit_test(test_read_cache_store_large_body_not_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

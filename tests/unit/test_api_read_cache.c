/* The cache of replies. */
#include "api/http/read_cache.h"
#include "base/mem.h"
#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

static struct revision version_of(int seq, int version)
{
	struct revision revision = {.seq = seq, .version = version};
	snprintf(revision.id, sizeof revision.id, "%016x", seq * 7919);
	return revision;
}

static void store(struct read_cache *cache, const struct revision *revision, struct read_instant instant,
		  const char *text)
{
	read_cache_store(cache, revision, instant, text, strlen(text), "\"tag\"");
}

/* The text that is known to be right at the instant, by id and by number alike; NULL: none is. Owned. */
static char *now(struct read_cache *cache, int seq, struct read_instant instant)
{
	struct revision revision = version_of(seq, 0);
	struct str by_id = {0};
	struct str by_seq = {0};
	char etag[READ_CACHE_ETAG_SIZE];
	enum read_cached answer = read_cache_now(cache, revision.id, instant, &by_id, etag);
	bool found = answer == READ_CACHED_RIGHT;
	assert_int_equal(read_cache_now_at(cache, seq, instant, &by_seq), answer);
	assert_string_equal(str_text(&by_id), str_text(&by_seq));
	if (found)
		assert_string_equal(etag, "\"tag\"");
	str_done(&by_seq);
	char *text = str_take(&by_id);
	if (found)
		return text;
	free(text);
	return NULL;
}

static void check_now(struct read_cache *cache, int seq, struct read_instant instant, const char *want)
{
	CLEANUP(mem_freep) char *text = now(cache, seq, instant);
	if (want == NULL)
		assert_null(text);
	else
		assert_string_equal(text, want);
}

static bool find(struct read_cache *cache, const struct revision *revision, struct read_instant instant)
{
	struct str text = {0};
	char etag[READ_CACHE_ETAG_SIZE];
	bool found = read_cache_find(cache, revision, instant, &text, etag);
	str_done(&text);
	return found;
}

static void test_read_cache_text_is_right_until_a_commit(void **state)
{
	struct read_cache *cache = read_cache_new();
	struct revision one = version_of(1, 1);
	(void)state;
	check_now(cache, 1, (struct read_instant){5, 0}, NULL);
	store(cache, &one, (struct read_instant){5, 0}, "one");
	check_now(cache, 1, (struct read_instant){5, 0}, "one");
	check_now(cache, 1, (struct read_instant){4, 0},
		  "one"); /* a reader that began before is served what is newer */
	check_now(cache, 1, (struct read_instant){6, 0}, NULL);
	check_now(cache, 2, (struct read_instant){5, 0}, NULL);
	read_cache_free(cache);
	read_cache_free(NULL);
}

static void test_read_cache_text_of_the_same_revision_outlives_commits(void **state)
{
	struct read_cache *cache = read_cache_new();
	struct revision one = version_of(1, 1);
	struct revision changed = version_of(1, 2);
	struct revision other = version_of(1, 1);
	(void)state;
	store(cache, &one, (struct read_instant){5, 0}, "one");
	assert_true(find(cache, &one, (struct read_instant){9, 0}));
	check_now(cache, 1, (struct read_instant){9, 0}, "one");
	assert_false(find(cache, &changed, (struct read_instant){10, 0}));
	other.id[0] = 'f'; /* another evaluation that has got the number of one that was pruned */
	assert_false(find(cache, &other, (struct read_instant){10, 0}));
	store(cache, &changed, (struct read_instant){10, 0}, "changed");
	check_now(cache, 1, (struct read_instant){10, 0}, "changed");
	assert_false(find(cache, &one, (struct read_instant){10, 0}));
	read_cache_free(cache);
}

static void test_read_cache_text_of_one_that_waits_goes_with_its_place(void **state)
{
	struct read_cache *cache = read_cache_new();
	struct revision one = version_of(1, 1);
	(void)state;
	one.waits = true;
	store(cache, &one, (struct read_instant){5, 3}, "third");
	check_now(cache, 1, (struct read_instant){5, 3}, "third");
	check_now(cache, 1, (struct read_instant){5, 4}, NULL);
	assert_false(find(cache, &one, (struct read_instant){5, 4}));
	read_cache_free(cache);
}

static void test_read_cache_is_bounded_and_keeps_what_is_used(void **state)
{
	struct read_cache *cache = read_cache_new();
	const struct read_instant instant = {1, 0};
	const int count = 4 * READ_CACHE_BYTES_MAX / 16384;
	CLEANUP(mem_freep) char *text = mem_calloc(1, 16384);
	int kept = 0;
	(void)state;
	memset(text, 'x', 16383);
	for (int seq = 1; seq <= count; seq++) {
		struct revision revision = version_of(seq, 1);
		snprintf(text, 16, "%d", seq);
		text[strlen(text)] = ' ';
		store(cache, &revision, instant, text);
		free(now(cache, 1, instant)); /* the first is read all the time */
	}
	for (int seq = 1; seq <= count; seq++) {
		CLEANUP(mem_freep) char *found = now(cache, seq, instant);
		kept += found != NULL;
		if (found != NULL)
			assert_int_equal(atoi(found), seq);
	}
	assert_true(kept > count / 8 && kept <= count / 4);
	free(now(cache, 1, instant));
	CLEANUP(mem_freep) char *first = now(cache, 1, instant);
	assert_non_null(first);
	read_cache_free(cache);
}

static void test_read_cache_large_text_is_not_kept(void **state)
{
	struct read_cache *cache = read_cache_new();
	struct revision one = version_of(1, 1);
	CLEANUP(mem_freep) char *text = mem_calloc(1, READ_CACHE_TEXT_MAX + 2);
	(void)state;
	memset(text, 'x', READ_CACHE_TEXT_MAX + 1);
	store(cache, &one, (struct read_instant){1, 0}, text);
	check_now(cache, 1, (struct read_instant){1, 0}, NULL);
	read_cache_free(cache);
}

static void offer(struct read_cache *cache, const struct revision *revision, struct read_instant instant,
		  const char *text)
{
	read_cache_offer(cache, revision, instant, text, strlen(text), "\"tag\"");
}

static void test_read_cache_offers_are_kept_from_the_second_on(void **state)
{
	struct read_cache *cache = read_cache_new();
	struct revision one = version_of(1, 1);
	(void)state;
	offer(cache, &one, (struct read_instant){1, 0}, "text");
	check_now(cache, 1, (struct read_instant){1, 0}, NULL);
	offer(cache, &one, (struct read_instant){1, 0}, "text");
	check_now(cache, 1, (struct read_instant){1, 0}, "text");
	offer(cache, &one, (struct read_instant){2, 0}, "text");
	check_now(cache, 1, (struct read_instant){2, 0}, "text");
	/* Of the same revision, and another text all the same: it is the newer one that counts. */
	offer(cache, &one, (struct read_instant){3, 0}, "other");
	offer(cache, &one, (struct read_instant){3, 0}, "other");
	check_now(cache, 1, (struct read_instant){3, 0}, "other");
	read_cache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_read_cache_text_is_right_until_a_commit),
	    cmocka_unit_test(test_read_cache_text_of_the_same_revision_outlives_commits),
	    cmocka_unit_test(test_read_cache_text_of_one_that_waits_goes_with_its_place),
	    cmocka_unit_test(test_read_cache_is_bounded_and_keeps_what_is_used),
	    cmocka_unit_test(test_read_cache_large_text_is_not_kept),
	    cmocka_unit_test(test_read_cache_offers_are_kept_from_the_second_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

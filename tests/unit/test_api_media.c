/* Media types, entity tags, and UTF-8. */
#include "api/http/media.h"
#include "base/utf8.h"
#include "cmocka_all.h"

#include <string.h>

static void test_media_kind_of_headers_give_the_kind(void **state)
{
	static const struct {
		const char *text;
		enum media_kind want;
	} cases[] = {
	    {NULL, MEDIA_OTHER},
	    {"", MEDIA_OTHER},
	    {"application/json", MEDIA_JSON},
	    {"Application/JSON; charset=UTF-8", MEDIA_JSON},
	    {"application/json;charset=\"utf-8\"", MEDIA_JSON},
	    {"application/json; charset=latin1", MEDIA_OTHER},
	    {"application/jsonp", MEDIA_OTHER},
	    {"application/yaml", MEDIA_YAML},
	    {"application/x-yaml", MEDIA_YAML},
	    {"text/yaml ; charset=utf-8", MEDIA_YAML},
	    {"multipart/form-data; boundary=x", MEDIA_MULTIPART},
	    {"multipart/mixed; boundary=x", MEDIA_OTHER},
	    {"application/x-www-form-urlencoded", MEDIA_OTHER},
	    {"text/plain", MEDIA_OTHER},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(media_kind_of(cases[i].text), cases[i].want);
}

static void test_media_prefers_accept_decides(void **state)
{
	static const struct {
		const char *accept;
		bool csv;
	} cases[] = {
	    {NULL, false},
	    {"*/*", false},
	    {"text/csv", true},
	    {"text/*", true},
	    {"application/json, text/csv", false},
	    {"text/csv, application/json;q=0.9", true},
	    {"text/csv;q=0.5, application/json", false},
	    {"text/csv;q=0.5, */*;q=0.1", true},
	    {"text/csv;q=0", false},
	    {"text/csv;q=0, */*", false},
	    {"TEXT/CSV ; Q=0.8, application/*;q=0.7", true},
	    {"text/csv;level=1;q=0.2, application/json;q=0.3", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(media_prefers(cases[i].accept, "text/csv", "application/json"), cases[i].csv);
}

static void test_media_etag_matches_lists_and_weak_tags(void **state)
{
	static const struct {
		const char *header;
		bool want;
	} cases[] = {
	    {NULL, false},
	    {"", false},
	    {"\"abc\"", true},
	    {"W/\"abc\"", true},
	    {"abc", false},
	    {"\"abcd\"", false},
	    {"\"x\", \"abc\"", true},
	    {"\"x\",W/\"abc\"", true},
	    {"*", true},
	    {"\"x\", \"y\"", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(media_etag_matches(cases[i].header, "\"abc\""), cases[i].want);
}

static void test_media_type_of_file_nothing_a_browser_runs(void **state)
{
	(void)state;
	assert_string_equal(media_type_of_file("a/results.yml"), "application/yaml");
	assert_string_equal(media_type_of_file("x.json"), "application/json");
	assert_string_equal(media_type_of_file("report.html"), "application/octet-stream");
	assert_string_equal(media_type_of_file("image.svg"), "application/octet-stream");
	assert_string_equal(media_type_of_file("progress"), "application/octet-stream");
}

static void test_utf8_ok_only_well_formed_text(void **state)
{
	static const struct {
		const char *text;
		bool want;
	} cases[] = {
	    {"", true},
	    {"plain", true},
	    {"\xc3\xa9", true},
	    {"\xe2\x82\xac", true},
	    {"\xf0\x9f\x98\x80", true},
	    {"\x80", false},             /* a continuation alone */
	    {"\xc3", false},             /* cut */
	    {"\xe2\x82", false},         /* cut */
	    {"\xc0\xaf", false},         /* overlong */
	    {"\xe0\x80\xaf", false},     /* overlong */
	    {"\xf0\x80\x80\xaf", false}, /* overlong */
	    {"\xed\xa0\x80", false},     /* a surrogate */
	    {"\xf4\x90\x80\x80", false}, /* beyond U+10FFFF */
	    {"\xf5\x80\x80\x80", false},
	    {"\xff", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(utf8_ok(cases[i].text, strlen(cases[i].text)), cases[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_media_kind_of_headers_give_the_kind),
	    cmocka_unit_test(test_media_prefers_accept_decides),
	    cmocka_unit_test(test_media_etag_matches_lists_and_weak_tags),
	    cmocka_unit_test(test_media_type_of_file_nothing_a_browser_runs),
	    cmocka_unit_test(test_utf8_ok_only_well_formed_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

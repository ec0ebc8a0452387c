/* The signature, the times of the tries, the URLs that are taken. */
#include "base/secret.h"
#include "cmocka_all.h"
#include "service/webhook_rules.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* The example of the Standard Webhooks specification, and one computed with Python's hmac. */
static void test_webhook_sign_known_vectors(void **state)
{
	char signature[WEBHOOK_SIGNATURE_SIZE];
	(void)state;
	assert_int_equal(webhook_sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek",
				      1614265330, "{\"test\": 2432232314}", signature),
			 0);
	assert_string_equal(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
	assert_int_equal(webhook_sign("whsec_SmVmZQ==", "a", 0, "", signature), 0);
	assert_string_equal(signature, "v1,FpWI6bXELxhtCzJwhXBMNulE1RK72bW12LuRZecExJg=");
}

static void test_webhook_sign_wrong_secret_refused(void **state)
{
	char signature[WEBHOOK_SIGNATURE_SIZE];
	(void)state;
	assert_int_equal(webhook_sign("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a", 1, "", signature), -1);
	assert_int_equal(webhook_sign("whsec_*", "a", 1, "", signature), -1);
}

static void test_webhook_new_secret_fresh_and_usable(void **state)
{
	char one[WEBHOOK_SECRET_SIZE];
	char other[WEBHOOK_SECRET_SIZE];
	char signature[WEBHOOK_SIGNATURE_SIZE];
	(void)state;
	webhook_new_secret(one);
	webhook_new_secret(other);
	assert_int_equal(strlen(one), 50);
	assert_memory_equal(one, "whsec_", 6);
	assert_string_not_equal(one, other);
	assert_int_equal(webhook_sign(one, "a", 1, "b", signature), 0);
}

static void test_webhook_retry_s_doubles_up_to_half_an_hour(void **state)
{
	static const int64_t most_s[] = {2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1800, 1800, 1800};
	int64_t sum_s = 0;
	(void)state;
	for (int tries = 1; tries <= (int)COUNT(most_s); tries++) {
		for (uint32_t random = 0; random < 4; random++) {
			int64_t wait_s = webhook_retry_s(tries, random * 0x40000000u + 77);
			assert_in_range(wait_s, most_s[tries - 1] * 3 / 4, most_s[tries - 1]);
		}
	}
	int tries = 0;
	while (sum_s < WEBHOOK_PATIENCE_S)
		sum_s += webhook_retry_s(++tries, 0);
	assert_in_range(tries, 40, 90); /* in a day */
}

static void check_url(const struct settings_webhooks *rules, const char *url, bool expected)
{
	struct nel_err err = {0};
	bool ok = webhook_check_url(rules, url, &err) == 0;
	if (ok != expected)
		fail_msg("%s: %s", url, ok ? "taken" : err.msg);
}

static void test_webhook_check_url_table(void **state)
{
	static const char *const good[] = {"https://example.org", "https://example.org:8443/a?b=c#d",
					   "https://8.8.8.8/", "https://[2606:4700::1111]/x", "HTTPS://EXAMPLE.ORG/"};
	static const char *const bad[] = {"",
					  "example.org",
					  "//example.org/",
					  "ftp://example.org/",
					  "gopher://example.org/",
					  "https://",
					  "https://u@example.org/",
					  "https://:p@example.org/",
					  "https://example.org/\x01",
					  "https://exa mple.org/",
					  "http://example.org/",
					  "https://127.0.0.1/",
					  "https://127.1/",
					  "https://017700000001/",
					  "https://[::ffff:10.0.0.1]/",
					  "https://example.org:99999/"};
	const struct settings_webhooks strict = {.allow_http = false};
	const struct settings_webhooks lax = {.allow_http = true, .allow_private = true};
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		check_url(&strict, good[i], true);
	for (size_t i = 0; i < COUNT(bad); i++)
		check_url(&strict, bad[i], false);
	check_url(&lax, "http://127.0.0.1:8080/", true);
	check_url(&lax, "http://u:p@127.0.0.1/", false);
}

static bool address_ok(const struct settings_webhooks *rules, const char *text)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	assert_int_equal(inet_pton(AF_INET, text, &address.sin_addr), 1);
	return webhook_address_ok(rules, (const struct sockaddr *)&address);
}

static void test_webhook_address_ok_by_the_settings(void **state)
{
	struct network_range range;
	(void)state;
	assert_true(network_range_parse("10.1.0.0/16", &range));
	const struct settings_webhooks none = {0};
	const struct settings_webhooks some = {.networks = &range, .network_count = 1};
	const struct settings_webhooks any = {.allow_private = true};
	assert_true(address_ok(&none, "8.8.8.8") && address_ok(&some, "8.8.8.8") && address_ok(&any, "8.8.8.8"));
	assert_true(!address_ok(&none, "10.1.2.3") && address_ok(&some, "10.1.2.3") && address_ok(&any, "10.1.2.3"));
	assert_true(!address_ok(&none, "10.2.2.3") && !address_ok(&some, "10.2.2.3") && address_ok(&any, "10.2.2.3"));
	assert_false(webhook_address_ok(&any, &(struct sockaddr){.sa_family = AF_UNIX}));
}

static int setup(void **state)
{
	struct nel_err err;
	(void)state;
	return secret_init(&err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_webhook_sign_known_vectors),
	    cmocka_unit_test(test_webhook_sign_wrong_secret_refused),
	    cmocka_unit_test(test_webhook_new_secret_fresh_and_usable),
	    cmocka_unit_test(test_webhook_retry_s_doubles_up_to_half_an_hour),
	    cmocka_unit_test(test_webhook_check_url_table),
	    cmocka_unit_test(test_webhook_address_ok_by_the_settings),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}

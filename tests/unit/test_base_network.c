/* Which addresses are public, and ranges of addresses. */
#include "base/network.h"
#include "cmocka_all.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void address_of(const char *text, struct sockaddr_storage *ret_address)
{
	*ret_address = (struct sockaddr_storage){0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret_address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_address;
	ret_address->ss_family = strchr(text, ':') == NULL ? AF_INET : AF_INET6;
	void *bytes = ret_address->ss_family == AF_INET ? (void *)&v4->sin_addr : (void *)&v6->sin6_addr;
	assert_int_equal(inet_pton(ret_address->ss_family, text, bytes), 1);
}

static void check_public(const char *text, bool expected)
{
	struct sockaddr_storage address;
	address_of(text, &address);
	if (network_is_public((const struct sockaddr *)&address) != expected)
		fail_msg("%s should %sbe public", text, expected ? "" : "not ");
}

static void test_network_is_public_table(void **state)
{
	static const char *const open[] = {
	    "8.8.8.8",     "1.1.1.1",     "9.255.255.255",   "11.0.0.1",         "100.63.255.255",  "100.128.0.1",
	    "126.0.0.1",   "128.0.0.1",   "172.15.255.255",  "172.32.0.1",       "192.167.1.1",     "192.169.1.1",
	    "198.17.1.1",  "198.20.0.1",  "223.255.255.255", "2606:4700::1111",  "2a00:1450::8a",   "2001:4860::8888",
	    "169.253.1.1", "169.255.0.1", "::ffff:8.8.8.8",  "64:ff9b::808:808", "2002:808:808::1",
	};
	static const char *const closed[] = {
	    "0.0.0.0",
	    "0.1.2.3",
	    "10.0.0.1",
	    "10.255.255.255",
	    "100.64.0.1",
	    "100.127.255.255",
	    "127.0.0.1",
	    "127.255.255.254",
	    "169.254.169.254",
	    "172.16.0.1",
	    "172.31.255.255",
	    "192.0.0.1",
	    "192.0.2.1",
	    "192.168.1.1",
	    "198.18.0.1",
	    "198.19.255.255",
	    "198.51.100.7",
	    "203.0.113.9",
	    "224.0.0.1",
	    "239.255.255.255",
	    "240.0.0.1",
	    "255.255.255.255",
	    "::",
	    "::1",
	    "fe80::1",
	    "fec0::1",
	    "fc00::1",
	    "fd12:3456::1",
	    "ff02::1",
	    "2001:db8::1",
	    "100::1",
	    "::ffff:127.0.0.1",
	    "::ffff:10.0.0.1",
	    "::127.0.0.1",
	    "::a00:1",
	    "64:ff9b::7f00:1",
	    "2002:7f00:1::1",
	    "2002:a00:1::",
	    "64:ff9b:1::1",
	    "::ffff:169.254.169.254",
	    "::ffff:0:0",
	    "4000::1",
	    "2001:0:1:2:3:4:80ff:fffe",
	    "::2",
	};
	(void)state;
	for (size_t i = 0; i < COUNT(open); i++)
		check_public(open[i], true);
	for (size_t i = 0; i < COUNT(closed); i++)
		check_public(closed[i], false);
	assert_false(network_is_public(&(struct sockaddr){.sa_family = AF_UNIX}));
}

static void check_range(const char *range_text, const char *text, bool expected)
{
	struct sockaddr_storage address;
	struct network_range range;
	address_of(text, &address);
	assert_true(network_range_parse(range_text, &range));
	if (network_range_has(&range, (const struct sockaddr *)&address) != expected)
		fail_msg("%s should %shave %s", range_text, expected ? "" : "not ", text);
}

static void test_network_range_has(void **state)
{
	(void)state;
	check_range("10.0.0.0/8", "10.255.0.1", true);
	check_range("10.0.0.0/8", "11.0.0.1", false);
	check_range("10.0.0.0/8", "::ffff:10.1.1.1", true);
	check_range("192.168.7.0/25", "192.168.7.127", true);
	check_range("192.168.7.0/25", "192.168.7.128", false);
	check_range("127.0.0.1", "127.0.0.1", true);
	check_range("127.0.0.1", "127.0.0.2", false);
	check_range("0.0.0.0/0", "8.8.8.8", true);
	check_range("0.0.0.0/0", "fd00::1", false);
	check_range("fd00::/8", "fd00::1", true);
	check_range("fd00::/8", "fe80::1", false);
	check_range("::1", "::1", true);
	check_range("::/0", "10.0.0.1", true);
}

static void test_network_range_parse_wrong_refused(void **state)
{
	static const char *const wrong[] = {
	    "",
	    "10",
	    "10.0.0.0/33",
	    "10.0.0.0/-1",
	    "10.0.0.0/",
	    "10.0.0.1/8",
	    "10.0.0.0/x",
	    "example.org",
	    "fd00::1/8",
	    "::/129",
	    "1.2.3.4/32/1",
	    "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"};
	struct network_range range;
	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++)
		if (network_range_parse(wrong[i], &range))
			fail_msg("\"%s\" is no range", wrong[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_network_is_public_table),
	    cmocka_unit_test(test_network_range_has),
	    cmocka_unit_test(test_network_range_parse_wrong_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

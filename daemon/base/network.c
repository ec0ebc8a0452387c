/* Owns the list of addresses that are not on the public Internet. */
#include "base/network.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define V4_BITS 96 /* of the prefix ::ffff:0:0/96 */

static const unsigned char v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry, and multicast. */
static const char *const closed_ranges[] = {
    "0.0.0.0/8",       "10.0.0.0/8",    "100.64.0.0/10",   "127.0.0.0/8",     "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24",    "192.0.2.0/24",  "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
    "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",  "224.0.0.0/4",    "240.0.0.0/4",
};

/* All IPv6 addresses that are given out to networks. */
static const char global_unicast[] = "2000::/3";
static const char *const closed_v6[] = {"2001::/23", "2001:db8::/32", "3fff::/20", "2620:4f:8000::/48"};

/* IPv6 addresses that have an IPv4 address in them: where its four bytes begin, and whether they are inverted. */
static const struct {
	const char *range;
	int at;
	bool inverted;
} embeddings[] = {
    {"::/96", 12, false},        /* compatible (RFC 4291) */
    {"64:ff9b::/96", 12, false}, /* NAT64 (RFC 6052) */
    {"2002::/16", 2, false},     /* 6to4 (RFC 3056) */
    {"2001::/32", 12, true},     /* Teredo (RFC 4380) */
};

static bool has_prefix(const unsigned char *address, const unsigned char *prefix, int bits)
{
	int bytes = bits / 8;
	unsigned char mask = (unsigned char)(0xff00 >> bits % 8);
	return memcmp(address, prefix, (size_t)bytes) == 0 &&
	       (bits % 8 == 0 || (address[bytes] & mask) == (prefix[bytes] & mask));
}

bool network_range_parse(const char *text, struct network_range *ret_range)
{
	char host[NETWORK_TEXT_SIZE];
	struct network_range range = {.bits = 128};
	size_t size = strcspn(text, "/");
	bool v4 = memchr(text, ':', size) == NULL;
	long long bits = v4 ? 32 : 128;
	if (size >= sizeof host)
		return false;
	memcpy(host, text, size);
	host[size] = '\0';
	if (text[size] == '/' && !str_to_int(text + size + 1, 0, bits, &bits))
		return false;
	if (v4)
		memcpy(range.address, v4_prefix, sizeof v4_prefix);
	if (inet_pton(v4 ? AF_INET : AF_INET6, host, range.address + (v4 ? sizeof v4_prefix : 0)) != 1)
		return false;
	range.bits = (int)bits + (v4 ? V4_BITS : 0);
	for (int bit = range.bits; bit < 128; bit++)
		if ((range.address[bit / 8] & 0x80 >> bit % 8) != 0)
			return false;
	*ret_range = range;
	return true;
}

static bool in_range(const char *text, const unsigned char *address)
{
	struct network_range range;
	return network_range_parse(text, &range) && has_prefix(address, range.address, range.bits);
}

static bool is_v4(const unsigned char *address)
{
	return has_prefix(address, v4_prefix, V4_BITS);
}

/* The address as 16 bytes; an IPv4 address, and one that IPv6 only carries, as ::ffff:a.b.c.d. */
static bool normalize(const struct sockaddr *address, unsigned char ret_bytes[16])
{
	if (address->sa_family == AF_INET) {
		memcpy(ret_bytes, v4_prefix, sizeof v4_prefix);
		memcpy(ret_bytes + sizeof v4_prefix, &((const struct sockaddr_in *)address)->sin_addr, 4);
		return true;
	}
	if (address->sa_family != AF_INET6)
		return false;
	memcpy(ret_bytes, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
	if (IN6_IS_ADDR_UNSPECIFIED((const struct in6_addr *)ret_bytes) ||
	    IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)ret_bytes))
		return true;
	for (size_t i = 0; i < sizeof embeddings / sizeof embeddings[0]; i++) {
		if (!in_range(embeddings[i].range, ret_bytes))
			continue;
		unsigned char v4[4];
		for (int k = 0; k < 4; k++)
			v4[k] = (unsigned char)(ret_bytes[embeddings[i].at + k] ^ (embeddings[i].inverted ? 0xff : 0));
		memcpy(ret_bytes, v4_prefix, sizeof v4_prefix);
		memcpy(ret_bytes + sizeof v4_prefix, v4, sizeof v4);
		break;
	}
	return true;
}

bool network_range_has(const struct network_range *range, const struct sockaddr *address)
{
	unsigned char bytes[16];
	return normalize(address, bytes) && has_prefix(bytes, range->address, range->bits);
}

bool network_is_public(const struct sockaddr *address)
{
	unsigned char bytes[16];
	if (!normalize(address, bytes))
		return false;
	if (is_v4(bytes)) {
		for (size_t i = 0; i < sizeof closed_ranges / sizeof closed_ranges[0]; i++)
			if (in_range(closed_ranges[i], bytes))
				return false;
		return true;
	}
	for (size_t i = 0; i < sizeof closed_v6 / sizeof closed_v6[0]; i++)
		if (in_range(closed_v6[i], bytes))
			return false;
	return in_range(global_unicast, bytes);
}

const char *network_text(const struct sockaddr *address, char buf[NETWORK_TEXT_SIZE])
{
	const void *bytes = NULL;
	if (address->sa_family == AF_INET)
		bytes = &((const struct sockaddr_in *)address)->sin_addr;
	else if (address->sa_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)address)->sin6_addr;
	if (bytes == NULL || inet_ntop(address->sa_family, bytes, buf, NETWORK_TEXT_SIZE) == NULL)
		snprintf(buf, NETWORK_TEXT_SIZE, "?");
	return buf;
}

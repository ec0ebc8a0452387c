/* IP addresses: which of them are on the public Internet, and ranges of them. Pure. */
#ifndef NEL_BASE_NETWORK_H
#define NEL_BASE_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define NETWORK_TEXT_SIZE 64

/* "10.0.0.0/8", "fd00::/8"; one address is a range without a slash. */
struct network_range {
	unsigned char address[16]; /* IPv4 as ::ffff:a.b.c.d */
	int bits;                  /* of these 128 */
};

/* False when the text is no range, or has bits set behind its prefix. */
bool network_range_parse(const char *text, struct network_range *ret_range);

/* An IPv4 address, also one that is mapped, embedded or translated into an IPv6 address, is in the ranges that its four
 * bytes are in. False for what is neither IPv4 nor IPv6. */
bool network_range_has(const struct network_range *range, const struct sockaddr *address);

/* Is it an address that anybody on the Internet may have? Not so are loopback, private, link-local, shared (RFC 6598),
 * unspecified, multicast, reserved and documentation addresses: those that the IANA registries of special-purpose
 * addresses (RFC 6890 and later) call not globally reachable, in either family, and IPv6 addresses that stand for such
 * an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo). */
bool network_is_public(const struct sockaddr *address);

/* Without the port; "?" for what is neither. Returns buf. */
const char *network_text(const struct sockaddr *address, char buf[NETWORK_TEXT_SIZE]);

#endif

/* Who is at the other end of a connection: an address, or the account behind a unix socket. */
#ifndef NEL_API_HTTP_PEER_H
#define NEL_API_HTTP_PEER_H

#include "api/http/request.h"

/* "127.0.0.1", "2001:db8::1", "uid 1000"; "unknown" when the kernel does not say. */
void peer_name(const struct request *request, char ret_name[PEER_NAME_SIZE]);

/* The uid of a unix socket's peer; -1 when it cannot be known. */
int peer_uid(const struct request *request, unsigned *ret_uid);

/* A number for the peer, the same for all its connections: of its address (the first 64 bits of an IPv6 one, which is
 * what one customer has), or its uid. */
uint64_t peer_number(const struct request *request);

/* A number for a user that a proxy names. */
uint64_t peer_name_number(const char *name);

#endif

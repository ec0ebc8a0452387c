/* Owns the look at the other end of a connection. */
#include "api/http/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define IPV6_PREFIX_SIZE 8 /* bytes */

static const struct sockaddr *address_of(const struct request *request)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	return info == NULL ? NULL : info->client_addr;
}

int peer_uid(const struct request *request, unsigned *ret_uid)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct ucred peer = {0};
	socklen_t size = sizeof peer;
	if (info == NULL || getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		return -1;
	*ret_uid = peer.uid;
	return 0;
}

void peer_name(const struct request *request, char ret_name[PEER_NAME_SIZE])
{
	unsigned uid = 0;
	const struct sockaddr *address = request->on_unix ? NULL : address_of(request);
	snprintf(ret_name, PEER_NAME_SIZE, "unknown");
	if (request->on_unix && peer_uid(request, &uid) == 0)
		snprintf(ret_name, PEER_NAME_SIZE, "uid %u", uid);
	else if (address != NULL && address->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, ret_name, PEER_NAME_SIZE);
	else if (address != NULL && address->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, ret_name, PEER_NAME_SIZE);
}

static const unsigned char hash_key[crypto_shorthash_KEYBYTES + 1] = "peers of an http";

uint64_t peer_name_number(const char *name)
{
	uint64_t number = 0;
	crypto_shorthash((unsigned char *)&number, (const unsigned char *)name, strlen(name), hash_key);
	return number;
}

uint64_t peer_number(const struct request *request)
{
	unsigned char bytes[1 + IPV6_PREFIX_SIZE] = {0};
	unsigned uid = 0;
	uint64_t number = 0;
	const struct sockaddr *address = request->on_unix ? NULL : address_of(request);
	if (request->on_unix && peer_uid(request, &uid) == 0) {
		bytes[0] = 'u';
		memcpy(bytes + 1, &uid, sizeof uid);
	} else if (address != NULL && address->sa_family == AF_INET) {
		bytes[0] = '4';
		memcpy(bytes + 1, &((const struct sockaddr_in *)address)->sin_addr, sizeof(struct in_addr));
	} else if (address != NULL && address->sa_family == AF_INET6) {
		bytes[0] = '6';
		memcpy(bytes + 1, &((const struct sockaddr_in6 *)address)->sin6_addr, IPV6_PREFIX_SIZE);
	}
	crypto_shorthash((unsigned char *)&number, bytes, sizeof bytes, hash_key);
	return number;
}

/* A reverse proxy that says who somebody is (the settings' trusted_proxy): known by the account behind its end of a
 * unix socket, believed in one header. */
#ifndef NEL_API_HTTP_PROXY_H
#define NEL_API_HTTP_PROXY_H

#include "api/http/request.h"

#define PROXY_ACCOUNTS_MAX 16

struct proxy {
	const char *header; /* NULL: no proxy is trusted */
	unsigned uids[PROXY_ACCOUNTS_MAX];
	size_t uid_count;
};

/* Finds the uids of the accounts in the settings, which are names or numbers. INVALID: there is no such account. */
int proxy_init(const struct settings *settings, struct proxy *ret_proxy, struct nel_err *err);

/* Is a trusted proxy at the other end? */
bool proxy_is_peer(const struct proxy *proxy, const struct request *request);

/* The user that the proxy names; NULL when it names none. DENIED when the header stands twice. */
int proxy_user(const struct proxy *proxy, const struct request *request, const char **ret_name, struct nel_err *err);

#endif

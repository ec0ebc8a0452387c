/* The HTTP server: its sockets, libmicrohttpd's daemons and their threads, and one database connection a thread. */
#ifndef NEL_API_HTTP_SERVER_H
#define NEL_API_HTTP_SERVER_H

#include "base/cleanup.h"
#include "service/service.h"

struct api_server;

/* All borrowed, and needed until api_server_stop(). */
struct api_options {
	struct service *service; /* its settings say where to listen, TLS and limits */
	const char *database;    /* path */
	int handed_over;         /* sockets of the service manager, from SD_LISTEN_FDS_START on (sd_listen_fds(3)) */
};

/* Opens every listen address, or takes the socket that the service manager has opened there, and serves until stopped.
 * The main thread, once libsodium is set up (secret_init()) and the database is migrated. INVALID: an address or a
 * certificate that cannot be used; CONFLICT: an address in use. Sockets that were handed over must all be addresses of
 * the settings. */
int api_server_start(const struct api_options *options, struct api_server **ret_server, struct nel_err *err);

/* Can the certificate and the key of the settings be used, where they name some? INVALID: they cannot. */
int api_server_check_tls(const struct settings *settings, struct nel_err *err);

/* Takes no more connections, ends suspended requests with 503, lets the others finish, stops all threads: under 3 s.
 * Callbacks of the lanes may still come afterwards. Accepts NULL. */
void api_server_stop(struct api_server *server);
DEFINE_FREEP(struct api_server, api_server, api_server_stop)

/* The port of the settings' listen address with that index, also when the kernel chose it; 0 for a unix socket. */
int api_server_port(const struct api_server *server, size_t index);

#endif

/* The life of a request: libmicrohttpd's callbacks, from the request line to the log line. */
#ifndef NEL_API_HTTP_DISPATCH_H
#define NEL_API_HTTP_DISPATCH_H

#include "api/http/framing.h"
#include "service/service.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdint.h>

struct api_server;
struct request;

/* Requests in progress, for a stop that lets them finish. */
struct dispatch {
	struct api_server *server;
	struct service *service;
	bool on_unix;
	_Atomic int active;
};

/* What is kept of a connection, as libmicrohttpd's socket context. */
struct dispatch_connection {
	struct dispatch_connection *next;
	struct dispatch_connection *previous;
	MHD_socket fd;
	_Atomic int64_t reading_since_ms; /* -1: a request is being answered */

	/* The HTTP thread's. The connection owns its request: libmicrohttpd does not tell of the end of each. */
	struct dispatch *dispatch;
	struct request *request; /* NULL: none */
	struct framing_target target;
};

/* MHD_OPTION_URI_LOG_CALLBACK; cls of all three is a struct dispatch. */
void *dispatch_begin(void *cls, const char *uri, struct MHD_Connection *connection);

/* MHD_AccessHandlerCallback. */
enum MHD_Result dispatch_access(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
				const char *version, const char *data, size_t *data_size, void **request);

/* Ends the connection's request, if it has one that libmicrohttpd has not told the end of. */
void dispatch_abandon(struct dispatch_connection *connection);

/* MHD_OPTION_NOTIFY_COMPLETED. */
void dispatch_completed(void *cls, struct MHD_Connection *connection, void **request,
			enum MHD_RequestTerminationCode why);

#endif

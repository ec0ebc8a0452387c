/* The yardstick of tests/bench/run: a libmicrohttpd server that answers every request with the same bytes, with as many
 * threads as the daemon and nothing else to do. usage: bare_http PORT BODY-FILE */
#include "base/cleanup.h"

#include <microhttpd.h>
#include <signal.h>
#include <stdint.h>
#include <sys/sysinfo.h>

struct body {
	char data[65536];
	size_t size;
};

static enum MHD_Result answer(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
			      const char *version, const char *upload, size_t *upload_size, void **state)
{
	(void)url;
	(void)method;
	(void)version;
	(void)upload;
	(void)upload_size;
	/* A response to the first call, before the request is complete, would cost the connection. */
	if (*state == NULL) {
		*state = cls;
		return MHD_YES;
	}
	struct body *body = cls;
	struct MHD_Response *response = MHD_create_response_from_buffer(body->size, body->data, MHD_RESPMEM_PERSISTENT);
	MHD_add_response_header(response, "Content-Type", "application/json");
	enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return result;
}

int main(int argc, char **argv)
{
	static struct body body;
	if (argc != 3)
		return 2;
	CLEANUP(file_closep) FILE *file = fopen(argv[2], "r");
	if (file == NULL)
		return 1;
	body.size = fread(body.data, 1, sizeof body.data, file);
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	struct MHD_Daemon *server =
	    MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, (uint16_t)strtoul(argv[1], NULL, 10), NULL, NULL, answer,
			     &body, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)get_nprocs(), MHD_OPTION_END);
	if (server == NULL)
		return 1;
	int signal_number = 0;
	sigwait(&signals, &signal_number);
	MHD_stop_daemon(server);
	return 0;
}

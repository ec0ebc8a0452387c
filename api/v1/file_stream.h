/* A file or a tree on a cluster as a response: it goes through a transfer while the client takes it, a bounded part of
 * it in memory at a time. */
#ifndef NEL_API_V1_FILE_STREAM_H
#define NEL_API_V1_FILE_STREAM_H

#include "api/http/request.h"
#include "service/transfer.h"

/* A transfer that has begun, as a response. Takes it over. */
int file_stream_of_transfer(struct request *request, const char *job, struct transfer *transfer,
			    struct MHD_Response **ret_response, struct nel_err *err);

/* The bytes that the order names, as a response; its wake and arg are set here. order->length is known. When the file
 * changes meanwhile, or reading fails, the transfer breaks off: the client sees fewer bytes than were announced, or no
 * last chunk. Nothing is read for a HEAD. -1: as service_transfer_open(). */
int file_stream_response(struct request *request, const struct job_row *job, const struct transfer_order *order,
			 struct MHD_Response **ret_response, struct nel_err *err);

#endif

/* Handlers of /v1/clusters. */
#include "api/handlers.h"
#include "api/reply.h"

int api_listClusters(struct request *request, struct nel_err *err)
{
	if (request_no_query(request, err) != 0)
		return -1;
	CLEANUP(json_freep) json_t *clusters = service_clusters(request->service);
	return reply_json(request, MHD_HTTP_OK, clusters, err);
}

int api_getCluster(struct request *request, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *cluster = NULL;
	if (request_no_query(request, err) != 0 ||
	    service_cluster(request->service, request->captures[0], &cluster, err) != 0)
		return -1;
	return reply_json(request, MHD_HTTP_OK, cluster, err);
}

/* Handlers of /v1/clusters. A preflight asks the cluster: its handler is resumed when a lane has answered. */
#include "api/http/handlers.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "api/http/server_internal.h"
#include "api/http/wait_room.h"
#include "service/cluster_check.h"

int api_listClusters(struct request *request, struct nel_err *err)
{
	struct db *db = NULL;
	if (request_read_db(request, &db, err) != 0)
		return -1;
	CLEANUP(json_freep) json_t *clusters = service_clusters(request->service, db);
	return reply_json(request, MHD_HTTP_OK, clusters, err);
}

int api_getCluster(struct request *request, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *cluster = NULL;
	struct db *db = NULL;
	if (request_read_db(request, &db, err) != 0 ||
	    service_cluster(request->service, db, request->captures[0], &cluster, err) != 0)
		return -1;
	return reply_json(request, MHD_HTTP_OK, cluster, err);
}

static int check_came(struct request *request, struct nel_err *err)
{
	const struct wait_answer *answer = waiter_answer(request->waiter);
	if (answer->failed) {
		*err = answer->err;
		return -1;
	}
	struct str body = {0};
	str_append_n(&body, answer->data, answer->size);
	return reply_json_text(request, MHD_HTTP_OK, &body, err);
}

int api_checkCluster(struct request *request, struct nel_err *err)
{
	struct cluster_check *check = NULL;
	struct preflight_request wanted = {0};
	struct db *db = NULL;
	if (query_get_bool(&request->query, "job", false, &wanted.job, err) != 0 || request_db(request, &db, err) != 0)
		return -1;
	wanted.account = query_get(&request->query, "account");
	wanted.partition = query_get(&request->query, "partition");
	wanted.output_dir = query_get(&request->query, "output_dir");
	if (cluster_check_preflight(request->service, db, &request->actor, request->captures[0], &wanted, &check,
				    err) != 0)
		return -1;
	request->resume = check_came;
	if (waiter_new(server_wait_room(request->server), request->connection, &request->waiter, err) != 0) {
		cluster_check_free(check);
		return -1;
	}
	service_check_cluster(request->service, check, wait_callback, request->waiter);
	return 0;
}

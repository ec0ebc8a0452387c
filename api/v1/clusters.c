/* Handlers of /v1/clusters. A preflight asks the cluster: its handler is resumed when a lane has answered. */
#include "api/http/handlers.h"
#include "api/http/page.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "api/http/server_internal.h"
#include "api/http/wait_room.h"
#include "base/json_out.h"
#include "db/orphans.h"
#include "service/cluster_check.h"

int api_listClusters(struct request *request, struct nel_err *err)
{
	struct page page;
	struct db *db = NULL;
	if (page_parse_whole(request, &page, err) != 0 || request_read_db(request, &db, err) != 0)
		return -1;
	CLEANUP(json_freep) json_t *clusters = service_clusters(request->service, db);
	page_cut(request, &page, clusters);
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

static void render_orphan(struct json_out *out, const struct orphan_row *orphan)
{
	out_object(out, NULL);
	out_string(out, "evaluation", orphan->evaluation);
	out_string(out, "run_directory", orphan->rundir);
	out_json(out, "slurm_job_ids", orphan->slurm_job_ids);
	out_bool(out, "live", orphan->live);
	out_string(out, "user", orphan->user);
	out_string(out, "identity", orphan->identity);
	out_time(out, "since", orphan->since);
	out_time(out, "found_at", orphan->found_at);
	out_bool(out, "adopted", orphan->outcome == ORPHAN_ADOPTED);
	out_string(out, "outcome", orphan_outcome_name(orphan->outcome));
	out_string(out, "why", orphan->why);
	out_end(out);
}

int api_listOrphans(struct request *request, struct nel_err *err)
{
	struct page page = {0};
	struct db *db = NULL;
	int64_t looked_at = 0;
	const char *cluster = request->captures[0];
	CLEANUP(json_freep) json_t *known = NULL;
	CLEANUP(orphan_list_done) struct orphan_list list = {0};
	const char *user = request->actor.role == ROLE_ADMIN ? NULL : request->actor.name;
	if (page_parse(request, CURSOR_ORPHANS, &page, err) != 0 || request_read_db(request, &db, err) != 0 ||
	    service_cluster(request->service, db, cluster, &known, err) != 0 ||
	    looks_last(db, cluster, &looked_at, err) != 0 ||
	    orphans_list(db, cluster, user, page.position, page.limit + 1, &list, err) != 0)
		return -1;
	bool more = list.count > (size_t)page.limit;
	struct json_out body = {0};
	out_object(&body, NULL);
	out_time(&body, "looked_at", looked_at);
	out_array(&body, "items");
	for (size_t i = 0; i < list.count - (more ? 1 : 0); i++)
		render_orphan(&body, &list.items[i]);
	out_end(&body);
	page_next(request, &page, more ? page.position + page.limit : 0, &body);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
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

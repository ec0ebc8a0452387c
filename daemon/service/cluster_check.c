#include "service/cluster_check.h"

#include "base/clock.h"
#include "base/mem.h"
#include "sched/lanes.h"
#include "slurm/check.h"

#include <string.h>

struct cluster_check {
	struct lane_work work; /* first */
	char *cluster;
	char *identity;
	int64_t timeout_ms;
	struct check_question *question;
	remote_callback callback;
	void *arg;
};

int cluster_check_new(const struct planned *planned, const char *evaluation, int64_t now_s,
		      struct cluster_check **ret_check, struct nel_err *err)
{
	struct check_question *question = NULL;
	if (plan_question(planned, evaluation, now_s, &question, err) != 0)
		return -1;
	struct cluster_check *check = mem_calloc(1, sizeof *check);
	*check = (struct cluster_check){.cluster = mem_strdup(planned->cluster->name),
					.identity = mem_strdup(planned->cluster->username),
					.timeout_ms = planned->cluster->command_timeout_s * 1000,
					.question = question};
	*ret_check = check;
	return 0;
}

void cluster_check_free(struct cluster_check *check)
{
	if (check == NULL)
		return;
	check_question_free(check->question);
	free(check->cluster);
	free(check->identity);
	free(check);
}

static json_t *describe_verdict(enum check_verdict verdict)
{
	switch (verdict) {
	case CHECK_GOOD: return json_true();
	case CHECK_BAD: return json_false();
	case CHECK_UNKNOWN: break;
	}
	return json_null();
}

static json_t *describe(const struct check_reply *reply)
{
	char at[CLOCK_RFC3339_SIZE];
	json_t *checks = json_array();
	for (size_t i = 0; i < reply->count; i++) {
		const struct check_result *result = &reply->items[i];
		json_array_append_new(checks, json_pack("{s:s, s:o, s:s}", "name", check_kind_name(result->kind), "ok",
							describe_verdict(result->verdict), "message", result->message));
	}
	return json_pack("{s:o, s:s?}", "checks", checks, "start_estimate",
			 reply->start_estimate > 0 ? clock_rfc3339(reply->start_estimate, at) : NULL);
}

static void answer(struct cluster_check *check, const struct check_reply *reply)
{
	CLEANUP(json_freep) json_t *document = describe(reply);
	CLEANUP(mem_freep) char *text = json_dumps(document, JSON_COMPACT);
	struct remote_answer remote = {.data = text, .size = text != NULL ? strlen(text) : 0};
	check->callback(&remote, check->arg);
	cluster_check_free(check);
}

static void answer_unreachable(struct cluster_check *check, const struct nel_err *err)
{
	CLEANUP(mem_freep) char *message = mem_strdup(err->msg);
	struct check_result login = {.kind = CHECK_LOGIN, .verdict = CHECK_BAD, .message = message};
	struct check_reply reply = {.items = &login, .count = 1};
	answer(check, &reply);
}

static void run(struct lane_work *work, struct ssh_pool *pool)
{
	struct cluster_check *check = (struct cluster_check *)work;
	struct nel_err err;
	CLEANUP(check_reply_done) struct check_reply reply = {0};
	if (slurm_check(pool, check->question, check->timeout_ms, &reply, &err) != 0)
		answer_unreachable(check, &err);
	else
		answer(check, &reply);
}

static void abandon(struct lane_work *work)
{
	struct nel_err err;
	err_set(&err, NEL_BUSY, "the daemon is stopping");
	answer_unreachable((struct cluster_check *)work, &err);
}

void service_check_cluster(struct service *service, struct cluster_check *check, remote_callback callback, void *arg)
{
	struct nel_err err;
	check->work = (struct lane_work){.run = run, .abandon = abandon};
	check->callback = callback;
	check->arg = arg;
	if (lanes_push(service->lanes, check->cluster, check->identity, &check->work, &err) != 0)
		answer_unreachable(check, &err);
}

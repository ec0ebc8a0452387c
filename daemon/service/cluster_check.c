#include "service/cluster_check.h"

#include "base/clock.h"
#include "base/mem.h"
#include "remote/workers.h"
#include "service/identity_lookup.h"
#include "service/planned_files.h"
#include "slurm/check.h"

#include <string.h>

enum cluster_check_form { FORM_DRY_RUN, FORM_PREFLIGHT, FORM_LOGIN };

struct cluster_check {
	struct lane_work work; /* first */
	enum cluster_check_form form;
	bool refused; /* the login was */
	char *cluster;
	char *identity;
	int64_t timeout_ms;
	struct check_question *question;
	remote_callback callback;
	void *arg;
};

int cluster_check_new(const struct planned *planned, struct db *db, const char *evaluation, int64_t now_s,
		      struct cluster_check **ret_check, struct nel_err *err)
{
	struct check_question *question = NULL;
	if (planned_question(planned, db, evaluation, now_s, &question, err) != 0)
		return -1;
	struct cluster_check *check = mem_calloc(1, sizeof *check);
	*check = (struct cluster_check){.cluster = mem_strdup(planned->cluster->name),
					.identity = mem_strdup(planned->identity),
					.timeout_ms = planned->cluster->command_timeout_s * 1000,
					.question = question};
	*ret_check = check;
	return 0;
}

struct cluster_check *cluster_check_login(const struct settings_cluster *cluster, const char *identity)
{
	struct cluster_check *check = mem_calloc(1, sizeof *check);
	*check = (struct cluster_check){.form = FORM_LOGIN,
					.cluster = mem_strdup(cluster->name),
					.identity = mem_strdup(identity),
					.timeout_ms = cluster->command_timeout_s * 1000,
					.question = check_login_new()};
	return check;
}

int cluster_check_preflight(struct service *service, struct db *db, const struct actor *actor, const char *name,
			    const struct preflight_request *wanted, struct cluster_check **ret_check,
			    struct nel_err *err)
{
	const struct settings_cluster *cluster = settings_cluster_by_name(service->settings, name);
	const char *const own[] = {wanted->output_dir, NULL};
	char identity[IDENTITY_NAME_SIZE];
	struct check_question *question = NULL;
	if (cluster == NULL)
		return err_set(err, NEL_NOTFOUND, "there is no cluster %s", name);
	const struct preflight_input input = {
	    .accounting = cluster->accounting,
	    .containers = cluster->containers,
	    .account = wanted->account,
	    .partition = wanted->partition,
	    .output_dirs = wanted->output_dir != NULL ? own : (const char *const *)cluster->output_roots,
	    .job = wanted->job};
	if (service_identity_name(db, actor, cluster, identity, err) != 0 ||
	    check_preflight_new(&input, &question, err) != 0)
		return -1;
	struct cluster_check *check = mem_calloc(1, sizeof *check);
	*check = (struct cluster_check){.form = FORM_PREFLIGHT,
					.cluster = mem_strdup(cluster->name),
					.identity = mem_strdup(identity),
					.timeout_ms = cluster->command_timeout_s * 1000,
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

/* What is not good says what to do. */
static json_t *describe_preflight(const struct cluster_check *check, const struct check_reply *reply)
{
	const char *slash = strchr(check->identity, '/');
	json_t *checks = json_array();
	bool good = true;
	for (size_t i = 0; i < reply->count; i++) {
		const struct check_result *result = &reply->items[i];
		good = good && result->verdict != CHECK_BAD;
		json_array_append_new(checks,
				      json_pack("{s:s, s:o, s:s, s:s?}", "name", check_kind_name(result->kind), "ok",
						describe_verdict(result->verdict), "message", result->message, "hint",
						result->verdict == CHECK_BAD ? check_hint(result->kind) : NULL));
	}
	return json_pack("{s:s, s:s, s:b, s:o}", "cluster", check->cluster, "identity",
			 slash != NULL ? slash + 1 : check->identity, "ok", good, "checks", checks);
}

static json_t *describe_login(const struct cluster_check *check, const struct check_reply *reply)
{
	return json_pack("{s:[{s:b, s:s, s:b}]}", "checks", "ok", reply->items[0].verdict == CHECK_GOOD, "message",
			 reply->items[0].message, "refused", check->refused);
}

static json_t *describe_dry_run(const struct check_reply *reply)
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

static json_t *describe(const struct cluster_check *check, const struct check_reply *reply)
{
	switch (check->form) {
	case FORM_DRY_RUN: return describe_dry_run(reply);
	case FORM_PREFLIGHT: return describe_preflight(check, reply);
	case FORM_LOGIN: return describe_login(check, reply);
	}
	return NULL;
}

static void answer(struct cluster_check *check, const struct check_reply *reply)
{
	CLEANUP(json_freep) json_t *document = describe(check, reply);
	CLEANUP(mem_freep) char *text = json_dumps(document, JSON_COMPACT);
	struct remote_answer remote = {.data = text, .size = text != NULL ? strlen(text) : 0};
	check->callback(&remote, check->arg);
	cluster_check_free(check);
}

static void answer_unreachable(struct cluster_check *check, const struct nel_err *err)
{
	CLEANUP(mem_freep) char *message = mem_strdup(err->msg);
	check->refused = err_is_login(err->reason);
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

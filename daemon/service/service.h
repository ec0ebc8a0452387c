/* The use cases behind the API. One struct service for the whole process: what it points to is read-only or has its own
 * locks, so every HTTP thread may use it, each with its own database connection. */
#ifndef NEL_SERVICE_SERVICE_H
#define NEL_SERVICE_SERVICE_H

#include "base/err.h"
#include "base/secret.h"
#include "config/plan/catalogue.h"
#include "config/settings/settings.h"
#include "db/db.h"
#include "db/jobs.h"
#include "db/users.h"

#include <jansson.h>

struct campaign_runner; /* service/campaign_runner.h */
struct lanes;           /* remote/workers.h */
struct log_followers;   /* service/log_followers.h */
struct look_board;      /* remote/look_board.h */
struct oidc_issuer;     /* service/oidc/oidc_issuer.h */
struct scheduler;       /* sched/scheduler.h */
struct webhook_sender;  /* service/webhook_sender.h */

struct service {
	/* A reload puts others here: whoever wants one state of things reads it once. What was read stays as it is, and
	 * there, until the daemon stops. */
	const struct settings *_Atomic settings;
	const struct catalogue *catalogue;
	const struct secret_key *master_key;
	struct log_followers *followers;   /* log files that are followed */
	struct scheduler *scheduler;       /* to wake */
	struct lanes *lanes;               /* to read files through */
	struct look_board *look_board;     /* where looks wait for observations */
	struct webhook_sender *webhooks;   /* to wake */
	struct oidc_issuer *oidc;          /* its keys */
	struct campaign_runner *campaigns; /* to wake */
	int64_t started_at;
};

/* How who asks was known. */
enum sign_in {
	SIGN_IN_NONE,
	SIGN_IN_TOKEN,   /* a token of this service */
	SIGN_IN_OIDC,    /* one of the issuer */
	SIGN_IN_PROXY,   /* a trusted proxy's word */
	SIGN_IN_ACCOUNT, /* the account behind a unix socket */
};

const char *sign_in_name(enum sign_in sign_in); /* "token", "oidc", "proxy", "account"; NULL for none */

/* Who asks. */
struct actor {
	char name[USER_NAME_MAX + 1];
	enum role role;
	enum sign_in sign_in;
	int64_t expires_at;    /* until when that holds; 0: without an end */
	int64_t tokens_end_at; /* until when a token of the actor's own may live */
	int64_t token;         /* the id of this service's token; 0: came without one */
	bool token_stale;      /* its use is to be noted: service_note_use() */
};

/* Is what the actor came with still valid? For replies that take long. DENIED when not. */
int service_check_actor(struct db *db, const struct actor *actor, struct nel_err *err);

/* The user of a bearer token (without "Bearer "). DENIED when it is not a valid one. */
int service_authenticate_token(struct service *service, struct db *db, const char *token, struct actor *ret_actor,
			       struct nel_err *err);

/* Notes that the actor's token was used; at most once a minute it writes. Not within a transaction. */
int service_note_use(struct db *db, const struct actor *actor, struct nel_err *err);

/* DENIED unless the actor is `owner` with the role user at least, or an admin. */
int service_check_owner(const struct actor *actor, const char *owner, struct nel_err *err);

/* The user of that name, for whom somebody trusted vouches. DENIED when there is none. */
int service_authenticate_name(struct db *db, const char *name, struct actor *ret_actor, struct nel_err *err);

/* The user behind a unix socket's peer: root and the daemon's own account are admins, another account is the user of
 * the same name. DENIED when there is none. */
int service_authenticate_peer(struct service *service, struct db *db, unsigned uid, struct actor *ret_actor,
			      struct nel_err *err);

/* {"items":[...], "next": null}: every cluster with its health, sessions and breaker. */
json_t *service_clusters(struct service *service, struct db *db);
/* One cluster; NOTFOUND. */
int service_cluster(struct service *service, struct db *db, const char *name, json_t **ret_cluster,
		    struct nel_err *err);

/* Tasks of the catalogue in its order: those whose name or harness contains `search` (NULL: all) and of `harness`
 * (NULL: any), `limit` of them from position `offset`; *ret_more: there are further ones. An array of
 * {"task","harness","container","endpoint_types"}. */
json_t *service_tasks(struct service *service, const char *search, const char *harness, size_t offset, size_t limit,
		      bool *ret_more);

/* While a job waits for its turn, waiting_on says which: "place 12 of 40 in the queue of alpha: alice has 50 of 50 jobs
 * in Slurm", and job->queue the same in numbers and words for programs. The places are the scheduler's, not the
 * store's; service_queue_version() is another number when they have changed, and only grows. */
void service_show_queue_position(struct service *service, struct job_row *job);
int64_t service_queue_version(struct service *service);

/* The quotas of GPU hours that hold the person: an array of {"of": "user"|"label"|"all", "name", "gpu_hours",
 * "used_gpu_s", "until"}. */
int service_quotas(struct service *service, struct db *db, const char *user, json_t **ret_quotas, struct nel_err *err);

/* Can the daemon do its work (store, scheduler)? *ret_report: {"ready": bool, "checks": {"database": "ok", "scheduler":
 * "ok"}}. fault: why
 * there is no db; NULL otherwise. */
bool service_ready(struct service *service, struct db *db, const char *fault, json_t **ret_report);

#endif

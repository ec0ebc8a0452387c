/* What a dry run asks of its cluster, through a lane: the caller goes on, the callback brings the answer. HTTP threads
 * ask; callbacks run on lane threads and must be short. */
#ifndef NEL_SERVICE_CLUSTER_CHECK_H
#define NEL_SERVICE_CLUSTER_CHECK_H

#include "service/planned.h"
#include "service/remote_files.h"

/* A question and where it goes. */
struct cluster_check;

/* Of the first attempts of all jobs; evaluation and now_s as for planned_describe(). */
int cluster_check_new(const struct planned *planned, struct db *db, const char *evaluation, int64_t now_s,
		      struct cluster_check **ret_check, struct nel_err *err);

/* Of a login alone. */
struct cluster_check *cluster_check_login(const struct settings_cluster *cluster, const char *identity);

/* What somebody wants to know before anything is submitted; all borrowed, NULL: not said. */
struct preflight_request {
	const char *account;
	const char *partition;
	const char *output_dir; /* NULL: the roots of the settings */
	bool job;               /* look at a compute node by a job of a moment */
};

/* Has the cluster what submissions need, as the actor who asks? NOTFOUND; INVALID; CONFLICT as
 * service_identity_name(). */
int cluster_check_preflight(struct service *service, struct db *db, const struct actor *actor, const char *name,
			    const struct preflight_request *wanted, struct cluster_check **ret_check,
			    struct nel_err *err);
void cluster_check_free(struct cluster_check *check); /* accepts NULL */

/* Asks, and takes over the check. The answer's data is JSON text: for a dry run {"checks": [{"name", "ok", "message"}],
 * "start_estimate"}, for a preflight {"cluster", "identity", "ok", "checks": [{"name", "ok", "message", "hint"}]}, for
 * a login {"checks": [{"ok", "message", "refused"}]}. A cluster that cannot be asked is a check "login" that is not ok,
 * never an error. The callback is called once, perhaps before this returns. */
void service_check_cluster(struct service *service, struct cluster_check *check, remote_callback callback, void *arg);

#endif

/* Handler of /metrics. Nothing here looks at more rows than there are clusters and states. */
#include "api/http/counters.h"
#include "api/http/exposition.h"
#include "api/http/feed.h"
#include "api/http/handlers.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "api/http/server_internal.h"
#include "base/clock.h"
#include "base/mem.h"
#include "db/events.h"
#include "db/orphans.h"
#include "db/totals.h"
#include "db/webhooks.h"
#include "service/gauges.h"

#include <string.h>
#include <sys/stat.h>

/* --- what the store has counted --- */

struct total_metric {
	const char *total; /* in the table */
	const char *name;
	const char *label; /* NULL: only the cluster */
	const char *help;
};

static const struct total_metric total_metrics[] = {
    {"attempts_submitted", "nel_attempts_submitted_total", NULL, "Slurm jobs that Slurm has accepted."},
    {"attempts_ended", "nel_attempts_ended_total", "state",
     "Slurm jobs that have ended, by the state that Slurm gave."},
    {"attempt_seconds", "nel_attempt_seconds_total", NULL,
     "Run time of ended attempts, which is what walltime budgets are charged."},
    {"gpu_seconds_submitted", "nel_gpu_seconds_submitted_total", NULL,
     "GPUs times time limit of accepted attempts: what was asked for at most. GPUs are those of the script's "
     "--gpus-per-node or --gres on all nodes."},
    {"gpu_seconds", "nel_gpu_seconds_total", NULL, "GPUs times run time of ended attempts."},
    {"gpu_seconds_wasted", "nel_gpu_seconds_wasted_total", NULL,
     "GPUs times run time of attempts that ended without success and without one more finished request in the job's "
     "progress counter."},
    {"gpu_seconds_idle", "nel_gpu_seconds_idle_total", NULL,
     "GPUs times the time in which, once the servers were ready, no GPU worked and no server finished a request; of "
     "ended "
     "attempts, where nvidia-smi says it."},
    {"gpu_samples", "nel_gpu_utilization_samples_total", NULL,
     "Samples of GPU utilization of ended attempts, each the mean over an attempt's GPUs on its first node."},
    {"gpu_percents", "nel_gpu_utilization_percent_total", NULL,
     "Their sum, in percent: divided by their number, the mean."},
    {"gpu_low_samples", "nel_gpu_utilization_low_samples_total", NULL, "Those of them below 10 %."},
    {"placements", "nel_placements_total", NULL, "Evaluations whose cluster was left open and that went there first."},
    {"moves", "nel_moves_total", NULL, "Evaluations that went there because they had not started elsewhere."},
    {"start_forecasts", "nel_start_forecasts_total", NULL,
     "Evaluations whose cluster was left open, and that have started after their cluster had said when."},
    {"start_forecast_error_seconds", "nel_start_forecast_error_seconds_total", NULL,
     "The sum over these of the time between the two, sooner or later: divided by their number, the mean error."},
};

static void render_total(struct str *s, const struct total_metric *metric, const struct total_list *totals)
{
	exposition_metric(s, metric->name, "counter", metric->help);
	for (size_t i = 0; i < totals->count; i++) {
		const struct total_row *row = &totals->items[i];
		if (strcmp(row->name, metric->total) == 0)
			exposition_sample(s, metric->name,
					  (const char *[]){"cluster", row->cluster, metric->label,
							   metric->label != NULL ? row->label : NULL, NULL},
					  (double)row->value);
	}
}

static int render_store(struct str *s, struct db *db, struct nel_err *err)
{
	CLEANUP(total_list_done) struct total_list jobs = {0};
	CLEANUP(total_list_done) struct total_list totals = {0};
	int64_t first = 0;
	int64_t last = 0;
	int64_t pending = 0;
	if (totals_jobs(db, &jobs, err) != 0 || totals_list(db, &totals, err) != 0 ||
	    events_bounds(db, &first, &last, err) != 0 || deliveries_pending_count(db, &pending, err) != 0)
		return -1;
	exposition_metric(s, "nel_jobs", "gauge", "Jobs that are stored, by cluster and state.");
	for (size_t i = 0; i < jobs.count; i++)
		exposition_sample(
		    s, "nel_jobs",
		    (const char *[]){"cluster", jobs.items[i].cluster, "state", jobs.items[i].label, NULL},
		    (double)jobs.items[i].value);
	for (size_t i = 0; i < sizeof total_metrics / sizeof total_metrics[0]; i++)
		render_total(s, &total_metrics[i], &totals);
	exposition_single(s, "nel_events_total", "counter", "Events stored so far: the number of the last one.",
			  (double)last);
	exposition_single(s, "nel_events_kept", "gauge", "Events that are not pruned.", (double)(last - first + 1));
	exposition_single(s, "nel_webhook_deliveries_pending", "gauge", "Deliveries that wait or are under way.",
			  (double)pending);
	return 0;
}

/* --- clusters --- */

enum cluster_value {
	AGE,
	FAILURES,
	LOOKS_OK,
	LOOKS_FAILED,
	LOOK_SECONDS,
	LOOK_BYTES,
	SESSIONS_BUSY,
	SESSIONS_IDLE,
	HANDSHAKES,
	EXECS,
	SSH_FAILURES,
	BREAKER_CLOSED_,
	BREAKER_OPEN_,
	BREAKER_HALF_OPEN_,
	QUEUE,
};

/* help NULL: another sample of the metric before it. */
struct cluster_metric {
	enum cluster_value value;
	const char *name;
	const char *type;
	const char *help;
	const char *label; /* with label_value; NULL: none */
	const char *label_value;
};

static const struct cluster_metric cluster_metrics[] = {
    {AGE, "nel_observation_age_seconds", "gauge",
     "Since Slurm last said how the jobs stand; absent before the first time. It grows while there are no jobs to ask "
     "for.",
     NULL, NULL},
    {FAILURES, "nel_observation_failures", "gauge", "Observations that failed in a row.", NULL, NULL},
    {LOOKS_OK, "nel_observations_total", "counter", "Observations, each one remote command.", "outcome", "ok"},
    {LOOKS_FAILED, "nel_observations_total", NULL, NULL, "outcome", "failed"},
    {LOOK_SECONDS, "nel_observation_seconds_total", "counter", "Time that observations have taken.", NULL, NULL},
    {LOOK_BYTES, "nel_observation_bytes_total", "counter", "What clusters have answered to observations.", NULL, NULL},
    {SESSIONS_BUSY, "nel_ssh_sessions", "gauge", "Open SSH sessions.", "state", "busy"},
    {SESSIONS_IDLE, "nel_ssh_sessions", NULL, NULL, "state", "idle"},
    {HANDSHAKES, "nel_ssh_handshakes_total", "counter", "SSH connections tried.", NULL, NULL},
    {EXECS, "nel_ssh_execs_total", "counter", "Commands sent over SSH.", NULL, NULL},
    {SSH_FAILURES, "nel_ssh_failures_total", "counter", "Connections and commands that failed.", NULL, NULL},
    {BREAKER_CLOSED_, "nel_ssh_breaker", "gauge",
     "1 for the state of the circuit breaker: closed (well), open (not tried for a while), half-open (one probe).",
     "state", "closed"},
    {BREAKER_OPEN_, "nel_ssh_breaker", NULL, NULL, "state", "open"},
    {BREAKER_HALF_OPEN_, "nel_ssh_breaker", NULL, NULL, "state", "half-open"},
    {QUEUE, "nel_lane_queue_length", "gauge", "Remote work that waits for a session.", NULL, NULL},
};

static double value_of(const struct cluster_gauges *g, const struct cluster_metric *metric)
{
	switch (metric->value) {
	case AGE: return (double)(clock_now_s() - g->observed_at);
	case FAILURES: return g->failures;
	case LOOKS_OK: return (double)g->looks;
	case LOOKS_FAILED: return (double)g->bad_looks;
	case LOOK_SECONDS: return (double)g->looks_ms / 1000;
	case LOOK_BYTES: return (double)g->looks_bytes;
	case SESSIONS_BUSY: return g->busy;
	case SESSIONS_IDLE: return g->sessions - g->busy;
	case HANDSHAKES: return (double)g->handshakes;
	case EXECS: return (double)g->execs;
	case SSH_FAILURES: return (double)g->ssh_failures;
	case BREAKER_CLOSED_:
	case BREAKER_OPEN_:
	case BREAKER_HALF_OPEN_: return strcmp(g->breaker, metric->label_value) == 0;
	case QUEUE: return (double)g->queued;
	}
	return 0;
}

static int render_orphans(struct str *s, struct db *db, const struct settings *settings, struct nel_err *err)
{
	exposition_metric(
	    s, "nel_orphans", "gauge",
	    "Evaluations found on a cluster that the store lacked when the daemon started, by what became of "
	    "them: adopted, or why not (GET /v1/clusters/{name}/orphans).");
	for (size_t i = 0; i < settings->cluster_count; i++) {
		int64_t counts[ORPHAN_OUTCOMES];
		const char *cluster = settings->clusters[i].name;
		if (settings_cluster_by_name(settings, cluster) != &settings->clusters[i])
			continue;
		if (orphans_counts(db, cluster, counts, err) != 0)
			return -1;
		for (size_t o = 0; o < ORPHAN_OUTCOMES; o++)
			exposition_sample(s, "nel_orphans",
					  (const char *[]){"cluster", cluster, "outcome",
							   orphan_outcome_name((enum orphan_outcome)o), NULL},
					  (double)counts[o]);
	}
	return 0;
}

static void render_clusters(struct str *s, struct service *service)
{
	const struct settings *settings = service->settings;
	size_t count = settings->cluster_count;
	CLEANUP(mem_freep) struct cluster_gauges *gauges = mem_calloc(count, sizeof *gauges);
	size_t known = 0;
	for (size_t i = 0; i < count; i++)
		known += service_cluster_gauges(service, settings, i, &gauges[known]);
	for (size_t m = 0; m < sizeof cluster_metrics / sizeof cluster_metrics[0]; m++) {
		const struct cluster_metric *metric = &cluster_metrics[m];
		if (metric->help != NULL)
			exposition_metric(s, metric->name, metric->type, metric->help);
		for (size_t i = 0; i < known; i++) {
			if (metric->value == AGE && gauges[i].observed_at == 0)
				continue;
			exposition_sample(
			    s, metric->name,
			    (const char *[]){"cluster", gauges[i].name, metric->label, metric->label_value, NULL},
			    value_of(&gauges[i], metric));
		}
	}
}

/* --- the daemon and its process --- */

static void render_daemon(struct str *s, struct service *service)
{
	static const char deliveries[] = "nel_webhook_deliveries_total";
	struct daemon_gauges g;
	service_gauges(service, &g);
	exposition_single(s, "nel_live_chains", "gauge",
			  "Jobs that the scheduler follows: not ended, or not collected yet.", (double)g.active_chains);
	exposition_single(s, "nel_scheduler_queue_length", "gauge", "Answers of clusters that wait for the scheduler.",
			  (double)g.scheduler_queue);
	exposition_single(s, "nel_scheduler_silence_seconds", "gauge",
			  "Since the scheduler last went round; more than a few seconds means that it hangs.",
			  (double)g.scheduler_silence_ms / 1000);
	exposition_metric(s, deliveries, "counter",
			  "Tries to deliver: delivered; retried (failed, and will be repeated); failed (given up).");
	exposition_sample(s, deliveries, (const char *[]){"outcome", "delivered", NULL}, (double)g.webhooks_delivered);
	exposition_sample(s, deliveries, (const char *[]){"outcome", "retried", NULL}, (double)g.webhooks_retried);
	exposition_sample(s, deliveries, (const char *[]){"outcome", "failed", NULL}, (double)g.webhooks_failed);
	exposition_single(s, "nel_webhook_deliveries_sending", "gauge", "Deliveries under way.", g.webhooks_sending);
}

static void render_listeners(struct str *s, struct feed *feed)
{
	exposition_metric(s, "nel_event_listeners", "gauge", "Connections that wait for events, by how.");
	exposition_sample(s, "nel_event_listeners", (const char *[]){"type", "stream", NULL},
			  feed_listeners(feed, FEED_STREAM));
	exposition_sample(s, "nel_event_listeners", (const char *[]){"type", "poll", NULL},
			  feed_listeners(feed, FEED_POLL));
	exposition_single(s, "nel_event_listeners_max", "gauge", "How many there may be.", feed_listeners_max(feed));
}

static double file_bytes(const char *path, const char *suffix)
{
	struct stat st;
	CLEANUP(mem_freep) char *name = mem_printf("%s%s", path, suffix);
	return stat(name, &st) == 0 ? (double)st.st_size : 0;
}

static void render_process(struct str *s, const char *database)
{
	struct process_gauges g;
	service_process_gauges(&g);
	exposition_single(s, "nel_database_bytes", "gauge", "Size of the database file.", file_bytes(database, ""));
	exposition_single(s, "nel_database_wal_bytes", "gauge", "Size of its write-ahead log.",
			  file_bytes(database, "-wal"));
	exposition_metric(s, "nel_build_info", "gauge", "1; the label is the program's version.");
	exposition_sample(s, "nel_build_info", (const char *[]){"version", NEL_VERSION, NULL}, 1);
	exposition_single(s, "process_cpu_seconds_total", "counter", "User and system CPU time.", g.cpu_s);
	exposition_single(s, "process_start_time_seconds", "gauge", "Start, in seconds since the epoch.", g.started_at);
	exposition_single(s, "process_resident_memory_bytes", "gauge", "Resident memory.", (double)g.resident_bytes);
	exposition_single(s, "process_virtual_memory_bytes", "gauge", "Virtual memory.", (double)g.virtual_bytes);
	exposition_single(s, "process_open_fds", "gauge", "Open file descriptors.", (double)g.descriptors);
	exposition_single(s, "process_max_fds", "gauge", "How many there may be.", (double)g.descriptors_max);
	exposition_single(s, "process_threads", "gauge", "Threads.", (double)g.threads);
}

int api_getMetrics(struct request *request, struct nel_err *err)
{
	struct db *db = NULL;
	struct str body = {0};
	if (request_read_db(request, &db, err) != 0)
		return -1;
	if (render_store(&body, db, err) != 0 || render_orphans(&body, db, request->service->settings, err) != 0) {
		str_done(&body);
		return -1;
	}
	render_clusters(&body, request->service);
	render_daemon(&body, request->service);
	render_listeners(&body, server_feed(request->server));
	counters_render(&body);
	render_process(&body, request->service->settings->database);
	request_add_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	return reply_text(request, MHD_HTTP_OK, EXPOSITION_TYPE, &body, err);
}

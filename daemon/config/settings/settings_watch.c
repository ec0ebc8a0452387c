/* The parts of the settings file that are about watching the daemon and about what it keeps: webhooks, metrics,
 * pruning. */
#include "config/settings/settings_watch.h"

#include "base/mem.h"
#include "base/str.h"

#include <string.h>

#define NETWORKS_MAX 64
#define PER_USER_DEFAULT 20
#define LOG_KEEP_DEFAULT (256 * 1024)
#define SAMPLES_KEEP_DEFAULT 200000
#define SAMPLES_KEEP_MAX 1000000 /* SAMPLES_KEEP_ROWS_MAX of slurm/samples.h */
#define LOG_KEEP_MAX (4 * 1024 * 1024)

#define DAYS_MAX 36500

static const char *const logs_keys[] = {"keep_bytes", NULL};
static const char *const samples_keys[] = {"keep_rows", NULL};
#define SECRETS_KEEP_DEFAULT 7

static const char *const keep_keys[] = {"keep_days", NULL};
static const char *const metrics_keys[] = {"public", NULL};
#define ORIGINS_MAX 32

static const char *const cors_keys[] = {"origins", NULL};
static const char *const webhook_keys[] = {"allow_private", "allow_http", "per_user", NULL};

/* allow_private: true, false, or a list of the ranges that are permitted. */
static void read_networks(const struct reader *r, const json_t *list, struct settings_webhooks *ret_webhooks)
{
	size_t i = 0;
	json_t *value = NULL;
	if (json_array_size(list) > NETWORKS_MAX) {
		reader_error(r, "/webhooks/allow_private", "More than %d networks", NETWORKS_MAX);
		return;
	}
	ret_webhooks->networks = mem_calloc(NETWORKS_MAX, sizeof *ret_webhooks->networks);
	json_array_foreach((json_t *)list, i, value) {
		CLEANUP(mem_freep) char *pointer = reader_join_index("/webhooks/allow_private", i);
		const char *text = json_string_value(value);
		struct network_range *range = &ret_webhooks->networks[ret_webhooks->network_count];
		if (text == NULL || !network_range_parse(text, range))
			reader_error(r, pointer, "A network is written 10.0.0.0/8, fd00::/8, or as one address");
		else
			ret_webhooks->network_count++;
	}
}

static void read_webhooks(const struct reader *r, const json_t *root, struct settings_webhooks *ret_webhooks)
{
	const json_t *webhooks = reader_object(r, root, "", "webhooks");
	const json_t *private_ = reader_get(webhooks, "allow_private");
	reader_keys(r, webhooks, "/webhooks", webhook_keys, true);
	if (json_is_array(private_))
		read_networks(r, private_, ret_webhooks);
	else
		ret_webhooks->allow_private = reader_bool(r, webhooks, "/webhooks", "allow_private", false);
	ret_webhooks->allow_http = reader_bool(r, webhooks, "/webhooks", "allow_http", false);
	ret_webhooks->per_user = reader_int(r, webhooks, "/webhooks", "per_user", 0, 1000, PER_USER_DEFAULT);
}

/* {keep_days: N}; absent: 0. */
static int64_t read_keep_days(const struct reader *r, const json_t *root, const char *key, const char *pointer)
{
	const json_t *object = reader_object(r, root, "", key);
	reader_keys(r, object, pointer, keep_keys, true);
	return reader_int(r, object, pointer, "keep_days", 1, DAYS_MAX, 0);
}

/* As browsers write it (https://html.spec.whatwg.org/#ascii-serialisation-of-an-origin). */
static bool is_origin(const char *text)
{
	const char *host = str_starts_with(text, "https://")  ? text + strlen("https://")
			   : str_starts_with(text, "http://") ? text + strlen("http://")
							      : "";
	size_t size = strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789.-:[]");
	return size > 0 && host[size] == '\0';
}

static char **read_origins(const struct reader *r, const json_t *root)
{
	const json_t *cors = reader_object(r, root, "", "cors");
	reader_keys(r, cors, "/cors", cors_keys, true);
	char **origins = reader_list(r, cors, "/cors", "origins", READER_TOKEN, NULL);
	bool any = origins != NULL && origins[0] != NULL && strcmp(origins[0], "*") == 0 && origins[1] == NULL;
	for (size_t i = 0; origins != NULL && origins[i] != NULL && !any; i++) {
		CLEANUP(mem_freep) char *pointer = reader_join_index("/cors/origins", i);
		if (i == ORIGINS_MAX) {
			reader_error(r, "/cors/origins", "More than %d origins", ORIGINS_MAX);
			break;
		}
		if (!is_origin(origins[i]))
			reader_error(
			    r, pointer,
			    "An origin is written https://host or https://host:port, in lower case and with nothing "
			    "behind; '*' stands alone");
	}
	return origins;
}

void settings_read_watch(const struct reader *r, const json_t *root, struct settings *s)
{
	const json_t *metrics = reader_object(r, root, "", "metrics");
	reader_keys(r, metrics, "/metrics", metrics_keys, true);
	s->metrics_public = reader_bool(r, metrics, "/metrics", "public", false);
	s->cors_origins = read_origins(r, root);
	const json_t *logs = reader_object(r, root, "", "logs");
	reader_keys(r, logs, "/logs", logs_keys, true);
	s->logs_keep_bytes = reader_int(r, logs, "/logs", "keep_bytes", 0, LOG_KEEP_MAX, LOG_KEEP_DEFAULT);
	const json_t *samples = reader_object(r, root, "", "samples");
	reader_keys(r, samples, "/samples", samples_keys, true);
	s->samples_keep_rows =
	    reader_int(r, samples, "/samples", "keep_rows", 0, SAMPLES_KEEP_MAX, SAMPLES_KEEP_DEFAULT);
	const json_t *secrets = reader_object(r, root, "", "secrets");
	reader_keys(r, secrets, "/secrets", keep_keys, true);
	s->secrets_keep_days = reader_int(r, secrets, "/secrets", "keep_days", 0, DAYS_MAX, SECRETS_KEEP_DEFAULT);
	s->events_keep_days = read_keep_days(r, root, "events", "/events");
	s->evaluations_keep_days = read_keep_days(r, root, "evaluations", "/evaluations");
	read_webhooks(r, root, &s->webhooks);
}

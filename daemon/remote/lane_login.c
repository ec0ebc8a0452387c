#include "remote/lane_login.h"

#include "base/mem.h"
#include "base/str_list.h"
#include "db/identities.h"

#include <string.h>

/* "NAME=value" for each variable of the settings; NULL-terminated. */
static char **environment_of(const struct settings_cluster *cluster)
{
	char **list = mem_calloc(cluster->environment_count + 1, sizeof *list);
	for (size_t i = 0; i < cluster->environment_count; i++)
		list[i] = mem_printf("%s=%s", cluster->environment[i].name, cluster->environment[i].value);
	return list;
}

/* The private half of a person's key, for secret_free(), and its certificate (free()), or NULL. */
static int read_key(const struct lane_source *source, const char *user, const char *cluster, char **ret_key,
		    size_t *ret_size, char **ret_certificate, struct nel_err *err)
{
	CLEANUP(db_freep) struct db *db = NULL;
	CLEANUP(identity_row_done) struct identity_row row = {0};
	if (db_open(source->database, &db, err) != 0 || identities_get(db, user, cluster, &row, err) != 0)
		return -1;
	CLEANUP(mem_freep) char *label = identity_label(user, cluster);
	if (secret_open(source->master_key, label, row.sealed_key, row.sealed_key_size, ret_key, ret_size, err) != 0)
		return -1;
	*ret_certificate = TAKE(row.certificate);
	return 0;
}

static struct ssh_pool *make_pool(const struct lane_source *source, const struct settings_cluster *cluster,
				  const struct ssh_target *target, const volatile bool *stop)
{
	char **environment = environment_of(cluster);
	struct ssh_pool_options options = {
	    .target = *target,
	    .max_sessions = cluster->max_sessions,
	    .idle_timeout_ms = cluster->idle_timeout_s * 1000,
	    .limit = ssh_host_limits_get(source->limits, cluster->address, cluster->port, cluster->proxy_command),
	    .environment = (const char *const *)environment,
	    .stop = stop,
	};
	struct ssh_pool *pool = ssh_pool_new(&options);
	str_list_free(environment);
	return pool;
}

int lane_login_pool(const struct lane_source *source, const struct settings_cluster *cluster, const char *identity,
		    const volatile bool *stop, struct ssh_pool **ret_pool, struct nel_err *err)
{
	struct ssh_target target = {.cluster = cluster->name,
				    .hostname = cluster->hostname,
				    .address = cluster->address,
				    .port = cluster->port,
				    .username = identity,
				    .key_file = cluster->key_file,
				    .certificate_file = cluster->certificate_file,
				    .credentials = credentials_book_get(source->credentials, cluster),
				    .agent_socket = cluster->agent_socket,
				    .agent_key = cluster->agent_key,
				    .known_hosts_file = cluster->known_hosts_file,
				    .proxy_command = cluster->proxy_command,
				    .connect_timeout_ms = cluster->connect_timeout_s * 1000};
	char user[USER_NAME_MAX + 1];
	char username[IDENTITY_USERNAME_MAX + 1];
	char *key = NULL;
	size_t key_size = 0;
	int rc = 0;
	CLEANUP(mem_freep) char *name = NULL;
	CLEANUP(mem_freep) char *certificate = NULL;
	if (cluster->identity_per_user && identity_name_split(identity, user, username)) {
		rc = read_key(source, user, cluster->name, &key, &key_size, &certificate, err);
		if (rc != 0)
			key = mem_strdup(""); /* no login is tried with that */
		name = mem_printf("of %s (GET /v1/identities/%s shows it)", user, cluster->name);
		target.username = username;
		target.key = key;
		target.key_size = key_size;
		target.key_name = name;
		target.certificate = certificate;
	}
	*ret_pool = make_pool(source, cluster, &target, stop);
	secret_free(key, key_size);
	return rc;
}

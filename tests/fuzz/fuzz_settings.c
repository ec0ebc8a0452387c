/* config/settings: what is accepted can be used as it stands: paths are absolute, names are names, tokens do not cross
 * the network in the clear unless somebody said so. The input is the settings file. */
#include "config/settings/settings_load.h"
#include "fuzz.h"

#include <arpa/inet.h>
#include <sys/mman.h>
#include <unistd.h>

static void check_path(const char *path)
{
	FUZZ_CHECK(path == NULL || (path[0] == '/' && !str_has_control(path) && strstr(path, "/../") == NULL &&
				    !str_ends_with(path, "/..")));
}

static void check_listen(const struct settings *s, const struct settings_listen *listen)
{
	struct in_addr v4;
	if (listen->is_unix) {
		check_path(listen->path);
		FUZZ_CHECK(listen->path != NULL && strlen(listen->path) <= 107);
		return;
	}
	FUZZ_CHECK(listen->address != NULL && listen->address[0] != '\0' && !str_has_control(listen->address));
	FUZZ_CHECK(listen->port >= 0 && listen->port <= 65535);
	bool loopback = inet_pton(AF_INET, listen->address, &v4) == 1
			    ? ntohl(v4.s_addr) >> 24 == 127
			    : str_in(listen->address, (const char *const[]){"::1", "localhost", NULL});
	struct in6_addr v6;
	if (!loopback && inet_pton(AF_INET6, listen->address, &v6) == 1)
		loopback = IN6_IS_ADDR_LOOPBACK(&v6);
	FUZZ_CHECK(loopback || s->insecure || (s->tls_cert_file != NULL && s->tls_key_file != NULL));
}

static void check_cluster(const struct settings *s, const struct settings_cluster *c)
{
	FUZZ_CHECK(settings_cluster_by_name(s, c->name) == c);
	FUZZ_CHECK(settings_cluster_by_hostname(s, c->hostname) == c);
	FUZZ_CHECK(c->name[0] != '\0' && strpbrk(c->name, "/ \t\n'\"$`|") == NULL);
	FUZZ_CHECK(c->hostname[0] != '-' && strpbrk(c->hostname, "/@ \n'\"$`|;") == NULL);
	FUZZ_CHECK(c->address[0] != '-' && strpbrk(c->address, "/@ \n'\"$`|;") == NULL);
	FUZZ_CHECK(c->port >= 1 && c->port <= 65535 && c->max_sessions >= 1 && c->poll_interval_s >= 1);
	FUZZ_CHECK(c->identity_per_user
		       ? c->username == NULL && c->key_file == NULL
		       : c->username != NULL && c->username[0] != '-' &&
			     (c->key_file != NULL) + (c->agent_socket != NULL) + (c->credential_command != NULL) == 1);
	FUZZ_CHECK(c->credential_command == NULL || c->certificate_file == NULL);
	check_path(c->known_hosts_file);
	check_path(c->key_file);
	check_path(c->certificate_file);
	if (c->credential_command != NULL)
		check_path(c->credential_command[0]);
	for (size_t i = 0; i < c->environment_count; i++)
		FUZZ_CHECK(strpbrk(c->environment[i].name, "= \n'\"$`|;") == NULL);
	for (char **root = c->output_roots; *root != NULL; root++)
		check_path(*root);
}

static void check_settings(const struct settings *s)
{
	FUZZ_CHECK(s->listen_count >= 1 && s->database != NULL && s->master_key_file != NULL);
	for (size_t i = 0; i < s->listen_count; i++)
		check_listen(s, &s->listen[i]);
	check_path(s->tls_cert_file);
	check_path(s->tls_key_file);
	check_path(s->database);
	check_path(s->master_key_file);
	check_path(s->groups_dir);
	check_path(s->tasks_file);
	FUZZ_CHECK(s->limits.config_bytes >= 1024 && s->limits.active_jobs_per_user >= 1 &&
		   s->limits.submitted_jobs_per_user >= 1 && s->limits.requests_per_second >= 1);
	for (size_t i = 0; i < s->cluster_count; i++)
		check_cluster(s, &s->clusters[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static char path[64];
	struct nel_err err = {0};
	CLEANUP(problems_done) struct problems problems = {0};
	CLEANUP(settings_freep) struct settings *settings = NULL;
	if (fd < 0) {
		fd = memfd_create("settings", MFD_CLOEXEC);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	}
	FUZZ_CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	if (settings_load(path, &settings, &problems, &err) != 0) {
		fuzz_check_error(&err, NEL_INVALID);
		FUZZ_CHECK(problems.count > 0 && settings == NULL);
		fuzz_check_problems(&problems);
		return 0;
	}
	FUZZ_CHECK(problems.count == 0);
	check_settings(settings);
	return 0;
}

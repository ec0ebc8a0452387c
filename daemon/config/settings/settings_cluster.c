/* The clusters of the settings file: one block each. */
#include "config/settings/settings_cluster.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/plan/plan_env.h"

#include <string.h>

#define CLUSTERS "/clusters"
#define KNOWN_HOSTS_DEFAULT "/etc/nel-slurmd/known_hosts"
#define SESSIONS_MAX 64
#define SECONDS_MAX 86400
#define REFUSAL_DEADLINE_DEFAULT 86400
#define REFUSAL_DEADLINE_MAX (90 * 86400)
#define SUBMITTED_JOBS_MAX 1000000
#define PATHS_MAX 1000
#define CREDENTIAL_WORDS_MAX 64
#define CREDENTIAL_TIMEOUT_DEFAULT 30
#define CREDENTIAL_TIMEOUT_MAX 300

static const char *const cluster_keys[] = {"name",
					   "hostname",
					   "address",
					   "port",
					   "known_hosts_file",
					   "identity",
					   "max_sessions",
					   "poll_interval_s",
					   "accounting",
					   "containers",
					   "proxy_command",
					   "environment",
					   "paths",
					   "output_roots",
					   "connect_timeout_s",
					   "command_timeout_s",
					   "idle_timeout_s",
					   "absence_deadline_s",
					   "refusal_deadline_s",
					   "results_wait_s",
					   "submitted_jobs",
					   "drain",
					   NULL};
static const char *const identity_keys[] = {"username",  "key_file",           "certificate_file",     "agent",
					    "agent_key", "credential_command", "credential_timeout_s", NULL};

static const struct {
	const char *name;
	enum accounting_mode mode;
} accounting_modes[] = {{"auto", ACCOUNTING_AUTO}, {"sacct", ACCOUNTING_SACCT}, {"none", ACCOUNTING_NONE}};

char *settings_path(const struct reader *r, const json_t *object, const char *base, const char *key, bool needed)
{
	CLEANUP(mem_freep)
	char *path =
	    needed ? reader_need_text(r, object, base, key, READER_ANY) : reader_text(r, object, base, key, READER_ANY);
	CLEANUP(mem_freep) char *pointer = reader_join(base, key);
	if (path == NULL || !reader_check_path(r, path, pointer, ""))
		return NULL;
	return TAKE(path);
}

/* Letters, digits, '.', '-', '_': it stands in URLs, logs, and file names. */
static bool is_name(const char *name)
{
	return name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0' &&
	       name[0] != '.' && name[0] != '-';
}

/* A host name or address, as ssh takes it: never an option, a user, or a URL. */
static bool is_host(const char *name)
{
	return name[0] != '-' &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-")] == '\0';
}

/* agent: true is the agent of the daemon's own environment (ssh-agent(1)); a text is the path of its socket. */
static void read_agent(const struct reader *r, const json_t *identity, const char *base, struct settings_cluster *c)
{
	const json_t *agent = reader_get(identity, "agent");
	CLEANUP(mem_freep) char *pointer = reader_join(base, "agent");
	c->agent_key = reader_text(r, identity, base, "agent_key", READER_LINE);
	if (json_is_string(agent)) {
		c->agent_socket = settings_path(r, identity, base, "agent", true);
	} else if (json_is_true(agent)) {
		c->agent_socket = mem_strdup(getenv("SSH_AUTH_SOCK"));
		if (c->agent_socket == NULL)
			reader_error(r, pointer,
				     "SSH_AUTH_SOCK is not set for the daemon: name the agent's socket, as in agent: "
				     "/run/nel-slurmd/agent.sock");
	} else if (agent != NULL && !json_is_false(agent)) {
		reader_error(r, pointer,
			     "agent is true (the agent of SSH_AUTH_SOCK), or the path of an agent's socket");
	} else if (c->agent_key != NULL) {
		reader_error(r, pointer, "agent_key goes with agent");
	}
}

/* A program and its arguments, as execve(2) takes them: no shell splits a text. */
static void read_command(const struct reader *r, const json_t *identity, const char *base, struct settings_cluster *c)
{
	const json_t *command = reader_get(identity, "credential_command");
	CLEANUP(mem_freep) char *pointer = reader_join(base, "credential_command");
	CLEANUP(mem_freep) char *timeout = reader_join(base, "credential_timeout_s");
	c->credential_timeout_s = reader_int(r, identity, base, "credential_timeout_s", 1, CREDENTIAL_TIMEOUT_MAX,
					     CREDENTIAL_TIMEOUT_DEFAULT);
	if (command == NULL) {
		if (reader_get(identity, "credential_timeout_s") != NULL)
			reader_error(r, timeout, "credential_timeout_s goes with credential_command");
		return;
	}
	if (!json_is_array(command) || json_array_size(command) == 0 ||
	    json_array_size(command) > CREDENTIAL_WORDS_MAX) {
		reader_error(r, pointer,
			     "credential_command is a list of a program and its arguments, at most %d words: "
			     "[/usr/local/bin/hand-out, --for, alpha]",
			     CREDENTIAL_WORDS_MAX);
		return;
	}
	c->credential_command = reader_list(r, identity, base, "credential_command", READER_ANY, NULL);
	if (c->credential_command[0] != NULL)
		reader_check_path(r, c->credential_command[0], pointer, "");
}

/* Where its key is: in a file, with an agent, or handed out by a command. */
static void read_key(const struct reader *r, const json_t *identity, const char *base, struct settings_cluster *c)
{
	CLEANUP(mem_freep) char *key_file = reader_join(base, "key_file");
	CLEANUP(mem_freep) char *command = reader_join(base, "credential_command");
	CLEANUP(mem_freep) char *certificate = reader_join(base, "certificate_file");
	const json_t *agent_value = reader_get(identity, "agent");
	bool agent = agent_value != NULL && !json_is_false(agent_value);
	bool handed_out = reader_get(identity, "credential_command") != NULL;
	read_agent(r, identity, base, c);
	read_command(r, identity, base, c);
	c->key_file = settings_path(r, identity, base, "key_file", !agent && !handed_out);
	c->certificate_file = settings_path(r, identity, base, "certificate_file", false);
	if (agent && c->key_file != NULL)
		reader_error(r, key_file, "The key is either in key_file or with the agent");
	if (handed_out && (agent || c->key_file != NULL))
		reader_error(r, command, "The key is either handed out by credential_command, or %s",
			     agent ? "with the agent" : "in key_file");
	if (handed_out && c->certificate_file != NULL)
		reader_error(r, certificate,
			     "certificate_file goes with key_file or agent; credential_command hands out the "
			     "certificate with the key");
}

static void read_shared(const struct reader *r, const json_t *identity, const char *base, struct settings_cluster *c)
{
	reader_keys(r, identity, base, identity_keys, true);
	c->username = reader_need_text(r, identity, base, "username", READER_TOKEN);
	read_key(r, identity, base, c);
	if (c->username != NULL && strchr(c->username, '/') != NULL)
		reader_error(r, base, "An account's name has no '/'");
}

static void read_identity(const struct reader *r, const json_t *config, const char *base, struct settings_cluster *c)
{
	const json_t *identity = reader_get(config, "identity");
	CLEANUP(mem_freep) char *pointer = reader_join(base, "identity");
	if (identity == NULL) {
		reader_missing(r, pointer);
	} else if (json_is_string(identity) && strcmp(json_string_value(identity), "per_user") == 0) {
		c->identity_per_user = true;
	} else if (json_is_object(identity)) {
		read_shared(r, identity, pointer, c);
	} else {
		reader_error(
		    r, pointer,
		    "identity is per_user, or a mapping of username and key_file, agent or credential_command");
	}
}

static void read_address(const struct reader *r, const json_t *config, const char *base, struct settings_cluster *c)
{
	CLEANUP(mem_freep) char *name = reader_join(base, "name");
	CLEANUP(mem_freep) char *hostname = reader_join(base, "hostname");
	CLEANUP(mem_freep) char *address = reader_join(base, "address");
	c->name = reader_need_text(r, config, base, "name", READER_TOKEN);
	c->hostname = reader_need_text(r, config, base, "hostname", READER_TOKEN);
	c->address = reader_text(r, config, base, "address", READER_TOKEN);
	if (c->address == NULL)
		c->address = mem_strdup(c->hostname);
	c->port = (int)reader_int(r, config, base, "port", 1, 65535, 22);
	if (c->name != NULL && strcmp(c->name, "any") == 0)
		reader_error(r, name, "No cluster is called any: execution.cluster: any is all of them");
	if (c->name != NULL && !is_name(c->name))
		reader_error(r, name, "A cluster's name is letters, digits, '.', '_' and '-'");
	if (c->hostname != NULL && !is_host(c->hostname))
		reader_error(r, hostname, "hostname is a host name or an address, without user or port");
	else if (c->address != NULL && !is_host(c->address))
		reader_error(r, address, "address is a host name or an address, without user or port");
}

static void read_accounting(const struct reader *r, const json_t *config, const char *base, struct settings_cluster *c)
{
	CLEANUP(mem_freep) char *mode = reader_text_or(r, config, base, "accounting", READER_LINE, "auto");
	CLEANUP(mem_freep) char *pointer = reader_join(base, "accounting");
	for (size_t i = 0; mode != NULL && i < sizeof accounting_modes / sizeof accounting_modes[0]; i++) {
		if (strcmp(mode, accounting_modes[i].name) == 0) {
			c->accounting = accounting_modes[i].mode;
			return;
		}
	}
	if (mode != NULL)
		reader_error(r, pointer, "accounting is auto, sacct, or none");
}

static void read_containers(const struct reader *r, const json_t *config, const char *base, struct settings_cluster *c)
{
	CLEANUP(mem_freep) char *name = reader_text_or(r, config, base, "containers", READER_LINE, "pyxis");
	CLEANUP(mem_freep) char *pointer = reader_join(base, "containers");
	if (name != NULL && !containers_from_name(name, &c->containers))
		reader_error(r, pointer, "containers is pyxis, or apptainer (which stands for Singularity, too)");
}

static void read_environment(const struct reader *r, const json_t *config, const char *base, struct settings_cluster *c)
{
	const json_t *environment = reader_object(r, config, base, "environment");
	CLEANUP(mem_freep) char *place = reader_join(base, "environment");
	const char *name;
	json_t *value;
	c->environment = mem_calloc(json_object_size(environment) + 1, sizeof *c->environment);
	json_object_foreach((json_t *)environment, name, value) {
		CLEANUP(mem_freep) char *pointer = reader_join(place, name);
		CLEANUP(mem_freep) char *text = reader_value_text(r, value, pointer, READER_ANY);
		if (!plan_env_is_name(name))
			reader_error(r, pointer, "Not a variable name: letters, digits and '_' only, no digit first");
		else if (text != NULL)
			c->environment[c->environment_count++] =
			    (struct settings_variable){.name = mem_strdup(name), .value = TAKE(text)};
	}
}

static void read_paths(const struct reader *r, const json_t *config, const char *base, struct settings_cluster *c)
{
	const json_t *paths = reader_object(r, config, base, "paths");
	CLEANUP(mem_freep) char *place = reader_join(base, "paths");
	const char *name;
	json_t *value;
	if (json_object_size(paths) > PATHS_MAX) {
		reader_error(r, place, "More than %d paths", PATHS_MAX);
		return;
	}
	c->paths = mem_calloc(json_object_size(paths) + 1, sizeof *c->paths);
	json_object_foreach((json_t *)paths, name, value) {
		CLEANUP(mem_freep) char *pointer = reader_join(place, name);
		CLEANUP(mem_freep) char *text = reader_value_text(r, value, pointer, READER_ANY);
		if (name[0] == '\0' || !is_name(name))
			reader_error(r, pointer, "The name of a path is letters, digits, '.', '_' and '-'");
		else if (text != NULL && reader_check_path(r, text, pointer, ""))
			c->paths[c->path_count++] =
			    (struct settings_variable){.name = mem_strdup(name), .value = TAKE(text)};
	}
}

static void read_output_roots(const struct reader *r, const json_t *config, const char *base,
			      struct settings_cluster *c)
{
	CLEANUP(mem_freep) char *pointer = reader_join(base, "output_roots");
	c->output_roots = reader_list(r, config, base, "output_roots", READER_ANY, NULL);
	for (char **root = c->output_roots; *root != NULL; root++)
		reader_check_path(r, *root, pointer, "");
}

static void read_cluster(const struct reader *r, const json_t *config, const char *base, struct settings_cluster *c)
{
	reader_keys(r, config, base, cluster_keys, true);
	read_address(r, config, base, c);
	read_identity(r, config, base, c);
	read_accounting(r, config, base, c);
	read_containers(r, config, base, c);
	read_environment(r, config, base, c);
	read_paths(r, config, base, c);
	read_output_roots(r, config, base, c);
	c->known_hosts_file = settings_path(r, config, base, "known_hosts_file", false);
	if (c->known_hosts_file == NULL)
		c->known_hosts_file = mem_strdup(KNOWN_HOSTS_DEFAULT);
	c->proxy_command = reader_text(r, config, base, "proxy_command", READER_LINE);
	c->max_sessions = (int)reader_int(r, config, base, "max_sessions", 1, SESSIONS_MAX, 4);
	c->poll_interval_s = reader_int(r, config, base, "poll_interval_s", 1, SECONDS_MAX, 30);
	c->connect_timeout_s = reader_int(r, config, base, "connect_timeout_s", 1, SECONDS_MAX, 15);
	c->command_timeout_s = reader_int(r, config, base, "command_timeout_s", 1, SECONDS_MAX, 60);
	c->idle_timeout_s = reader_int(r, config, base, "idle_timeout_s", 1, SECONDS_MAX, 300);
	c->absence_deadline_s = reader_int(r, config, base, "absence_deadline_s", 1, SECONDS_MAX, 300);
	c->refusal_deadline_s =
	    reader_int(r, config, base, "refusal_deadline_s", 1, REFUSAL_DEADLINE_MAX, REFUSAL_DEADLINE_DEFAULT);
	c->results_wait_s = reader_int(r, config, base, "results_wait_s", 0, 3600, 60);
	c->submitted_jobs = reader_int(r, config, base, "submitted_jobs", 1, SUBMITTED_JOBS_MAX, -1);
	c->draining = reader_bool(r, config, base, "drain", false);
}

static bool same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* Both select a cluster, so both must be its own. */
static void check_unique(const struct reader *r, const struct settings *s, const struct settings_cluster *c,
			 const char *base)
{
	CLEANUP(mem_freep) char *name = reader_join(base, "name");
	CLEANUP(mem_freep) char *hostname = reader_join(base, "hostname");
	for (const struct settings_cluster *other = s->clusters; other < c; other++) {
		if (same(other->name, c->name))
			reader_error(r, name, "There are two clusters called %s", c->name);
		if (same(other->hostname, c->hostname))
			reader_error(r, hostname,
				     "There are two clusters with the hostname %s; use address to connect "
				     "to one host under two hostnames",
				     c->hostname);
	}
}

void settings_read_clusters(const struct reader *r, const json_t *root, struct settings *s)
{
	const json_t *clusters = reader_array(r, root, "", "clusters");
	size_t i;
	json_t *config;
	if (json_array_size(clusters) > SETTINGS_CLUSTERS_MAX) {
		reader_error(r, CLUSTERS, "More than %d clusters", SETTINGS_CLUSTERS_MAX);
		return;
	}
	s->clusters = mem_calloc(json_array_size(clusters) + 1, sizeof *s->clusters);
	json_array_foreach((json_t *)clusters, i, config) {
		CLEANUP(mem_freep) char *base = reader_join_index(CLUSTERS, i);
		if (!json_is_object(config)) {
			reader_error(r, base, "A cluster is a mapping with name and hostname");
			continue;
		}
		struct settings_cluster *c = &s->clusters[s->cluster_count++];
		read_cluster(r, config, base, c);
		check_unique(r, s, c, base);
	}
}

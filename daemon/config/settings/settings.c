/* Owns the settings in memory: their end, and what is looked up in them. */
#include "config/settings/settings.h"

#include "base/str.h"
#include "base/str_list.h"
#include "config/text/reader.h"

#include <stdlib.h>
#include <string.h>

const char *const settings_roles[SETTINGS_ROLES + 1] = {"admin", "user", "viewer", NULL};

static void free_variables(struct settings_variable *variables, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(variables[i].name);
		free(variables[i].value);
	}
	free(variables);
}

static void cluster_done(struct settings_cluster *c)
{
	free(c->name);
	free(c->hostname);
	free(c->address);
	free(c->known_hosts_file);
	free(c->username);
	free(c->key_file);
	free(c->certificate_file);
	free(c->agent_socket);
	free(c->agent_key);
	str_list_free(c->credential_command);
	free(c->proxy_command);
	free_variables(c->environment, c->environment_count);
	free_variables(c->paths, c->path_count);
	str_list_free(c->output_roots);
	*c = (struct settings_cluster){0};
}

static void people_done(struct settings *s)
{
	for (size_t i = 0; i < s->person_count; i++)
		free(s->people[i].name);
	free(s->people);
	s->people = NULL;
	s->person_count = 0;
}

static void quotas_done(struct settings_quotas *q)
{
	for (size_t i = 0; i < q->user_count; i++)
		free(q->users[i].name);
	for (size_t i = 0; i < q->label_count; i++)
		free(q->labels[i].name);
	free(q->users);
	free(q->labels);
	*q = (struct settings_quotas){0};
}

static void oidc_free(struct settings_oidc *o)
{
	if (o == NULL)
		return;
	char *texts[] = {o->issuer,      o->client_id,  o->ca_file,   o->user_claim,
			 o->user_domain, o->role_claim, o->other_role};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		free(texts[i]);
	str_list_free(o->audiences);
	str_list_free(o->scopes);
	for (size_t i = 0; i < SETTINGS_ROLES; i++)
		str_list_free(o->role_values[i]);
	free(o);
}

bool settings_oidc_same_issuer(const struct settings_oidc *a, const struct settings_oidc *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return str_equal(a->issuer, b->issuer) && str_equal(a->ca_file, b->ca_file);
}

void settings_free(struct settings *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->listen_count; i++) {
		free(s->listen[i].path);
		free(s->listen[i].address);
	}
	free(s->listen);
	free(s->path);
	free(s->tls_cert_file);
	free(s->tls_key_file);
	free(s->database);
	free(s->master_key_file);
	free(s->groups_dir);
	free(s->tasks_file);
	free(s->log_level);
	free(s->proxy_user_header);
	oidc_free(s->oidc);
	str_list_free(s->proxy_accounts);
	str_list_free(s->allow_commands);
	str_list_free(s->allow_unlisted_tasks);
	for (size_t i = 0; i < SETTINGS_ROLES; i++)
		str_list_free(s->allow_mounts[i]);
	str_list_free(s->allowed_env);
	str_list_free(s->cors_origins);
	people_done(s);
	quotas_done(&s->quotas);
	free(s->webhooks.networks);
	for (size_t i = 0; i < s->cluster_count; i++)
		if (!s->clusters[i].borrowed)
			cluster_done(&s->clusters[i]);
	free(s->clusters);
	free(s);
}

const struct settings_cluster *settings_cluster_by_name(const struct settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->cluster_count; i++)
		if (strcmp(settings->clusters[i].name, name) == 0)
			return &settings->clusters[i];
	return NULL;
}

const struct settings_cluster *settings_cluster_by_hostname(const struct settings *settings, const char *hostname)
{
	for (size_t i = 0; i < settings->cluster_count; i++)
		if (strcmp(settings->clusters[i].hostname, hostname) == 0)
			return &settings->clusters[i];
	return NULL;
}

int64_t settings_quota_of(const struct settings *settings, const char *user)
{
	const struct settings_quotas *q = &settings->quotas;
	if (!q->any)
		return -1;
	for (size_t i = 0; i < q->user_count; i++)
		if (strcmp(q->users[i].name, user) == 0)
			return q->users[i].gpu_s;
	return q->default_gpu_s;
}

const struct settings_cluster *settings_cluster_of(const struct settings *settings, const char *name,
						   const char *identity)
{
	bool personal = strchr(identity, '/') != NULL;
	for (size_t i = 0; i < settings->cluster_count; i++) {
		const struct settings_cluster *cluster = &settings->clusters[i];
		if (strcmp(cluster->name, name) == 0 &&
		    (cluster->identity_per_user ? personal : strcmp(cluster->username, identity) == 0))
			return cluster;
	}
	return NULL;
}

const char *settings_cluster_path(const struct settings_cluster *cluster, const char *name)
{
	for (size_t i = 0; i < cluster->path_count; i++)
		if (strcmp(cluster->paths[i].name, name) == 0)
			return cluster->paths[i].value;
	return NULL;
}

static bool same_environment(const struct settings_cluster *a, const struct settings_cluster *b)
{
	if (a->environment_count != b->environment_count)
		return false;
	for (size_t i = 0; i < a->environment_count; i++)
		if (!str_equal(a->environment[i].name, b->environment[i].name) ||
		    !str_equal(a->environment[i].value, b->environment[i].value))
			return false;
	return true;
}

bool settings_cluster_same(const struct settings_cluster *a, const struct settings_cluster *b)
{
	return str_equal(a->hostname, b->hostname) && str_equal(a->address, b->address) && a->port == b->port &&
	       str_equal(a->known_hosts_file, b->known_hosts_file) && a->identity_per_user == b->identity_per_user &&
	       str_equal(a->username, b->username) && str_equal(a->key_file, b->key_file) &&
	       str_equal(a->certificate_file, b->certificate_file) && str_equal(a->agent_socket, b->agent_socket) &&
	       str_equal(a->agent_key, b->agent_key) &&
	       str_list_equal((const char *const *)a->credential_command, (const char *const *)b->credential_command) &&
	       a->credential_timeout_s == b->credential_timeout_s && a->max_sessions == b->max_sessions &&
	       str_equal(a->proxy_command, b->proxy_command) && a->connect_timeout_s == b->connect_timeout_s &&
	       a->idle_timeout_s == b->idle_timeout_s && same_environment(a, b);
}

struct settings_person settings_everybody(const struct settings *s)
{
	return (struct settings_person){.active_jobs = s->limits.active_jobs_per_user,
					.submitted_jobs = s->limits.submitted_jobs_per_user,
					.weight = 1};
}

static int has_name(const void *name, const void *person)
{
	return strcmp(name, ((const struct settings_person *)person)->name);
}

struct settings_person settings_person_of(const struct settings *settings, const char *name)
{
	const struct settings_person *found = NULL;
	if (settings->person_count > 0)
		found = bsearch(name, settings->people, settings->person_count, sizeof *found, has_name);
	return found != NULL ? *found : settings_everybody(settings);
}

char *const *settings_mount_prefixes(const struct settings *settings, const char *role)
{
	for (size_t i = 0; i < SETTINGS_ROLES; i++)
		if (strcmp(settings_roles[i], role) == 0)
			return settings->allow_mounts[i];
	return NULL;
}

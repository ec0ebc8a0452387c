#include "config/settings/settings_reload.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/str_list.h"

#include <string.h>

/* Would jobs of the old cluster's identities find it in the settings? */
static bool is_covered(const struct settings *settings, const struct settings_cluster *cluster)
{
	return settings_cluster_of(settings, cluster->name, cluster->identity_per_user ? "a/b" : cluster->username) !=
	       NULL;
}

void settings_carry_over(struct settings *next, const struct settings *before,
			 bool (*is_live)(const struct settings_cluster *cluster, void *arg), void *arg)
{
	next->clusters =
	    mem_realloc(next->clusters, next->cluster_count + before->cluster_count + 1, sizeof *next->clusters);
	for (size_t i = 0; i < before->cluster_count; i++) {
		const struct settings_cluster *cluster = &before->clusters[i];
		if (is_covered(next, cluster) || (cluster->borrowed && !is_live(cluster, arg)))
			continue;
		struct settings_cluster *carried = &next->clusters[next->cluster_count++];
		*carried = *cluster;
		carried->draining = true;
		carried->borrowed = true;
	}
}

static bool same_listen(const struct settings *a, const struct settings *b)
{
	if (a->listen_count != b->listen_count)
		return false;
	for (size_t i = 0; i < a->listen_count; i++) {
		const struct settings_listen *x = &a->listen[i];
		const struct settings_listen *y = &b->listen[i];
		if (x->is_unix != y->is_unix || !str_equal(x->path, y->path) || !str_equal(x->address, y->address) ||
		    x->port != y->port)
			return false;
	}
	return true;
}

static bool same_networks(const struct settings_webhooks *a, const struct settings_webhooks *b)
{
	if (a->network_count != b->network_count)
		return false;
	for (size_t i = 0; i < a->network_count; i++)
		if (a->networks[i].bits != b->networks[i].bits ||
		    memcmp(a->networks[i].address, b->networks[i].address, sizeof a->networks[i].address) != 0)
			return false;
	return true;
}

static bool same_proxy(const struct settings *a, const struct settings *b)
{
	return str_equal(a->proxy_user_header, b->proxy_user_header) &&
	       str_list_equal((const char *const *)a->proxy_accounts, (const char *const *)b->proxy_accounts);
}

size_t settings_want_restart(const struct settings *started, const struct settings *next,
			     const char *ret_keys[SETTINGS_RESTART_MAX])
{
	const struct {
		const char *key;
		bool same;
	} keys[] = {
	    {"listen", same_listen(started, next)},
	    {"socket_mode", started->socket_mode == next->socket_mode},
	    {"tls", str_equal(started->tls_cert_file, next->tls_cert_file) &&
			str_equal(started->tls_key_file, next->tls_key_file)},
	    {"database", str_equal(started->database, next->database)},
	    {"master_key_file", str_equal(started->master_key_file, next->master_key_file)},
	    {"webhooks", started->webhooks.allow_http == next->webhooks.allow_http &&
			     started->webhooks.allow_private == next->webhooks.allow_private &&
			     same_networks(&started->webhooks, &next->webhooks)},
	    {"tasks_file", str_equal(started->tasks_file, next->tasks_file)},
	    {"trusted_proxy", same_proxy(started, next)},
	    {"limits.connections_per_address",
	     started->limits.connections_per_address == next->limits.connections_per_address},
	};
	_Static_assert(sizeof keys / sizeof keys[0] <= SETTINGS_RESTART_MAX, "there is room for all");
	size_t count = 0;
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (!keys[i].same)
			ret_keys[count++] = keys[i].key;
	return count;
}

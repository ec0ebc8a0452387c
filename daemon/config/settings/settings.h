/* The daemon's own settings. Read-only once loaded (settings_load.h); a reload makes new ones. */
#ifndef NEL_CONFIG_SETTINGS_SETTINGS_H
#define NEL_CONFIG_SETTINGS_SETTINGS_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/network.h"
#include "config/plan/containers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTINGS_PATH_DEFAULT "/etc/nel-slurmd/nel-slurmd.yaml"

enum accounting_mode { ACCOUNTING_AUTO, ACCOUNTING_SACCT, ACCOUNTING_NONE };

struct settings_listen {
	bool is_unix;
	char *path;    /* of the unix socket */
	char *address; /* "127.0.0.1", "::1" */
	int port;      /* 0 lets the kernel choose */
};

struct settings_variable {
	char *name;
	char *value;
};

struct settings_cluster {
	char *name;
	char *hostname;
	char *address; /* what to connect to; equals hostname when not set */
	int port;
	char *known_hosts_file;
	bool identity_per_user;
	char *username;               /* NULL with per_user */
	char *key_file;               /* NULL with per_user, with an agent, and with credential_command */
	char *certificate_file;       /* of key_file, or of a key of the agent's; NULL: none */
	char *agent_socket;           /* of an ssh-agent; NULL: none */
	char *agent_key;              /* the public half of the only key of the agent that is to be used; NULL: any */
	char **credential_command;    /* hands out key and certificate: a program and its arguments; NULL: none */
	int64_t credential_timeout_s; /* 30: of the command */
	int max_sessions;
	int64_t poll_interval_s;
	enum accounting_mode accounting;
	enum containers containers;
	char *proxy_command; /* NULL: none */
	struct settings_variable *environment;
	size_t environment_count;
	struct settings_variable *paths; /* what ${site:NAME} stands for there: directories by names */
	size_t path_count;
	char **output_roots;        /* NULL-terminated; empty: anywhere */
	int64_t connect_timeout_s;  /* 15 */
	int64_t command_timeout_s;  /* 60: how long one remote command may take */
	int64_t idle_timeout_s;     /* 300: idle sessions are closed */
	int64_t absence_deadline_s; /* 300 */
	int64_t refusal_deadline_s; /* 86400: how long a refusal that may pass is waited out */
	int64_t results_wait_s;     /* 60: how long results.yml is looked for after a success */
	int64_t submitted_jobs;     /* of everybody in its Slurm at once; -1: no limit */
	bool draining; /* takes no new submissions: `drain` says so, or a reload no longer has it while jobs live */
	bool borrowed; /* its texts belong to the settings before, which had it last (config/settings/settings_reload.h)
			*/
};

/* What one person may have, and the weight of the person's turns. */
struct settings_person {
	char *name;             /* NULL: everybody else */
	int64_t active_jobs;    /* begun and not ended */
	int64_t submitted_jobs; /* in Slurm at once */
	int64_t weight;
};

/* GPU seconds that attempts may use in a month; above them jobs wait. */
struct settings_quota {
	char *name;    /* the person's, or of a label "KEY:VALUE" */
	int64_t gpu_s; /* -1: no limit */
};

#define SETTINGS_QUOTA_LABELS_MAX 64

struct settings_quotas {
	bool any;              /* else the rest means nothing */
	int64_t all_gpu_s;     /* of everybody together; -1: no limit */
	int64_t default_gpu_s; /* of each person who is not named; -1: no limit */
	struct settings_quota *users;
	size_t user_count;
	struct settings_quota *labels;
	size_t label_count;
};

/* Where webhooks may go. */
struct settings_webhooks {
	bool allow_private;             /* also to addresses that are not public */
	struct network_range *networks; /* to those of them that are in these */
	size_t network_count;
	bool allow_http;  /* without TLS */
	int64_t per_user; /* 20: how many one person may have */
};

#define SETTINGS_ROLES 3
extern const char *const settings_roles[SETTINGS_ROLES + 1]; /* by name, NULL-terminated */

#define SETTINGS_OIDC_ISSUER_MAX 512 /* bytes */

/* An issuer (OpenID Connect) whose bearer tokens are taken, and who its people are here. */
struct settings_oidc {
	char *issuer;                       /* as tokens and the discovery document spell it */
	char **audiences;                   /* a token is for one of these; NULL-terminated, not empty */
	char *client_id;                    /* nelctl's; NULL: no device flow */
	char **scopes;                      /* that nelctl asks for */
	bool id_token;                      /* nelctl sends the ID token, not the access token */
	char *ca_file;                      /* of the issuer's certificate; NULL: the system's */
	char *user_claim;                   /* whose value is the user's name here */
	char *user_domain;                  /* the value is NAME@user_domain; NULL: the name alone */
	bool create_users;                  /* on first sight; else only those that exist are let in */
	bool has_roles;                     /* the issuer says the role, else the user's own is it */
	char *role_claim;                   /* "groups"; by dots into objects */
	char **role_values[SETTINGS_ROLES]; /* as settings_roles; NULL-terminated */
	char *other_role;                   /* of those in none of the lists; NULL: they are not let in */
	int64_t leeway_s;
	int64_t jwks_cache_s;   /* after it the keys are fetched again */
	int64_t jwks_keep_s;    /* while that fails they hold so long */
	int64_t jwks_refetch_s; /* at most this often for a key that is not known */
	int64_t token_days;     /* how long a token lives that was made with one of the issuer's; 0: none is made */
};

struct settings {
	char *path; /* of the file */
	struct settings_listen *listen;
	size_t listen_count;
	int socket_mode;     /* of unix sockets: 0660 */
	char *tls_cert_file; /* NULL: no TLS */
	char *tls_key_file;
	bool insecure;
	char *database;
	char *master_key_file;
	bool master_key_is_own; /* a setting names it: no credential of the service manager's stands for it */
	char *groups_dir;       /* NULL: none */
	char *tasks_file;       /* NULL: the built-in catalogue */
	char *log_level;        /* "info" */
	struct {
		int64_t config_bytes;             /* 1048576 */
		int64_t active_jobs_per_user;     /* 200 */
		int64_t submitted_jobs_per_user;  /* 50 */
		int64_t connections_per_address;  /* 2000; open at once, of one TCP address */
		int64_t requests_per_second;      /* 50; of one token, account or address */
		int64_t failed_logins_per_minute; /* 20; of one address or account */
	} limits;
	struct settings_person *people; /* those who have limits or a weight of their own, by name */
	size_t person_count;
	struct settings_quotas quotas;
	char **allow_commands;       /* roles that may use pre_cmd and post_cmd; NULL-terminated; default: admin */
	char **allow_unlisted_tasks; /* roles; default: admin, user */
	char **allow_mounts[SETTINGS_ROLES]; /* settings_mount_prefixes() */
	char **proxy_accounts;               /* names or uids of a trusted proxy; NULL: none */
	char *proxy_user_header;             /* in which it names the user; NULL: no proxy */
	struct settings_oidc *oidc;          /* NULL: nobody's tokens but ours are taken */
	int64_t audit_keep_days;             /* 0: the audit is kept for ever */
	char **allowed_env;                  /* variables ${oc.env:...} may read; default none */
	char **cors_origins; /* whose pages browsers let read replies, or "*" alone; NULL-terminated; NULL: nobody's */
	struct settings_webhooks webhooks;
	int64_t secrets_keep_days; /* 7: after the end of an evaluation that did not succeed */
	int64_t logs_keep_bytes;   /* 262144: of each log of an ended job, its last ones; 0: none */
	int64_t samples_keep_rows; /* 200000: of an ended job, what samples came to; 0: none */
	bool metrics_public;       /* GET /metrics without credentials */
	int64_t events_keep_days;  /* older events are pruned; 0: never */
	int64_t
	    evaluations_keep_days; /* evaluations that ended longer ago are pruned with all that is theirs; 0: never */
	struct settings_cluster *clusters;
	size_t cluster_count;
};

void settings_free(struct settings *settings);
DEFINE_FREEP(struct settings, settings, settings_free)

/* The cluster with that name, or NULL. Of two with one name the first is the one for new submissions; the other is
 * drained. */
const struct settings_cluster *settings_cluster_by_name(const struct settings *settings, const char *name);
/* The cluster with that hostname, or NULL. */
const struct settings_cluster *settings_cluster_by_hostname(const struct settings *settings, const char *hostname);

/* The limits and the weight of those who have none of their own. */
struct settings_person settings_everybody(const struct settings *settings);

/* A person's limits and weight; for those without their own, everybody's. The name in it is borrowed. */
struct settings_person settings_person_of(const struct settings *settings, const char *name);

/* A person's quota in GPU seconds a month; -1: no limit. */
int64_t settings_quota_of(const struct settings *settings, const char *user);

/* The cluster as jobs of that identity know it (db/identities.h: a shared account, or "<person>/<account>"); NULL. */
const struct settings_cluster *settings_cluster_of(const struct settings *settings, const char *name,
						   const char *identity);

/* The directory of that name there, or NULL. Borrowed. */
const char *settings_cluster_path(const struct settings_cluster *cluster, const char *name);

/* Are the two reached in the same way: host, account, key, number of sessions? */
bool settings_cluster_same(const struct settings_cluster *a, const struct settings_cluster *b);

/* Are both the same issuer, reached in the same way? NULL: none. */
bool settings_oidc_same_issuer(const struct settings_oidc *a, const struct settings_oidc *b);

/* Under which a role's mounts have to lie, NULL-terminated; NULL: anywhere. Borrowed. */
char *const *settings_mount_prefixes(const struct settings *settings, const char *role);

#endif

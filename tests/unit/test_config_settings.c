/* The settings file: defaults, every kind of mistake with its line, the forms of addresses. */
#include "config/settings/settings_load.h"

#include "base/mem.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char cluster[] = "clusters:\n"
			      "  - name: alpha\n"
			      "    hostname: login.alpha.example\n"
			      "    identity: {username: svc, key_file: /etc/keys/alpha}\n";

static int load(const char *text, struct settings **ret_settings, struct problems *problems, struct nel_err *err)
{
	char path[] = "/tmp/test_settings_XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	int result = settings_load(path, ret_settings, problems, err);
	unlink(path);
	return result;
}

static void test_settings_load_one_cluster_gets_all_defaults(void **state)
{
	(void)state;
	struct nel_err err = {0};
	CLEANUP(settings_freep) struct settings *s = NULL;
	unsetenv("CREDENTIALS_DIRECTORY");
	if (load(cluster, &s, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(s->listen_count, 1);
	assert_true(s->listen[0].is_unix);
	assert_string_equal(s->listen[0].path, "/run/nel-slurmd/api.sock");
	assert_string_equal(s->database, "/var/lib/nel-slurmd/nel.db");
	assert_string_equal(s->master_key_file, "/etc/nel-slurmd/master.key");
	assert_string_equal(s->log_level, "info");
	assert_null(s->groups_dir);
	assert_null(s->tasks_file);
	assert_int_equal(s->limits.config_bytes, 1048576);
	assert_int_equal(s->limits.active_jobs_per_user, 200);
	assert_int_equal(s->limits.submitted_jobs_per_user, 50);
	assert_int_equal(s->audit_keep_days, 0);
	assert_int_equal(s->limits.requests_per_second, 50);
	assert_int_equal(s->limits.failed_logins_per_minute, 20);
	assert_null(s->proxy_user_header);
	assert_string_equal(s->allow_commands[0], "admin");
	assert_null(s->allow_commands[1]);
	assert_string_equal(s->allow_unlisted_tasks[1], "user");
	assert_null(s->allowed_env[0]);
	assert_false(s->webhooks.allow_private || s->webhooks.allow_http);
	assert_int_equal(s->webhooks.per_user, 20);
	assert_false(s->metrics_public);
	assert_int_equal(s->logs_keep_bytes, 262144);
	assert_int_equal(s->samples_keep_rows, 200000);
	assert_int_equal(s->events_keep_days, 0);
	assert_int_equal(s->evaluations_keep_days, 0);
	const struct settings_cluster *c = settings_cluster_by_name(s, "alpha");
	assert_non_null(c);
	assert_ptr_equal(settings_cluster_by_hostname(s, "login.alpha.example"), c);
	assert_null(settings_cluster_by_name(s, "beta"));
	assert_null(settings_cluster_by_hostname(s, "alpha"));
	assert_string_equal(c->address, "login.alpha.example");
	assert_int_equal(c->port, 22);
	assert_int_equal(c->max_sessions, 4);
	assert_int_equal(c->poll_interval_s, 30);
	assert_int_equal(c->accounting, ACCOUNTING_AUTO);
	assert_int_equal(c->containers, CONTAINERS_PYXIS);
	assert_false(c->identity_per_user);
	assert_string_equal(c->username, "svc");
	assert_string_equal(c->key_file, "/etc/keys/alpha");
	assert_null(c->proxy_command);
	assert_int_equal(c->environment_count, 0);
	assert_null(c->output_roots[0]);
	assert_int_equal(c->connect_timeout_s, 15);
	assert_int_equal(c->command_timeout_s, 60);
	assert_int_equal(c->idle_timeout_s, 300);
	assert_int_equal(c->absence_deadline_s, 300);
	assert_int_equal(c->refusal_deadline_s, 86400);
	assert_int_equal(c->submitted_jobs, -1);
	struct settings_person person = settings_person_of(s, "alice");
	assert_int_equal(person.active_jobs, 200);
	assert_int_equal(person.submitted_jobs, 50);
	assert_int_equal(person.weight, 1);
}

static void test_settings_load_every_key_is_read(void **state)
{
	(void)state;
	static const char text[] = "listen: [unix:/run/x.sock, 127.0.0.1:8990, '[::1]:0', 0.0.0.0:443, '[::1]:0']\n"
				   "tls: {cert_file: /c.pem, key_file: /k.pem}\n"
				   "database: /d.db\n"
				   "master_key_file: /m.key\n"
				   "groups_dir: /groups\n"
				   "tasks_file: /tasks.tsv\n"
				   "log_level: debug\n"
				   "limits: {config_bytes: 2048, active_jobs_per_user: 1, submitted_jobs_per_user: 2, "
				   "requests_per_second: 3, failed_logins_per_minute: 4, users: {zoe: {active_jobs: "
				   "7}, bob: {submitted_jobs: 8}}}\n"
				   "fair_share: {weights: {alice: 4, bob: 5}}\n"
				   "allow: {commands: [admin, user], unlisted_tasks: []}\n"
				   "allowed_env: [HOME, LANG]\n"
				   "audit: {keep_days: 7}\n"
				   "metrics: {public: true}\n"
				   "cors: {origins: ['https://dash.example', 'http://[::1]:80']}\n"
				   "logs: {keep_bytes: 1000}\n"
				   "samples: {keep_rows: 3000}\n"
				   "events: {keep_days: 7}\n"
				   "evaluations: {keep_days: 30}\n"
				   "trusted_proxy: {accounts: [www-data, 33], user_header: X-Remote-User}\n"
				   "webhooks: {allow_private: [10.0.0.0/8, '::1'], allow_http: true, per_user: 3}\n"
				   "clusters:\n"
				   "  - name: alpha\n"
				   "    hostname: login.alpha.example\n"
				   "    address: 127.0.0.1\n"
				   "    port: 2222\n"
				   "    known_hosts_file: /kh\n"
				   "    identity: per_user\n"
				   "    max_sessions: 2\n"
				   "    poll_interval_s: 1\n"
				   "    accounting: none\n"
				   "    containers: apptainer\n"
				   "    proxy_command: ssh -W %h:%p bastion\n"
				   "    environment: {SLURM_CONF: /etc/slurm.conf, N: 7}\n"
				   "    paths: {models: /shared/models, 'data.v2': /scratch/data}\n"
				   "    output_roots: [/shared, /scratch]\n"
				   "    connect_timeout_s: 2\n"
				   "    command_timeout_s: 3\n"
				   "    idle_timeout_s: 4\n"
				   "    absence_deadline_s: 5\n"
				   "    refusal_deadline_s: 604800\n"
				   "    submitted_jobs: 6\n";
	struct nel_err err = {0};
	CLEANUP(settings_freep) struct settings *s = NULL;
	if (load(text, &s, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(s->listen_count, 5);
	assert_string_equal(s->listen[0].path, "/run/x.sock");
	assert_false(s->listen[1].is_unix);
	assert_string_equal(s->listen[1].address, "127.0.0.1");
	assert_int_equal(s->listen[1].port, 8990);
	assert_string_equal(s->listen[2].address, "::1");
	assert_int_equal(s->listen[2].port, 0);
	assert_string_equal(s->listen[3].address, "0.0.0.0");
	assert_string_equal(s->tls_cert_file, "/c.pem");
	assert_string_equal(s->tls_key_file, "/k.pem");
	assert_string_equal(s->master_key_file, "/m.key");
	assert_string_equal(s->groups_dir, "/groups");
	assert_string_equal(s->tasks_file, "/tasks.tsv");
	assert_string_equal(s->log_level, "debug");
	assert_int_equal(s->audit_keep_days, 7);
	assert_int_equal(s->limits.requests_per_second, 3);
	assert_int_equal(s->limits.failed_logins_per_minute, 4);
	assert_string_equal(s->proxy_user_header, "X-Remote-User");
	assert_string_equal(s->proxy_accounts[1], "33");
	assert_string_equal(s->allow_commands[1], "user");
	assert_null(s->allow_unlisted_tasks[0]);
	assert_string_equal(s->allowed_env[1], "LANG");
	assert_true(s->metrics_public);
	assert_string_equal(s->cors_origins[0], "https://dash.example");
	assert_string_equal(s->cors_origins[1], "http://[::1]:80");
	assert_null(s->cors_origins[2]);
	assert_int_equal(s->logs_keep_bytes, 1000);
	assert_int_equal(s->samples_keep_rows, 3000);
	assert_int_equal(s->events_keep_days, 7);
	assert_int_equal(s->evaluations_keep_days, 30);
	assert_false(s->webhooks.allow_private);
	assert_int_equal(s->webhooks.network_count, 2);
	assert_true(s->webhooks.allow_http);
	assert_int_equal(s->webhooks.per_user, 3);
	const struct settings_cluster *c = &s->clusters[0];
	assert_string_equal(c->address, "127.0.0.1");
	assert_int_equal(c->port, 2222);
	assert_true(c->identity_per_user);
	assert_null(c->username);
	assert_int_equal(c->accounting, ACCOUNTING_NONE);
	assert_int_equal(c->containers, CONTAINERS_APPTAINER);
	assert_string_equal(c->proxy_command, "ssh -W %h:%p bastion");
	assert_int_equal(c->environment_count, 2);
	assert_string_equal(c->environment[1].value, "7");
	assert_int_equal(c->path_count, 2);
	assert_string_equal(settings_cluster_path(c, "models"), "/shared/models");
	assert_string_equal(settings_cluster_path(c, "data.v2"), "/scratch/data");
	assert_null(settings_cluster_path(c, "model"));
	assert_string_equal(c->output_roots[1], "/scratch");
	assert_int_equal(c->absence_deadline_s, 5);
	assert_int_equal(c->refusal_deadline_s, 604800);
	assert_int_equal(c->submitted_jobs, 6);
	static const struct {
		const char *name;
		int active;
		int submitted;
		int weight;
	} people[] = {{"zoe", 7, 2, 1}, {"bob", 1, 8, 5}, {"alice", 1, 2, 4}, {"else", 1, 2, 1}};
	for (size_t i = 0; i < sizeof people / sizeof people[0]; i++) {
		struct settings_person person = settings_person_of(s, people[i].name);
		assert_int_equal(person.active_jobs, people[i].active);
		assert_int_equal(person.submitted_jobs, people[i].submitted);
		assert_int_equal(person.weight, people[i].weight);
	}
}

static const struct {
	const char *text;
	const char *pointer;
	int line; /* 0: any */
	const char *message;
} wrong[] = {
    {"databse: /x\n", "/databse", 1, "did you mean 'database'"},
    {"\nlimits:\n  config_byte: 5\n", "/limits/config_byte", 3, "did you mean 'config_bytes'"},
    {"limits: {config_bytes: 0}\n", "/limits/config_bytes", 1, "integer from"},
    {"limits: {config_bytes: 1M}\n", "/limits/config_bytes", 1, "integer from"},
    {"limits: 5\n", "/limits", 1, "mapping"},
    {"limits: {users: {Al: {active_jobs: 1}}}\n", "/limits/users/Al", 1, "no user's name"},
    {"limits: {users: {al: 5}}\n", "/limits/users/al", 1, "mapping of active_jobs"},
    {"limits: {users: {al: {active_job: 5}}}\n", "/limits/users/al/active_job", 1, "did you mean 'active_jobs'"},
    {"limits: {users: {al: {submitted_jobs: 0}}}\n", "/limits/users/al/submitted_jobs", 1, "integer from 1"},
    {"fair_share: {weight: {al: 2}}\n", "/fair_share/weight", 1, "did you mean 'weights'"},
    {"fair_share: {weights: {al: 0}}\n", "/fair_share/weights/al", 1, "integer from 1"},
    {"fair_share: {weights: {al: 0.5}}\n", "/fair_share/weights/al", 1, "integer from 1"},
    {"fair_share: {weights: {'': 2}}\n", "/fair_share/weights/", 1, "no user's name"},
    {"clusters: [{name: a, hostname: a, identity: per_user, submitted_jobs: 0}]\n", "/clusters/0/submitted_jobs", 1,
     "integer from 1"},
    {"quotas: {user: {al: {gpu_hours: 1}}}\n", "/quotas/user", 1, "did you mean 'users'"},
    {"quotas: {default: 5}\n", "/quotas/default", 1, "gpu_hours"},
    {"quotas: {default: {gpu_hours: -1}}\n", "/quotas/default/gpu_hours", 1, "integer from 0"},
    {"quotas: {all: {gpu_hours: 1, per: week}}\n", "/quotas/all/per", 1, "month"},
    {"quotas: {users: {Bad Name: {gpu_hours: 1}}}\n", "/quotas/users/Bad Name", 1, "no user's name"},
    {"allowed_env: [HOME, FOO=1]\n", "/allowed_env/1", 1, "no variable's name"},
    {"allowed_env: [1A]\n", "/allowed_env/0", 1, "no variable's name"},
    {"listen: ['127.0.0.1:80', '127.0.0.1:81', '127.0.0.1:80']\n", "/listen/2", 1, "twice"},
    {"listen: ['unix:/a', 'unix:/b', 'unix:/a']\n", "/listen/2", 1, "twice"},
    {"quotas: {labels: {team: {gpu_hours: 1}}}\n", "/quotas/labels/team", 1, "KEY:VALUE"},
    {"quotas: {labels: {':x': {gpu_hours: 1}}}\n", "/quotas/labels/:x", 1, "KEY:VALUE"},
    {"database: nel.db\n", "/database", 1, "absolute"},
    {"groups_dir: ../groups\n", "/groups_dir", 1, "absolute"},
    {"master_key_file: key\n", "/master_key_file", 1, "absolute"},
    {"log_level: loud\n", "/log_level", 1, "warning"},
    {"socket_mode: '0606x'\n", "/socket_mode", 1, "octal"},
    {"socket_mode: '0777'\n", "/socket_mode", 1, "octal"},
    {"socket_mode: '0066'\n", "/socket_mode", 1, "octal"},
    {"socket_mode: '666'\n", "/socket_mode", 1, "octal"},
    {"listen: 0.0.0.0:80\n", "/listen", 1, "loopback"},
    {"listen: ['[::]:80']\n", "/listen/0", 1, "loopback"},
    {"listen: [host.example:80]\n", "/listen/0", 1, "loopback"},
    {"listen: 8990\n", "/listen", 1, "unix:/path"},
    {"listen: 127.0.0.1\n", "/listen", 1, "unix:/path"},
    {"listen: 127.0.0.1:65536\n", "/listen", 1, "unix:/path"},
    {"listen: '::1:80'\n", "/listen", 1, "unix:/path"},
    {"listen: '[127.0.0.1]:80'\n", "/listen", 1, "unix:/path"},
    {"listen: unix:api.sock\n", "/listen", 1, "absolute"},
    {"listen: []\n", "/listen", 1, "at least one"},
    {"tls: {cert_file: /c}\n", "/tls/key_file", 1, "Missing mandatory value: tls.key_file"},
    {"webhooks: {allow_private: [10.0.0.1/8]}\n", "/webhooks/allow_private/0", 1, "10.0.0.0/8"},
    {"webhooks: {allow_private: 10.0.0.0/8}\n", "/webhooks/allow_private", 1, "true or false"},
    {"events: {keep_days: 0}\n", "/events/keep_days", 1, "integer from 1"},
    {"evaluations: {keep_day: 5}\n", "/evaluations/keep_day", 1, "did you mean 'keep_days'"},
    {"metrics: {open: true}\n", "/metrics/open", 1, "open"},
    {"cors: {origin: [https://a]}\n", "/cors/origin", 1, "did you mean 'origins'"},
    {"cors: {origins: ['https://a', '*']}\n", "/cors/origins/1", 1, "stands alone"},
    {"cors: {origins: [https://a/]}\n", "/cors/origins/0", 1, "nothing behind"},
    {"cors: {origins: [HTTPS://a]}\n", "/cors/origins/0", 1, "lower case"},
    {"cors: {origins: ['https://']}\n", "/cors/origins/0", 1, "https://host"},
    {"webhooks: {allow_https: true}\n", "/webhooks/allow_https", 1, "did you mean 'allow_http'"},
    {"insecure: maybe\n", "/insecure", 1, "true or false"},
    {"allow: {commands: [root]}\n", "/allow/commands", 1, "Unknown role 'root'"},
    {"allow: {command: [admin]}\n", "/allow/command", 1, "did you mean 'commands'"},
    {"clusters: {alpha: {}}\n", "/clusters", 1, "must be a list"},
    {"clusters: [alpha]\n", "/clusters/0", 1, "mapping"},
    {"clusters: [{hostname: a, identity: per_user}]\n", "/clusters/0/name", 1,
     "Missing mandatory value: clusters[0].name"},
    {"clusters: [{name: a, identity: per_user}]\n", "/clusters/0/hostname", 1, "Missing mandatory"},
    {"clusters: [{name: a, hostname: a}]\n", "/clusters/0/identity", 1, "Missing mandatory"},
    {"clusters: [{name: a, hostname: a, identity: shared}]\n", "/clusters/0/identity", 1, "per_user"},
    {"clusters: [{name: a, hostname: a, identity: {username: u}}]\n", "/clusters/0/identity/key_file", 1, "Missing"},
    {"clusters: [{name: a, hostname: a, identity: {username: u, key_file: k}}]\n", "/clusters/0/identity/key_file", 1,
     "absolute"},
    {"clusters: [{name: a, hostname: a, identity: {username: u, agent: 7}}]\n", "/clusters/0/identity/agent", 1,
     "path"},
    {"clusters: [{name: a, hostname: a, identity: {username: u, agent: true}}]\n", "/clusters/0/identity/agent", 1,
     "SSH_AUTH_SOCK"},
    {"clusters: [{name: a, hostname: a, identity: {username: u, agent: /s, key_file: /k}}]\n",
     "/clusters/0/identity/key_file", 1, "either"},
    {"clusters: [{name: a, hostname: a, identity: {username: u, credential_command: [/x], certificate_file: /c}}]\n",
     "/clusters/0/identity/certificate_file", 1, "goes with key_file or agent"},
    {"clusters: [{name: a, hostname: a, identity: {username: u, credential_command: [/x], key_file: /k}}]\n",
     "/clusters/0/identity/credential_command", 1, "or in key_file"},
    {"clusters: [{name: a, hostname: a, identity: {username: u, credential_command: [/x], agent: /s}}]\n",
     "/clusters/0/identity/credential_command", 1, "or with the agent"},
    {"clusters: [{name: a, hostname: a, identity: {username: u, credential_command: /x y}}]\n",
     "/clusters/0/identity/credential_command", 1, "a list of a program and its arguments"},
    {"clusters: [{name: a, hostname: a, identity: {username: u, credential_command: []}}]\n",
     "/clusters/0/identity/credential_command", 1, "a list of a program and its arguments"},
    {"clusters: [{name: a, hostname: a, identity: {username: u, credential_command: [hand-out, x]}}]\n",
     "/clusters/0/identity/credential_command", 1, "absolute"},
    {"clusters: [{name: a, hostname: a, identity: {username: u, credential_command: [/x, {}]}}]\n",
     "/clusters/0/identity/credential_command/1", 1, "text"},
    {"clusters: [{name: a, hostname: a, identity: {username: u, credential_command: [/x], credential_timeout_s: "
     "301}}]\n",
     "/clusters/0/identity/credential_timeout_s", 1, "integer from 1 to 300"},
    {"clusters: [{name: a, hostname: a, identity: {username: u, key_file: /k, credential_timeout_s: 3}}]\n",
     "/clusters/0/identity/credential_timeout_s", 1, "goes with credential_command"},
    {"clusters: [{name: a, hostname: a, identity: {username: u, key_file: /k, certificate_file: c}}]\n",
     "/clusters/0/identity/certificate_file", 1, "absolute"},
    {"clusters: [{name: a, hostname: a, identity: {username: u, key_file: /k, agent_key: x}}]\n",
     "/clusters/0/identity/agent", 1, "goes with"},
    {"clusters: [{name: a, hostname: a, identity: {username: u/v, key_file: /k}}]\n", "/clusters/0/identity", 1, "'/'"},
    {"clusters: [{name: a, hostname: a, identity: per_user, drain: 7}]\n", "/clusters/0/drain", 1, "true"},
    {"clusters: [{name: a/b, hostname: a, identity: per_user}]\n", "/clusters/0/name", 1, "letters"},
    {"clusters: [{name: a, hostname: u@a, identity: per_user}]\n", "/clusters/0/hostname", 1, "without user"},
    {"clusters: [{name: a, hostname: a, address: -oProxyCommand=x, identity: per_user}]\n", "/clusters/0/address", 1,
     "one word"},
    {"clusters: [{name: a, hostname: a, identity: per_user, acounting: none}]\n", "/clusters/0/acounting", 1,
     "did you mean 'accounting'"},
    {"clusters: [{name: a, hostname: a, identity: per_user, accounting: yes}]\n", "/clusters/0/accounting", 1, "text"},
    {"clusters: [{name: a, hostname: a, identity: per_user, containers: singularity}]\n", "/clusters/0/containers", 1,
     "stands for Singularity"},
    {"clusters: [{name: a, hostname: a, identity: per_user, port: 0}]\n", "/clusters/0/port", 1, "integer from 1"},
    {"clusters: [{name: a, hostname: a, identity: per_user, poll_interval_s: 0}]\n", "/clusters/0/poll_interval_s", 1,
     "integer from 1"},
    {"clusters: [{name: a, hostname: a, identity: per_user, output_roots: [shared]}]\n", "/clusters/0/output_roots", 1,
     "absolute"},
    {"clusters: [{name: a, hostname: a, identity: per_user, paths: {m: models}}]\n", "/clusters/0/paths/m", 1,
     "absolute"},
    {"clusters: [{name: a, hostname: a, identity: per_user, paths: {a b: /m}}]\n", "/clusters/0/paths/a b", 1,
     "name of a path"},
    {"clusters: [{name: a, hostname: a, identity: per_user, environment: {A-B: x}}]\n", "/clusters/0/environment/A-B",
     1, "variable name"},
    {"clusters:\n- {name: a, hostname: a, identity: per_user}\n- {name: a, hostname: b, identity: per_user}\n",
     "/clusters/1/name", 3, "two clusters called a"},
    {"clusters:\n- {name: a, hostname: a, identity: per_user}\n- {name: b, hostname: a, identity: per_user}\n",
     "/clusters/1/hostname", 3, "two clusters with the hostname a"},
    {"- listen\n", "", 0, "mapping"},
    {"a: 1\na: 2\n", NULL, 2, ""},
    {"listen: [\n", NULL, 0, ""},
};

static void test_settings_load_each_mistake_names_key_and_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct nel_err err = {0};
		struct problems problems = {0};
		struct settings *s = NULL;
		if (load(wrong[i].text, &s, &problems, &err) == 0)
			fail_msg("accepted: %s", wrong[i].text);
		assert_null(s);
		assert_int_equal(err.kind, NEL_INVALID);
		assert_true(problems.count > 0);
		const struct problem *p = &problems.items[0];
		if ((wrong[i].pointer != NULL && strcmp(p->pointer, wrong[i].pointer) != 0) ||
		    (wrong[i].line != 0 && p->line != wrong[i].line) || strstr(p->message, wrong[i].message) == NULL)
			fail_msg("%s gives %s line %d: %s", wrong[i].text, p->pointer, p->line, p->message);
		if (wrong[i].line != 0) {
			CLEANUP(mem_freep) char *place = mem_printf(":%d: ", wrong[i].line);
			if (strstr(err.msg, place) == NULL)
				fail_msg("no line in: %s", err.msg);
		}
		problems_done(&problems);
	}
}

static void test_settings_load_several_mistakes_are_all_named(void **state)
{
	(void)state;
	struct nel_err err = {0};
	struct problems problems = {0};
	struct settings *s = NULL;
	assert_int_equal(
	    load("x: 1\ndatabase: y\nlimits: {requests_per_second: no}\nclusters: [{name: a}]\n", &s, &problems, &err),
	    -1);
	assert_int_equal(problems.count, 5);
	problems_done(&problems);
}

static void test_settings_load_insecure_allows_plain_network(void **state)
{
	(void)state;
	struct nel_err err = {0};
	CLEANUP(settings_freep) struct settings *s = NULL;
	assert_int_equal(load("listen: 0.0.0.0:80\ninsecure: true\n", &s, NULL, &err), 0);
	assert_true(s->insecure);
	assert_int_equal(s->cluster_count, 0);
}

static void test_settings_load_master_key_comes_from_credentials_directory(void **state)
{
	(void)state;
	char directory[] = "/tmp/test_settings_XXXXXX";
	assert_non_null(mkdtemp(directory));
	CLEANUP(mem_freep) char *path = mem_printf("%s/master.key", directory);
	struct nel_err err = {0};
	CLEANUP(settings_freep) struct settings *without = NULL;
	CLEANUP(settings_freep) struct settings *with = NULL;
	CLEANUP(settings_freep) struct settings *named = NULL;
	setenv("CREDENTIALS_DIRECTORY", directory, 1);
	assert_int_equal(load(cluster, &without, NULL, &err), 0);
	assert_string_equal(without->master_key_file, "/etc/nel-slurmd/master.key");
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(load(cluster, &with, NULL, &err), 0);
	assert_string_equal(with->master_key_file, path);
	assert_int_equal(load("master_key_file: /own.key\n", &named, NULL, &err), 0);
	assert_string_equal(named->master_key_file, "/own.key");
	/* The shipped settings under the shipped unit. */
	CLEANUP(settings_freep) struct settings *shipped = NULL;
	assert_int_equal(settings_load(NEL_SOURCE_DIR "/examples/nel-slurmd.yaml", &shipped, NULL, &err), 0);
	assert_string_equal(shipped->master_key_file, path);
	unsetenv("CREDENTIALS_DIRECTORY");
	unlink(path);
	rmdir(directory);
}

static void test_settings_load_no_file_is_not_found(void **state)
{
	(void)state;
	struct nel_err err = {0};
	struct settings *s = NULL;
	assert_int_equal(settings_load("/nonexistent/x.yaml", &s, NULL, &err), -1);
	assert_int_equal(err.kind, NEL_NOTFOUND);
}

static void test_settings_load_agent_and_drain(void **state)
{
	(void)state;
	struct nel_err err = {0};
	CLEANUP(settings_freep) struct settings *s = NULL;
	setenv("SSH_AUTH_SOCK", "/run/agent.sock", 1);
	int rc = load("clusters:\n  - {name: a, hostname: a, drain: true, identity: {username: u, agent: true}}\n"
		      "  - {name: b, hostname: b, identity: {username: u, agent: /s, agent_key: ssh-ed25519 AAAA}}\n",
		      &s, NULL, &err);
	unsetenv("SSH_AUTH_SOCK");
	if (rc != 0)
		fail_msg("%s", err.msg);
	assert_string_equal(s->clusters[0].agent_socket, "/run/agent.sock");
	assert_null(s->clusters[0].key_file);
	assert_true(s->clusters[0].draining);
	assert_string_equal(s->clusters[1].agent_socket, "/s");
	assert_string_equal(s->clusters[1].agent_key, "ssh-ed25519 AAAA");
	assert_false(s->clusters[1].draining);
	assert_false(settings_cluster_same(&s->clusters[0], &s->clusters[1]));
}

static void test_settings_load_certificate(void **state)
{
	(void)state;
	struct nel_err err = {0};
	CLEANUP(settings_freep) struct settings *s = NULL;
	if (load("clusters:\n  - {name: a, hostname: a, identity: {username: u, key_file: /k, certificate_file: /c}}\n"
		 "  - {name: b, hostname: b, identity: {username: u, key_file: /k}}\n"
		 "  - {name: c, hostname: c, identity: {username: u, agent: /s, certificate_file: /c}}\n",
		 &s, NULL, &err) != 0)
		fail_msg("%s", err.msg);
	assert_string_equal(s->clusters[0].certificate_file, "/c");
	assert_null(s->clusters[1].certificate_file);
	assert_string_equal(s->clusters[2].certificate_file, "/c");
	assert_false(settings_cluster_same(&s->clusters[0], &s->clusters[1]));
}

static void test_settings_load_credential_command(void **state)
{
	(void)state;
	static const char *const others[] = {"[/x, -v, 7]", "[/x, -v]", "[/x, -v, 7], credential_timeout_s: 5"};
	struct nel_err err = {0};
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		CLEANUP(settings_freep) struct settings *s = NULL;
		CLEANUP(mem_freep)
		char *text =
		    mem_printf("clusters:\n"
			       "  - {name: a, hostname: a, identity: {username: u, credential_command: [/x, -v, 7]}}\n"
			       "  - {name: b, hostname: a2, identity: {username: u, credential_command: %s}}\n",
			       others[i]);
		if (load(text, &s, NULL, &err) != 0)
			fail_msg("%s", err.msg);
		assert_string_equal(s->clusters[0].credential_command[2], "7");
		assert_null(s->clusters[0].credential_command[3]);
		assert_int_equal(s->clusters[0].credential_timeout_s, 30);
		assert_null(s->clusters[0].key_file);
		free(s->clusters[1].hostname);
		free(s->clusters[1].address);
		s->clusters[1].hostname = mem_strdup("a");
		s->clusters[1].address = mem_strdup("a");
		assert_int_equal(settings_cluster_same(&s->clusters[0], &s->clusters[1]), (int)(i == 0));
	}
}

int main(void)
{
	unsetenv("SSH_AUTH_SOCK");
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_settings_load_one_cluster_gets_all_defaults),
	    cmocka_unit_test(test_settings_load_every_key_is_read),
	    cmocka_unit_test(test_settings_load_each_mistake_names_key_and_line),
	    cmocka_unit_test(test_settings_load_several_mistakes_are_all_named),
	    cmocka_unit_test(test_settings_load_insecure_allows_plain_network),
	    cmocka_unit_test(test_settings_load_master_key_comes_from_credentials_directory),
	    cmocka_unit_test(test_settings_load_no_file_is_not_found),
	    cmocka_unit_test(test_settings_load_agent_and_drain),
	    cmocka_unit_test(test_settings_load_certificate),
	    cmocka_unit_test(test_settings_load_credential_command),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The daemon's settings file: reading, defaults, checks. Whether the files that it names exist is main's business. */
#include "config/settings/settings_load.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "config/plan/plan_env.h"
#include "config/settings/settings_cluster.h"
#include "config/settings/settings_oidc.h"
#include "config/settings/settings_people.h"
#include "config/settings/settings_quotas.h"
#include "config/settings/settings_watch.h"
#include "config/text/reader.h"
#include "config/text/yaml_json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#define FILE_MAX (1024 * 1024) /* bytes */
#define LISTEN_MAX 16
#define UNIX_PATH_MAX 107 /* sockaddr_un's sun_path without its NUL (unix(7)) */
#define DATABASE_DEFAULT "/var/lib/nel-slurmd/nel.db"
#define KEY_FILE_DEFAULT "/etc/nel-slurmd/master.key"
#define SOCKET_DEFAULT "/run/nel-slurmd/api.sock"

static const char *const top_keys[] = {
    "listen", "tls",     "insecure",    "database", "master_key_file", "groups_dir", "tasks_file",  "log_level",
    "limits", "allow",   "allowed_env", "audit",    "trusted_proxy",   "fair_share", "webhooks",    "metrics",
    "logs",   "samples", "secrets",     "events",   "evaluations",     "clusters",   "socket_mode", "oidc",
    "cors",   "quotas",  NULL};
static const char *const tls_keys[] = {"cert_file", "key_file", NULL};
static const char *const limit_keys[] = {"config_bytes",
					 "active_jobs_per_user",
					 "submitted_jobs_per_user",
					 "requests_per_second",
					 "connections_per_address",
					 "failed_logins_per_minute",
					 "users",
					 NULL};
static const char *const proxy_keys[] = {"accounts", "user_header", NULL};
static const char *const audit_keys[] = {"keep_days", NULL};
static const char *const allow_keys[] = {"commands", "unlisted_tasks", "mounts", NULL};

static int read_file(const char *path, char **ret_text, size_t *ret_size, struct nel_err *err)
{
	CLEANUP(file_closep) FILE *file = fopen(path, "re");
	if (file == NULL)
		return err_sys(err, errno == ENOENT ? NEL_NOTFOUND : NEL_INTERNAL, errno, "cannot open %s", path);
	CLEANUP(mem_freep) char *text = mem_calloc(1, FILE_MAX + 1);
	size_t size = fread(text, 1, FILE_MAX + 1, file);
	if (ferror(file))
		return err_sys(err, NEL_INTERNAL, errno, "cannot read %s", path);
	if (size > FILE_MAX)
		return err_set(err, NEL_INVALID, "%s is larger than %d bytes", path, FILE_MAX);
	*ret_text = TAKE(text);
	*ret_size = size;
	return 0;
}

/* Splits "host:port" or "[v6]:port". */
static bool split_address(const char *text, char **ret_host, int *ret_port)
{
	const char *colon = strrchr(text, ':');
	long long port;
	if (colon == NULL || colon == text || !str_to_int(colon + 1, 0, 65535, &port) || colon[1] == '-')
		return false;
	CLEANUP(mem_freep) char *host = mem_strndup(text, (size_t)(colon - text));
	size_t size = strlen(host);
	if (host[0] == '[') {
		struct in6_addr v6;
		if (size < 3 || host[size - 1] != ']')
			return false;
		host[size - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, &v6) != 1)
			return false;
		*ret_host = mem_strdup(host + 1);
	} else {
		if (strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") != size)
			return false;
		*ret_host = TAKE(host);
	}
	*ret_port = (int)port;
	return true;
}

static bool is_loopback(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return strcmp(host, "localhost") == 0;
}

static void add_unix(const struct reader *r, struct settings *s, const char *path, const char *pointer)
{
	if (!reader_check_path(r, path, pointer, ""))
		return;
	if (strlen(path) > UNIX_PATH_MAX)
		reader_error(r, pointer, "The path of a unix socket has at most %d bytes", UNIX_PATH_MAX);
	else
		s->listen[s->listen_count++] = (struct settings_listen){.is_unix = true, .path = mem_strdup(path)};
}

/* Octal digits, as chmod(1) takes them; in quotes, for a bare 0660 is a decimal number in YAML 1.2. */
static void read_socket_mode(const struct reader *r, const json_t *root, struct settings *s)
{
	CLEANUP(mem_freep) char *text = reader_text_or(r, root, "", "socket_mode", READER_TOKEN, "0660");
	char *end = NULL;
	long mode = text != NULL && text[0] == '0' ? strtol(text, &end, 8) : 0;
	if (end == NULL || *end != '\0' || (mode & ~0666L) != 0 || (mode & 0600) != 0600)
		reader_error(r, "/socket_mode",
			     "socket_mode is \"0660\" (the daemon's group), \"0666\" (every account), or "
			     "another such octal mode with 06 for the owner, in quotes");
	else
		s->socket_mode = (int)mode;
}

static bool is_same(const struct settings_listen *a, const struct settings_listen *b)
{
	return a->is_unix == b->is_unix && str_equal(a->path, b->path) && str_equal(a->address, b->address) &&
	       a->port == b->port && (a->is_unix || a->port != 0); /* port 0 is another one each time */
}

static void check_listen_once(const struct reader *r, const struct settings *s, const char *pointer)
{
	for (size_t i = 0; i + 1 < s->listen_count; i++)
		if (is_same(&s->listen[i], &s->listen[s->listen_count - 1])) {
			reader_error(r, pointer, "listen has this address twice");
			return;
		}
}

static void add_listen(const struct reader *r, struct settings *s, const json_t *value, const char *pointer)
{
	char *host = NULL;
	int port;
	const char *text = json_string_value(value);
	if (s->listen_count >= LISTEN_MAX) {
		reader_error(r, pointer, "More than %d addresses to listen on", LISTEN_MAX);
	} else if (text != NULL && str_starts_with(text, "unix:")) {
		add_unix(r, s, text + strlen("unix:"), pointer);
	} else if (text == NULL || !split_address(text, &host, &port)) {
		reader_error(r, pointer, "An address is unix:/path, host:port, or [v6 address]:port");
	} else {
		if (!is_loopback(host) && s->tls_cert_file == NULL && !s->insecure)
			reader_error(
			    r, pointer,
			    "%s is not a loopback address, and tokens would cross the network in the clear: set "
			    "tls, or insecure: true",
			    text);
		s->listen[s->listen_count++] = (struct settings_listen){.address = host, .port = port};
	}
}

/* A list, or one address; without any, the unix socket. After read_tls(). */
static void read_listen(const struct reader *r, const json_t *root, struct settings *s)
{
	const json_t *given = reader_get(root, "listen");
	size_t i;
	json_t *value;
	s->listen = mem_calloc(LISTEN_MAX, sizeof *s->listen);
	read_socket_mode(r, root, s);
	if (given == NULL)
		add_unix(r, s, SOCKET_DEFAULT, "");
	else if (!json_is_array(given))
		add_listen(r, s, given, "/listen");
	else if (json_array_size(given) == 0)
		reader_error(r, "/listen", "listen must name at least one address");
	json_array_foreach((json_t *)given, i, value) {
		CLEANUP(mem_freep) char *pointer = reader_join_index("/listen", i);
		size_t before = s->listen_count;
		add_listen(r, s, value, pointer);
		if (s->listen_count > before)
			check_listen_once(r, s, pointer);
	}
}

static void read_tls(const struct reader *r, const json_t *root, struct settings *s)
{
	const json_t *tls = reader_object(r, root, "", "tls");
	s->insecure = reader_bool(r, root, "", "insecure", false);
	reader_keys(r, tls, "/tls", tls_keys, true);
	if (tls == NULL || json_object_size(tls) == 0)
		return;
	s->tls_cert_file = settings_path(r, tls, "/tls", "cert_file", true);
	s->tls_key_file = settings_path(r, tls, "/tls", "key_file", true);
}

static void read_limits(const struct reader *r, const json_t *root, struct settings *s)
{
	const json_t *limits = reader_object(r, root, "", "limits");
	reader_keys(r, limits, "/limits", limit_keys, true);
	s->limits.config_bytes = reader_int(r, limits, "/limits", "config_bytes", 1024, 64 * 1024 * 1024, 1048576);
	s->limits.active_jobs_per_user = reader_int(r, limits, "/limits", "active_jobs_per_user", 1, 1000000, 200);
	s->limits.submitted_jobs_per_user = reader_int(r, limits, "/limits", "submitted_jobs_per_user", 1, 1000000, 50);
	s->limits.connections_per_address =
	    reader_int(r, limits, "/limits", "connections_per_address", 1, 1000000, 2000);
	s->limits.requests_per_second = reader_int(r, limits, "/limits", "requests_per_second", 1, 1000000, 50);
	s->limits.failed_logins_per_minute =
	    reader_int(r, limits, "/limits", "failed_logins_per_minute", 1, 1000000, 20);
}

static void read_audit(const struct reader *r, const json_t *root, struct settings *s)
{
	const json_t *audit = reader_object(r, root, "", "audit");
	reader_keys(r, audit, "/audit", audit_keys, true);
	s->audit_keep_days = reader_int(r, audit, "/audit", "keep_days", 1, 36500, 0);
}

/* After read_listen(). */
static void read_proxy(const struct reader *r, const json_t *root, struct settings *s)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
	const json_t *proxy = reader_object(r, root, "", "trusted_proxy");
	bool on_unix = false;
	if (proxy == NULL)
		return;
	reader_keys(r, proxy, "/trusted_proxy", proxy_keys, true);
	s->proxy_accounts = reader_list(r, proxy, "/trusted_proxy", "accounts", READER_TOKEN, NULL);
	s->proxy_user_header = reader_text_or(r, proxy, "/trusted_proxy", "user_header", READER_LINE, "");
	for (size_t i = 0; i < s->listen_count; i++)
		on_unix = on_unix || s->listen[i].is_unix;
	if (!on_unix)
		reader_error(r, "/trusted_proxy",
			     "trusted_proxy: a proxy is known by its account on a unix socket, and listen has none");
	if (s->proxy_accounts == NULL || s->proxy_accounts[0] == NULL)
		reader_error(r, "/trusted_proxy", "trusted_proxy.accounts must name the accounts that the proxy has");
	const char *header = s->proxy_user_header != NULL ? s->proxy_user_header : "";
	if (header[0] == '\0' || header[strspn(header, letters)] != '\0' || strcasecmp(header, "authorization") == 0)
		reader_error(r, "/trusted_proxy",
			     "trusted_proxy.user_header must be the name of a header, such as X-Remote-User");
}

static char **read_roles(const struct reader *r, const json_t *allow, const char *key, const char *const *fallback)
{
	CLEANUP(mem_freep) char *pointer = reader_join("/allow", key);
	char **list = reader_list(r, allow, "/allow", key, READER_TOKEN, fallback);
	for (char **role = list; *role != NULL; role++)
		if (!str_in(*role, settings_roles))
			reader_error(r, pointer, "Unknown role '%s': admin, user, and viewer are the roles", *role);
	return list;
}

/* allow.mounts: {ROLE: [PREFIX, ...]}. A role that is not there may mount what it likes. */
static void read_mounts(const struct reader *r, const json_t *allow, struct settings *s)
{
	const json_t *mounts = reader_object(r, allow, "/allow", "mounts");
	reader_keys(r, mounts, "/allow/mounts", settings_roles, true);
	for (size_t i = 0; i < SETTINGS_ROLES; i++) {
		if (json_object_get(mounts, settings_roles[i]) == NULL)
			continue;
		CLEANUP(mem_freep) char *pointer = reader_join("/allow/mounts", settings_roles[i]);
		s->allow_mounts[i] = reader_list(r, mounts, "/allow/mounts", settings_roles[i], READER_ANY, NULL);
		for (char **prefix = s->allow_mounts[i]; *prefix != NULL; prefix++)
			reader_check_path(r, *prefix, pointer, "");
	}
}

/* Others are never there, and ${oc.env:...} would say that they are not allowed. */
static void check_variables(const struct reader *r, char *const *names)
{
	for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
		CLEANUP(mem_freep) char *pointer = reader_join_index("/allowed_env", i);
		if (!plan_env_is_name(names[i]))
			reader_error(r, pointer,
				     "'%.64s' is no variable's name: letters, digits and '_', no digit first",
				     names[i]);
	}
}

static void read_allow(const struct reader *r, const json_t *root, struct settings *s)
{
	static const char *const admins[] = {"admin", NULL};
	static const char *const people[] = {"admin", "user", NULL};
	const json_t *allow = reader_object(r, root, "", "allow");
	reader_keys(r, allow, "/allow", allow_keys, true);
	s->allow_commands = read_roles(r, allow, "commands", admins);
	s->allow_unlisted_tasks = read_roles(r, allow, "unlisted_tasks", people);
	read_mounts(r, allow, s);
	s->allowed_env = reader_list(r, root, "", "allowed_env", READER_TOKEN, NULL);
	check_variables(r, s->allowed_env);
}

/* The file of the setting, else systemd's credential (systemd.exec(5), LoadCredential=), else the usual place. */
static char *find_master_key(const struct reader *r, const json_t *root)
{
	char *path = settings_path(r, root, "", "master_key_file", false);
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	if (path != NULL || reader_get(root, "master_key_file") != NULL)
		return path;
	if (directory != NULL && directory[0] == '/') {
		CLEANUP(mem_freep) char *credential = mem_printf("%s/master.key", directory);
		if (access(credential, R_OK) == 0)
			return TAKE(credential);
	}
	return mem_strdup(KEY_FILE_DEFAULT);
}

static void read_files(const struct reader *r, const json_t *root, struct settings *s)
{
	enum log_level level;
	s->database = settings_path(r, root, "", "database", false);
	if (s->database == NULL)
		s->database = mem_strdup(DATABASE_DEFAULT);
	s->master_key_file = find_master_key(r, root);
	s->master_key_is_own = reader_get(root, "master_key_file") != NULL;
	s->groups_dir = settings_path(r, root, "", "groups_dir", false);
	s->tasks_file = settings_path(r, root, "", "tasks_file", false);
	s->log_level = reader_text_or(r, root, "", "log_level", READER_LINE, "info");
	if (s->log_level != NULL && log_level_from_name(s->log_level, &level) < 0)
		reader_error(r, "/log_level", "log_level is error, warning, info, or debug");
}

static int read_root(const struct reader *r, const json_t *root, struct settings *s, struct nel_err *err)
{
	if (json_is_object(root)) {
		reader_keys(r, root, "", top_keys, true);
		read_tls(r, root, s);
		read_listen(r, root, s);
		read_files(r, root, s);
		read_limits(r, root, s);
		settings_read_people(r, root, s);
		settings_read_quotas(r, root, s);
		read_allow(r, root, s);
		settings_read_watch(r, root, s);
		read_audit(r, root, s);
		read_proxy(r, root, s);
		settings_read_oidc(r, root, s);
		settings_read_clusters(r, root, s);
	} else {
		reader_error(r, "", "The settings file is a mapping of keys such as listen and clusters");
	}
	if (r->errors->count == 0)
		return 0;
	const struct problem *first = &r->errors->items[0];
	if (first->line > 0)
		return err_set(err, NEL_INVALID, "%s:%d: %s", s->path, first->line, first->message);
	return err_set(err, NEL_INVALID, "%s: %s", s->path, first->message);
}

int settings_load(const char *path, struct settings **ret_settings, struct problems *problems, struct nel_err *err)
{
	CLEANUP(mem_freep) char *text = NULL;
	CLEANUP(json_freep) json_t *root = NULL;
	CLEANUP(source_map_freep) struct source_map *map = NULL;
	CLEANUP(settings_freep) struct settings *s = mem_calloc(1, sizeof *s);
	struct problems own = {0};
	struct problems *errors = problems != NULL ? problems : &own;
	size_t size = 0;
	if (read_file(path, &text, &size, err) < 0)
		return -1;
	s->path = mem_strdup(path);
	int result;
	if (yaml_json_parse(text, size, false, &root, &map, errors, err) < 0) {
		int line = errors->count > 0 ? errors->items[0].line : 0;
		result = line > 0 ? err_prefix(err, "%s:%d", path, line) : err_prefix(err, "%s", path);
	} else {
		const struct reader r = {.map = map, .errors = errors};
		result = read_root(&r, root, s, err);
	}
	problems_done(&own);
	if (result == 0)
		*ret_settings = TAKE(s);
	return result;
}

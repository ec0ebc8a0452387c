/* `nel-slurmd check`: the settings, and whether the daemon's account can do with the files that they name what it has
 * to. */
#include "api/http/proxy.h"
#include "api/http/server.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "base/str_list.h"
#include "commands_internal.h"
#include "config/compose/groups.h"
#include "config/plan/catalogue.h"
#include "config/settings/settings_load.h"
#include "db/look.h"
#include "remote/credentials.h"
#include "service/oidc/oidc_fetch.h"
#include "ssh/host_key.h"
#include "ssh/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SERVICE_ACCOUNT "nel-slurmd" /* of systemd/nel-slurmd.service */

struct check {
	const char *settings_path;
	const char *account;           /* whose access was looked at */
	struct secret_key *master_key; /* NULL: it could not be read */
	int faults;
};

static void tell(struct check *c, const char *what, const char *path, int sys, const char *hint)
{
	if (sys == EACCES)
		fprintf(
		    stderr,
		    "%s: %s %s: %s for the account %s; chown or chmod gives it the right, here and to the directories "
		    "above\n",
		    c->settings_path, what, path, strerror(sys), c->account);
	else
		fprintf(stderr, "%s: %s %s: %s%s\n", c->settings_path, what, path, strerror(sys), hint);
	c->faults++;
}

/* mode: R_OK, W_OK, X_OK of access(2), with the rights that the process has now; R_OK and X_OK together are for a
 * directory. Was all well? Without a path it is not: there is nothing to look into. */
static bool need(struct check *c, const char *what, const char *path, int mode, const char *hint)
{
	struct stat st;
	if (path == NULL)
		return false;
	bool known = stat(path, &st) == 0;
	bool wants_directory = (mode & (R_OK | X_OK)) == (R_OK | X_OK);
	if (known && (S_ISDIR(st.st_mode) != 0) != wants_directory)
		tell(c, what, path, wants_directory ? ENOTDIR : EISDIR, "");
	else if (faccessat(AT_FDCWD, path, mode, AT_EACCESS) != 0)
		tell(c, what, path, errno, hint);
	else
		return true;
	return false;
}

/* Of a file that can be read, and that the daemon could not use. */
static void tell_useless(struct check *c, const char *where, const struct nel_err *err)
{
	fprintf(stderr, "%s: %s%s\n", c->settings_path, where, err->msg);
	c->faults++;
}

/* SQLite makes one of an empty file. */
static bool is_database(const char *path)
{
	char start[16];
	CLEANUP(file_closep) FILE *file = fopen(path, "re");
	size_t size = file == NULL ? 0 : fread(start, 1, sizeof start, file);
	return size == 0 || (size == sizeof start && memcmp(start, "SQLite format 3", sizeof start) == 0);
}

static void look_into_database(struct check *c, const struct settings *settings)
{
	const char *database = settings->database;
	struct nel_err err = {0};
	if (!is_database(database)) {
		err_set(&err, NEL_INVALID, "the database %s is not one of SQLite's", database);
	} else if (db_look(database, c->master_key, &err) == 0) {
		return;
	} else if (err.kind == NEL_DENIED) {
		err_set(&err, NEL_DENIED, "%s is not the master key of %s", settings->master_key_file, database);
	} else if (err.kind == NEL_DB) {
		err_prefix(&err, "the database %s cannot be used", database);
	}
	tell_useless(c, "", &err);
}

/* After the master key. */
static void check_database(struct check *c, const struct settings *settings)
{
	const char *database = settings->database;
	CLEANUP(mem_freep) char *copy = mem_strdup(database);
	const char *dir = dirname(copy);
	need(c, "the directory of the database", dir, R_OK | W_OK | X_OK, "; SQLite makes files beside the database");
	if (faccessat(AT_FDCWD, dir, X_OK, AT_EACCESS) != 0)
		return;
	if (need(c, "the database", database, R_OK | W_OK, "; `nel-slurmd migrate`, as the daemon's account, makes it"))
		look_into_database(c, settings);
}

static void check_master_key(struct check *c, const struct settings *settings)
{
	struct nel_err err = {0};
	if (!need(c, "the master key", settings->master_key_file, R_OK, "; `nel-slurmd keygen` makes it"))
		return;
	/* Who may read the file that systemd hands over is not the daemon's matter. */
	if (secret_key_load(settings->master_key_file, &c->master_key, &err) != 0 &&
	    (settings->master_key_is_own || err.kind != NEL_DENIED))
		tell_useless(c, "", &err);
}

static void check_ssh_key(struct check *c, const struct settings_cluster *cluster)
{
	CLEANUP(mem_freep) char *what = mem_printf("cluster %s: the SSH key", cluster->name);
	CLEANUP(mem_freep) char *where = mem_printf("cluster %s: ", cluster->name);
	struct nel_err err = {0};
	char *text = NULL;
	size_t size = 0;
	if (!need(c, what, cluster->key_file, R_OK, "; ssh-keygen -t ed25519 -N '' -f FILE makes one"))
		return;
	if (key_file_load(cluster->key_file, &text, &size, &err) == 0)
		secret_free(text, size);
	else
		tell_useless(c, where, &err);
}

static void check_known_hosts(struct check *c, const struct settings_cluster *cluster)
{
	CLEANUP(mem_freep) char *what = mem_printf("cluster %s: the known_hosts file", cluster->name);
	CLEANUP(mem_freep) char *where = mem_printf("cluster %s: ", cluster->name);
	struct nel_err err = {0};
	if (need(c, what, cluster->known_hosts_file, R_OK, "; ssh-keyscan gives its lines, to be compared") &&
	    host_key_check_listed(cluster->known_hosts_file, cluster->address, cluster->port, &err) != 0)
		tell_useless(c, where, &err);
}

static void check_tls(struct check *c, const struct settings *settings)
{
	struct nel_err err = {0};
	bool usable = need(c, "the TLS certificate", settings->tls_cert_file, R_OK, "");
	if (need(c, "the TLS key", settings->tls_key_file, R_OK, "") && usable &&
	    api_server_check_tls(settings, &err) != 0)
		tell_useless(c, "", &err);
}

static void check_catalogue(struct check *c, const struct settings *settings)
{
	CLEANUP(catalogue_freep) struct catalogue *catalogue = NULL;
	struct nel_err err = {0};
	if (need(c, "tasks_file", settings->tasks_file, R_OK, "") &&
	    catalogue_load(settings->tasks_file, &catalogue, &err) != 0)
		tell_useless(c, "tasks_file: ", &err);
}

/* The site's own. */
static void check_groups(struct check *c, const char *dir)
{
	if (!need(c, "groups_dir", dir, R_OK | X_OK, ""))
		return;
	CLEANUP(str_list_freep) char **options = groups_options(dir, "");
	for (char **option = options; *option != NULL; option++) {
		CLEANUP(group_file_done) struct group_file file = {0};
		struct nel_err err = {0};
		if (groups_is_site_file(dir, *option) && groups_load(dir, *option, &file, &err) != 0)
			tell_useless(c, "groups_dir: ", &err);
	}
}

static void check_proxy(struct check *c, const struct settings *settings)
{
	struct proxy proxy;
	struct nel_err err = {0};
	if (proxy_init(settings, &proxy, &err) != 0)
		tell_useless(c, "", &err);
}

static void check_files(struct check *c, const struct settings *settings)
{
	for (size_t i = 0; i < settings->cluster_count; i++) {
		const struct settings_cluster *cluster = &settings->clusters[i];
		CLEANUP(mem_freep) char *certificate = mem_printf("cluster %s: the certificate", cluster->name);
		CLEANUP(mem_freep) char *command = mem_printf("cluster %s: credential_command", cluster->name);
		check_ssh_key(c, cluster);
		need(c, certificate, cluster->certificate_file, R_OK, "");
		if (cluster->credential_command != NULL)
			need(c, command, cluster->credential_command[0], X_OK, "");
		check_known_hosts(c, cluster);
	}
	if (settings->master_key_is_own)
		check_master_key(c, settings);
	check_tls(c, settings);
	if (settings->oidc != NULL)
		need(c, "oidc.ca_file", settings->oidc->ca_file, R_OK, "");
	check_groups(c, settings->groups_dir);
	check_proxy(c, settings);
	check_catalogue(c, settings);
	check_database(c, settings);
}

/* Whose access is looked at: who was named; the service's account, where root checks the service's own settings. */
static const struct passwd *find_account(const struct command_line *line)
{
	if (line->user != NULL)
		return getpwnam(line->user);
	bool service = geteuid() == 0 && strcmp(line->settings_path, SETTINGS_PATH_DEFAULT) == 0;
	return service ? getpwnam(SERVICE_ACCOUNT) : NULL;
}

static const char *own_name(void)
{
	const struct passwd *self = getpwuid(geteuid());
	return self == NULL ? "of this process" : self->pw_name;
}

/* There is no way back, and none is wanted. */
static int become(const struct passwd *account)
{
	if (account->pw_uid == geteuid())
		return 0;
	setenv("HOME", account->pw_dir, 1); /* as systemd sets them for the daemon */
	setenv("USER", account->pw_name, 1);
	setenv("LOGNAME", account->pw_name, 1);
	return initgroups(account->pw_name, account->pw_gid) == 0 && setgid(account->pw_gid) == 0 &&
		       setuid(account->pw_uid) == 0
		   ? 0
		   : -1;
}

static void tell_certificate(struct check *c, const struct settings_cluster *cluster,
			     const struct certificate *certificate)
{
	char at[CLOCK_RFC3339_SIZE];
	size_t i;
	const json_t *warning;
	json_array_foreach(certificate->warnings, i, warning) {
		fprintf(stderr, "%s: cluster %s: warning: the certificate: %s\n", c->settings_path, cluster->name,
			json_string_value(warning));
	}
	if (certificate->expires_at != 0)
		printf("%s: cluster %s: the certificate is good until %s\n", c->settings_path, cluster->name,
		       clock_rfc3339(certificate->expires_at, at));
}

/* The certificates, by being read, and the commands that hand them out, by being run as the daemon's account. */
static void check_certificates(struct check *c, const struct settings *settings)
{
	for (size_t i = 0; i < settings->cluster_count; i++) {
		const struct settings_cluster *cluster = &settings->clusters[i];
		CLEANUP(certificate_done) struct certificate certificate = {0};
		struct nel_err err = {0};
		int rc = 0;
		if (cluster->credential_command != NULL)
			rc = credentials_try_command(cluster, &certificate, &err);
		else if (cluster->certificate_file != NULL)
			rc = credentials_read_file(cluster, &certificate, &err);
		if (rc == 0) {
			tell_certificate(c, cluster, &certificate);
			continue;
		}
		fprintf(stderr, "%s: cluster %s: %s\n", c->settings_path, cluster->name, err.msg);
		c->faults++;
	}
}

/* Everything that the settings name; what is wrong is on standard error. */
static int check_access(const struct command_line *line, const struct settings *settings)
{
	struct nel_err err = {0};
	struct check c = {.settings_path = line->settings_path, .account = own_name()};
	const struct passwd *account = find_account(line);
	if (line->user != NULL && account == NULL) {
		err_set(&err, NEL_NOTFOUND, "--user %s: there is no such account on this machine", line->user);
		command_fail(&err);
		return -1;
	}
	if (!settings->master_key_is_own) /* systemd reads it as root and hands it over (LoadCredential) */
		check_master_key(&c, settings);
	if (account != NULL && become(account) != 0) {
		secret_key_free(c.master_key);
		err_set(&err, NEL_DENIED, "only root can check as another account");
		command_fail(&err);
		return -1;
	}
	c.account = own_name();
	check_files(&c, settings);
	secret_key_free(c.master_key);
	if (c.faults == 0)
		check_certificates(&c, settings);
	return c.faults == 0 ? 0 : -1;
}

/* Reached from here, and as it is to be. */
static int check_issuer(const struct command_line *line, const struct settings *settings)
{
	struct nel_err err = {0};
	size_t keys = 0;
	bool device_flow = false;
	const struct settings_oidc *oidc = settings->oidc;
	if (oidc == NULL)
		return 0;
	if (oidc_fetch_once(oidc, &keys, &device_flow, &err) != 0) {
		fprintf(stderr, "%s: oidc: the issuer cannot be used: %s\n", line->settings_path, err.msg);
		return -1;
	}
	if (oidc->client_id != NULL && !device_flow) {
		fprintf(
		    stderr,
		    "%s: oidc.client_id: the issuer offers no device flow (RFC 8628), which nelctl login needs: turn "
		    "it on there, or leave the setting out\n",
		    line->settings_path);
		return -1;
	}
	printf("%s: the issuer %s: ok, %zu key%s\n", line->settings_path, oidc->issuer, keys, keys == 1 ? "" : "s");
	return 0;
}

int command_check(const struct command_line *line)
{
	struct nel_err err = {0};
	CLEANUP(problems_done) struct problems problems = {0};
	CLEANUP(settings_freep) struct settings *settings = NULL;
	if (line->arg_count != 0)
		return command_wrong_usage("check takes no words; --config FILE names the settings");
	if (settings_load(line->settings_path, &settings, &problems, &err) != 0) {
		if (problems.count == 0)
			return command_fail(&err);
		command_print_problems(line->settings_path, "", &problems);
		return 1;
	}
	if (!line->syntax_only && (check_access(line, settings) != 0 || check_issuer(line, settings) != 0))
		return 1;
	printf("%s: ok, %zu cluster%s\n", line->settings_path, settings->cluster_count,
	       settings->cluster_count == 1 ? "" : "s");
	return 0;
}

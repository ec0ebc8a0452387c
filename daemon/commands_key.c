/* The offline command that changes the master key.
 *
 * At every instant one of two files opens the store: FILE, or FILE.new, in which the next key stands until it has
 * FILE's name. The order: FILE.new is durable; one transaction seals everything anew, and with it a value that tells
 * which key the store has; FILE gets a second name, which keeps it for backups; FILE.new takes its name. Ended anywhere
 * between, the command goes on from there when it is run again. */
#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"
#include "commands_internal.h"
#include "config/settings/settings_load.h"
#include "database_lock.h"
#include "db/key_rotation.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct rotation {
	const char *path; /* of the key file */
	char *next_path;
	struct secret_key *key;
	struct secret_key *next;
	struct db *db;
	int lock_fd;
};

/* The next key's file belongs to whom the present one belongs to. */
static int make_next(const struct rotation *r, struct nel_err *err)
{
	struct stat st;
	if (stat(r->path, &st) != 0)
		return err_sys(err, NEL_INTERNAL, errno, "%s", r->path);
	if (secret_keygen(r->next_path, err) != 0)
		return -1;
	if (chown(r->next_path, st.st_uid, st.st_gid) != 0)
		return err_sys(err, NEL_INTERNAL, errno, "cannot give %s to the owner of %s", r->next_path, r->path);
	return 0;
}

/* An interrupted run left no whole key. That nothing is sealed with it shows only when the present key opens the store.
 */
static int drop_broken_next(const struct rotation *r, struct nel_err *err)
{
	if (key_rotation_check_key(r->db, r->key, err) != 0)
		return err_prefix(err, "%s does not open the store, and %s is no whole key: neither is touched",
				  r->path, r->next_path);
	if (unlink(r->next_path) != 0)
		return err_sys(err, NEL_INTERNAL, errno, "cannot remove %s", r->next_path);
	return 0;
}

/* The one that an interrupted run left, or a new one. */
static int load_next(struct rotation *r, struct nel_err *err)
{
	if (secret_key_load(r->next_path, &r->next, err) == 0)
		return 0;
	if (err->kind != NEL_NOTFOUND && err->kind != NEL_INVALID)
		return -1;
	if (err->kind == NEL_INVALID && drop_broken_next(r, err) != 0)
		return -1;
	return make_next(r, err) != 0 ? -1 : secret_key_load(r->next_path, &r->next, err);
}

static int seal_anew(struct rotation *r, struct nel_err *err)
{
	int64_t count = 0;
	CLEANUP(db_rollbackp) struct db *tx = r->db;
	if (db_begin(r->db, err) != 0 || key_rotation_change_key(r->db, r->key, r->next, &count, err) != 0)
		return -1;
	fault_point("rotate-sealed");
	if (db_commit(r->db, err) != 0)
		return -1;
	printf("sealed %" PRId64 " value%s anew\n", count, count == 1 ? "" : "s");
	return 0;
}

static int change_store(struct rotation *r, struct nel_err *err)
{
	/* First whether the present key fits: a store that has no value to compare with takes the first one asked. */
	if (key_rotation_check_key(r->db, r->key, err) == 0)
		return seal_anew(r, err);
	if (err->kind != NEL_DENIED)
		return -1;
	if (key_rotation_check_key(r->db, r->next, err) != 0)
		return err_prefix(err, "neither %s nor %s is its key", r->path, r->next_path);
	puts("the store was sealed anew before; going on from there");
	return 0;
}

static bool same_file(const char *a, const char *b)
{
	struct stat first;
	struct stat second;
	return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
	       first.st_ino == second.st_ino;
}

static int change_files(struct rotation *r, struct nel_err *err)
{
	char stamp[32];
	time_t now = (time_t)clock_now_s();
	struct tm tm;
	gmtime_r(&now, &tm);
	strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
	CLEANUP(mem_freep) char *kept = mem_printf("%s.old-%s", r->path, stamp);
	if (link(r->path, kept) != 0 && !(errno == EEXIST && same_file(r->path, kept)))
		return err_sys(err, NEL_INTERNAL, errno, "cannot keep the old key as %s", kept);
	if (file_sync_name(kept, err) != 0)
		return -1;
	fault_point("rotate-kept");
	if (rename(r->next_path, r->path) != 0)
		return err_sys(err, NEL_INTERNAL, errno, "cannot put %s in the place of %s", r->next_path, r->path);
	fault_point("rotate-renamed");
	if (file_sync_name(r->path, err) != 0)
		return -1;
	printf("%s has the new key; backups from before need %s: remove it with the last of them\n", r->path, kept);
	return 0;
}

static int rotate(struct rotation *r, const struct command_line *line, const struct settings *settings,
		  struct nel_err *err)
{
	if (database_lock(settings->database, &r->lock_fd, err) != 0)
		return err_prefix(err, "stop the daemon first");
	if (secret_key_load(r->path, &r->key, err) != 0 || db_migrate(settings->database, NULL, NULL, err) != 0 ||
	    db_open(settings->database, &r->db, err) != 0 || load_next(r, err) != 0)
		return -1;
	fault_point("rotate-made");
	command_leave_audit(line, settings, r->db);
	if (change_store(r, err) != 0)
		return -1;
	fault_point("rotate-committed");
	/* What the old key opens is not to be found in unused pages either. */
	if (db_scrub(r->db, err) != 0)
		return err_prefix(err, "what was sealed with the old key cannot be removed from unused pages");
	fault_point("rotate-scrubbed");
	return change_files(r, err);
}

int command_rotate_key(const struct command_line *line)
{
	struct nel_err err = {0};
	CLEANUP(settings_freep) struct settings *settings = NULL;
	if (line->arg_count != 0)
		return command_wrong_usage("wanted: rotate-key");
	if (settings_load(line->settings_path, &settings, NULL, &err) != 0)
		return command_fail(&err);
	struct rotation r = {.path = settings->master_key_file,
			     .next_path = mem_printf("%s.new", settings->master_key_file),
			     .lock_fd = -1};
	int rc = rotate(&r, line, settings, &err);
	db_close(r.db);
	secret_key_free(r.key);
	secret_key_free(r.next);
	free(r.next_path);
	fd_closep(&r.lock_fd);
	return rc == 0 ? 0 : command_fail(&err);
}

/* What the offline commands say in the same words, and the store as all of them open it. */
#include "commands_internal.h"

#include "config/settings/settings_load.h"
#include "db/audit.h"

#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

int command_fail(const struct nel_err *err)
{
	fprintf(stderr, "nel-slurmd: %s\n", err->msg);
	return 1;
}

int command_wrong_usage(const char *text)
{
	fprintf(stderr, "nel-slurmd: %s\nnel-slurmd --help tells the usage\n", text);
	return 2;
}

void command_print_problems(const char *file, const char *label, const struct problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		const struct problem *p = &problems->items[i];
		fputs(file, stderr);
		if (p->line > 0)
			fprintf(stderr, ":%d:%d", p->line, p->column);
		fprintf(stderr, ": %s%s%s%s\n", label, p->pointer, p->pointer[0] != '\0' ? ": " : "", p->message);
	}
}

void command_leave_audit(const struct command_line *line, const struct settings *settings, struct db *db)
{
	static char account[64];
	static char action[64];
	static struct audit_entry entry;
	const struct passwd *person = getpwuid(getuid());
	snprintf(account, sizeof account, "%s", person != NULL ? person->pw_name : "unknown");
	snprintf(action, sizeof action, "%s%s%s", line->command, line->arg_count > 0 ? " " : "",
		 line->arg_count > 0 ? line->args[0] : "");
	entry = (struct audit_entry){.actor = account,
				     .source = "command line",
				     .action = action,
				     .keep_s = settings->audit_keep_days * 24 * 3600};
	audit_attach(db, &entry);
}

int command_open_database(const struct command_line *line, struct db **ret_db, struct nel_err *err)
{
	CLEANUP(settings_freep) struct settings *settings = NULL;
	if (settings_load(line->settings_path, &settings, NULL, err) != 0 ||
	    db_migrate(settings->database, NULL, NULL, err) != 0)
		return -1;
	CLEANUP(db_freep) struct db *db = NULL;
	if (db_open(settings->database, &db, err) != 0)
		return -1;
	command_leave_audit(line, settings, db);
	*ret_db = TAKE(db);
	return 0;
}

/* What the files of offline commands share. */
#ifndef NEL_COMMANDS_INTERNAL_H
#define NEL_COMMANDS_INTERNAL_H

#include "command_line.h"
#include "config/settings/settings.h"
#include "config/text/problem.h"
#include "db/db.h"

/* Says what is wrong on standard error; the exit status. */
int command_fail(const struct nel_err *err);
int command_wrong_usage(const char *text);

/* One a line, as compilers do: "<file>:<line>:<column>: <label><pointer>: <message>". */
void command_print_problems(const char *file, const char *label, const struct problems *problems);

/* commands_check.c: the settings and the files that they name. */
int command_check(const struct command_line *line);

/* The database of the settings, brought to this version. */
int command_open_database(const struct command_line *line, struct db **ret_db, struct nel_err *err);

/* What the command first changes in the store stands in the audit, by the account that runs it. */
void command_leave_audit(const struct command_line *line, const struct settings *settings, struct db *db);

/* commands_people.c: users and tokens. */
int command_user(const struct command_line *line);
int command_token(const struct command_line *line);

/* commands_key.c: another master key. */
int command_rotate_key(const struct command_line *line);

#endif

/* The offline commands about users and tokens. They ask nobody for permission: who may write the database may do all.
 */
#include "base/clock.h"
#include "base/str.h"
#include "commands_internal.h"
#include "service/people.h"

#include <inttypes.h>
#include <string.h>

#define LIST_PAGE 500

static const struct actor offline = {.name = "offline", .role = ROLE_ADMIN};

static int parse_role(const char *text, enum role *ret_role)
{
	if (text != NULL && role_from_name(text, ret_role) == 0)
		return 0;
	return command_wrong_usage("--role is one of admin, user, viewer");
}

/* Seconds, or a number with m, h or d behind it. */
static int parse_life(const char *text, int64_t *ret_life_s)
{
	static const struct {
		char unit;
		int seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	long long number = 0;
	size_t size = strlen(text);
	char digits[24];
	int seconds = 1;
	bool ok = size > 0 && size < sizeof digits;
	if (ok)
		memcpy(digits, text, size + 1);
	for (size_t i = 0; ok && i < sizeof units / sizeof units[0]; i++) {
		if (digits[size - 1] == units[i].unit) {
			seconds = units[i].seconds;
			digits[size - 1] = '\0';
			break;
		}
	}
	if (!ok || !str_to_int(digits, 1, TOKEN_LIFE_MAX_S / seconds, &number))
		return command_wrong_usage("--expires-in takes seconds, or a number with m, h or d, as 90d; 10 years "
					   "at most");
	*ret_life_s = number * seconds;
	return 0;
}

static int make_token(const struct command_line *line, struct db *db, const char *name, bool has_role, enum role role,
		      int64_t life_s, struct nel_err *err)
{
	struct new_token token = {0};
	const struct token_request wanted = {.user = name,
					     .has_role = has_role,
					     .role = role,
					     .label = line->label != NULL ? line->label : "",
					     .expires_at = life_s == 0 ? 0 : clock_now_s() + life_s};
	if (strlen(wanted.label) > TOKEN_LABEL_MAX)
		return err_set(err, NEL_INVALID, "--label has at most %d bytes", TOKEN_LABEL_MAX);
	if (service_make_token(db, &offline, &wanted, &token, err) != 0)
		return -1;
	puts(token.secret);
	secret_wipe(token.secret);
	return 0;
}

static int add_user(const struct command_line *line)
{
	struct nel_err err = {0};
	struct user_row user;
	bool clash = false;
	const struct idempotency once = {0};
	CLEANUP(db_freep) struct db *db = NULL;
	enum role role = ROLE_USER;
	int rc = parse_role(line->role, &role);
	if (rc != 0)
		return rc;
	if (command_open_database(line, &db, &err) != 0)
		return command_fail(&err);
	if (service_add_user(db, &offline, line->args[1], role, &once, &user, &clash, &err) != 0) {
		if (err.kind == NEL_CONFLICT)
			err_set(&err, NEL_CONFLICT, "the user %s exists already; `token create %s` makes another token",
				line->args[1], line->args[1]);
		return command_fail(&err);
	}
	return make_token(line, db, user.name, false, ROLE_USER, 0, &err) == 0 ? 0 : command_fail(&err);
}

static int list_users(const struct command_line *line)
{
	struct nel_err err = {0};
	CLEANUP(db_freep) struct db *db = NULL;
	size_t count = 0;
	if (command_open_database(line, &db, &err) != 0)
		return command_fail(&err);
	for (int64_t offset = 0; offset == 0 || count == LIST_PAGE; offset += LIST_PAGE) {
		CLEANUP(mem_freep) struct user_row *rows = NULL;
		char made[CLOCK_RFC3339_SIZE];
		if (users_list(db, offset, LIST_PAGE, &rows, &count, &err) != 0)
			return command_fail(&err);
		for (size_t i = 0; i < count; i++)
			printf("%-6s  %s  %s\n", role_name(rows[i].role), clock_rfc3339(rows[i].created_at, made),
			       rows[i].name);
	}
	return 0;
}

static int set_role(const struct command_line *line)
{
	struct nel_err err = {0};
	struct user_row user;
	CLEANUP(db_freep) struct db *db = NULL;
	enum role role = ROLE_USER;
	int rc = parse_role(line->role, &role);
	if (rc != 0)
		return rc;
	const struct user_change change = {.has_role = true, .role = role};
	if (command_open_database(line, &db, &err) != 0 ||
	    service_change_user(db, line->args[1], &change, &user, &err) != 0)
		return command_fail(&err);
	printf("%s: %s\n", user.name, role_name(user.role));
	return 0;
}

static int remove_user(const struct command_line *line)
{
	struct nel_err err = {0};
	CLEANUP(db_freep) struct db *db = NULL;
	if (command_open_database(line, &db, &err) != 0 || service_remove_user(db, line->args[1], &err) != 0)
		return command_fail(&err);
	printf("removed %s\n", line->args[1]);
	return 0;
}

int command_user(const struct command_line *line)
{
	const char *what = line->arg_count > 0 ? line->args[0] : "";
	if (strcmp(what, "add") == 0 && line->arg_count == 2)
		return add_user(line);
	if (strcmp(what, "list") == 0 && line->arg_count == 1)
		return list_users(line);
	if (strcmp(what, "set-role") == 0 && line->arg_count == 2)
		return set_role(line);
	if (strcmp(what, "remove") == 0 && line->arg_count == 2)
		return remove_user(line);
	return command_wrong_usage("wanted: user add NAME --role ROLE, user list, user set-role NAME --role ROLE, or "
				   "user remove NAME");
}

static int create_token(const struct command_line *line)
{
	struct nel_err err = {0};
	CLEANUP(db_freep) struct db *db = NULL;
	enum role role = ROLE_USER;
	int64_t life_s = 0;
	int rc = line->role == NULL ? 0 : parse_role(line->role, &role);
	if (rc == 0 && line->expires_in != NULL)
		rc = parse_life(line->expires_in, &life_s);
	if (rc != 0)
		return rc;
	if (command_open_database(line, &db, &err) != 0)
		return command_fail(&err);
	if (make_token(line, db, line->args[1], line->role != NULL, role, life_s, &err) == 0)
		return 0;
	if (err.kind == NEL_NOTFOUND)
		err_set(&err, NEL_NOTFOUND, "there is no user %s; `user add` makes one", line->args[1]);
	return command_fail(&err);
}

static const char *time_or_dash(int64_t at_s, char buf[CLOCK_RFC3339_SIZE])
{
	return at_s == 0 ? "-" : clock_rfc3339(at_s, buf);
}

static void print_token(const struct token_row *row)
{
	char made[CLOCK_RFC3339_SIZE];
	char used[CLOCK_RFC3339_SIZE];
	char ends[CLOCK_RFC3339_SIZE];
	bool over = row->revoked_at != 0 || (row->expires_at != 0 && row->expires_at <= clock_now_s());
	printf("%-5" PRId64 "  %-7s  %-6s  %-20s  %-20s  %-20s  %s%s%s\n", row->id,
	       row->revoked_at != 0 ? "revoked"
	       : over               ? "expired"
				    : "active",
	       role_name(row->role), time_or_dash(row->created_at, made), time_or_dash(row->last_used_at, used),
	       time_or_dash(row->expires_at, ends), row->user, row->label[0] != '\0' ? "  " : "", row->label);
}

static int list_tokens(const struct command_line *line)
{
	struct nel_err err = {0};
	CLEANUP(db_freep) struct db *db = NULL;
	const char *user = line->arg_count == 2 ? line->args[1] : NULL;
	int64_t before_id = 0;
	size_t count = LIST_PAGE;
	struct user_row known;
	if (command_open_database(line, &db, &err) != 0 || (user != NULL && users_get(db, user, &known, &err) != 0))
		return command_fail(&err);
	printf("%-5s  %-7s  %-6s  %-20s  %-20s  %-20s  %s\n", "ID", "STATE", "ROLE", "MADE", "LAST USED", "EXPIRES",
	       "USER  LABEL");
	while (count == LIST_PAGE) {
		CLEANUP(mem_freep) struct token_row *rows = NULL;
		if (tokens_list(db, user, before_id, LIST_PAGE, &rows, &count, &err) != 0)
			return command_fail(&err);
		for (size_t i = 0; i < count; i++)
			print_token(&rows[i]);
		before_id = count > 0 ? rows[count - 1].id : 0;
	}
	return 0;
}

static int revoke_token(const struct command_line *line)
{
	struct nel_err err = {0};
	CLEANUP(db_freep) struct db *db = NULL;
	long long id = 0;
	if (!str_to_int(line->args[1], 1, INT64_MAX, &id))
		return command_wrong_usage("wanted: token revoke ID, as `token list` shows it");
	if (command_open_database(line, &db, &err) != 0 || service_revoke_token(db, &offline, id, &err) != 0)
		return command_fail(&err);
	printf("revoked %lld\n", id);
	return 0;
}

int command_token(const struct command_line *line)
{
	const char *what = line->arg_count > 0 ? line->args[0] : "";
	if (strcmp(what, "create") == 0 && line->arg_count == 2)
		return create_token(line);
	if (strcmp(what, "list") == 0 && line->arg_count <= 2)
		return list_tokens(line);
	if (strcmp(what, "revoke") == 0 && line->arg_count == 2)
		return revoke_token(line);
	return command_wrong_usage("wanted: token create NAME [--role ROLE] [--label TEXT] [--expires-in TIME], "
				   "token list [NAME], or token revoke ID");
}

#include "commands.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "commands_internal.h"
#include "config/settings/settings_load.h"
#include "service/planned_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define TEXT_SIZE_MAX (16 * 1024 * 1024)

static int run_keygen(const struct command_line *line)
{
	struct nel_err err = {0};
	CLEANUP(settings_freep) struct settings *settings = NULL;
	if (line->arg_count != 0)
		return command_wrong_usage("keygen takes no words; --config FILE names the settings");
	if (settings_load(line->settings_path, &settings, NULL, &err) != 0 ||
	    secret_keygen(settings->master_key_file, &err) != 0)
		return command_fail(&err);
	printf("made %s\n", settings->master_key_file);
	return 0;
}

static int run_migrate(const struct command_line *line)
{
	struct nel_err err = {0};
	CLEANUP(settings_freep) struct settings *settings = NULL;
	int from = 0;
	int to = 0;
	if (line->arg_count != 0)
		return command_wrong_usage("migrate takes no words; --config FILE names the settings");
	if (settings_load(line->settings_path, &settings, NULL, &err) != 0 ||
	    db_migrate(settings->database, &from, &to, &err) != 0)
		return command_fail(&err);
	printf("%s: version %d", settings->database, to);
	if (from != to)
		printf(", was %d", from);
	puts("");
	return 0;
}

static int run_backup(const struct command_line *line)
{
	struct nel_err err = {0};
	CLEANUP(db_freep) struct db *db = NULL;
	if (line->arg_count != 1)
		return command_wrong_usage("wanted: backup FILE");
	if (command_open_database(line, &db, &err) != 0 || db_backup(db, line->args[0], &err) != 0)
		return command_fail(&err);
	printf("wrote %s\n", line->args[0]);
	return 0;
}

/* A whole file ("-": standard input) in memory. */
static int read_text(const char *path, struct str *ret_text, struct nel_err *err)
{
	CLEANUP(fd_closep)
	int fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, NEL_NOTFOUND, errno, "cannot read %s", path);
	char buf[65536];
	ssize_t n = 0;
	while ((n = read(fd, buf, sizeof buf)) > 0) {
		str_append_n(ret_text, buf, (size_t)n);
		if (ret_text->len > TEXT_SIZE_MAX)
			return err_set(err, NEL_INVALID, "%s is larger than %d MiB", path, TEXT_SIZE_MAX >> 20);
	}
	return n < 0 ? err_sys(err, NEL_INVALID, errno, "cannot read %s", path) : 0;
}

/* The named settings; without any (and none at the default place) a render needs none. */
static int render_settings(const struct command_line *line, struct settings **ret_settings, struct nel_err *err)
{
	if (settings_load(line->settings_path, ret_settings, NULL, err) == 0)
		return 0;
	if (err->kind != NEL_NOTFOUND || strcmp(line->settings_path, SETTINGS_PATH_DEFAULT) != 0)
		return -1;
	*ret_settings = mem_calloc(1, sizeof **ret_settings);
	return 0;
}

/* A run directory with a placeholder for a secret runs, and fails late. */
static void warn_missing_secrets(const struct planned *planned, const struct submit_request *request)
{
	char **names = eval_plan_secret_names(planned->plan);
	for (char **name = names; *name != NULL; name++) {
		bool given = false;
		for (size_t i = 0; i < request->env_count; i++)
			given = given || strcmp(request->env[i].name, *name) == 0;
		if (!given)
			fprintf(
			    stderr,
			    "nel-slurmd: warning: the secret %s is not given (--env %s), .secrets.env has %s instead\n",
			    *name, *name, PLANNED_PLACEHOLDER);
		free(*name);
	}
	free(names);
}

static int render_out(const struct command_line *line, const struct planned *planned,
		      const struct submit_request *request, struct nel_err *err)
{
	char id[IDS_EVALUATION_SIZE];
	ids_new_evaluation(id);
	if (line->output != NULL) {
		if (mkdir(line->output, 0700) != 0 && errno != EEXIST)
			return err_sys(err, NEL_INVALID, errno, "cannot make %s", line->output);
		warn_missing_secrets(planned, request);
		return planned_write(planned, request, id, line->output, err);
	}
	CLEANUP(json_freep) json_t *document = NULL;
	if (planned_describe(planned, id, clock_now_s(), SIZE_MAX, &document, err) != 0)
		return -1;
	CLEANUP(mem_freep) char *text = json_dumps(document, JSON_INDENT(2));
	puts(text);
	return 0;
}

static int split_env(const struct command_line *line, struct name_value *env, char **copies)
{
	for (int i = 0; i < line->env_count; i++) {
		copies[i] = mem_strdup(line->env[i]);
		char *equals = strchr(copies[i], '=');
		const char *value = equals != NULL ? equals + 1 : getenv(copies[i]);
		if (value == NULL)
			return command_wrong_usage(
			    "--env takes NAME=VALUE, or the NAME of a variable that is set here");
		if (equals != NULL)
			*equals = '\0';
		env[i] = (struct name_value){.name = copies[i], .value = value};
	}
	return 0;
}

static int render(const struct command_line *line, const struct name_value *env)
{
	struct nel_err err = {0};
	struct str text = {0};
	CLEANUP(settings_freep) struct settings *settings = NULL;
	CLEANUP(catalogue_freep) struct catalogue *catalogue = NULL;
	CLEANUP(problems_done) struct problems errors = {0};
	CLEANUP(planned_done) struct planned planned = {0};
	const char *path = line->args[0];
	const char *shown = strcmp(path, "-") == 0 ? "<stdin>" : path;
	const struct actor actor = {.name = "offline", .role = ROLE_ADMIN};
	int rc = read_text(path, &text, &err);
	struct submit_request request = {.actor = &actor,
					 .text = str_text(&text),
					 .size = text.len,
					 .json = str_ends_with(path, ".json"),
					 .overrides = line->args + 1,
					 .override_count = (size_t)line->arg_count - 1,
					 .tasks = line->tasks,
					 .task_count = (size_t)line->task_count,
					 .env = env,
					 .env_count = (size_t)line->env_count,
					 .strict = line->strict};
	if (rc == 0)
		rc = render_settings(line, &settings, &err);
	if (rc == 0)
		rc = catalogue_load(settings->tasks_file, &catalogue, &err);
	const struct planned_input input = {
	    .settings = settings, .catalogue = catalogue, .request = &request, .offline = true, .now_s = clock_now_s()};
	if (rc == 0)
		rc = planned_make(&input, &planned, &errors, &err);
	command_print_problems(shown, "", &errors);
	command_print_problems(shown, "warning: ", &planned.warnings);
	if (rc == 0)
		rc = render_out(line, &planned, &request, &err);
	str_done(&text);
	return rc == 0 ? 0 : errors.count > 0 ? 1 : command_fail(&err);
}

static int run_render(const struct command_line *line)
{
	struct name_value env[COMMAND_ARGS_MAX];
	char *copies[COMMAND_ARGS_MAX] = {NULL};
	if (line->arg_count < 1)
		return command_wrong_usage("wanted: render CONFIG [override...] [--task NAME]... [--output DIR] [--env "
					   "NAME[=VALUE]]... [--strict]");
	int rc = split_env(line, env, copies);
	if (rc == 0)
		rc = render(line, env);
	for (int i = 0; i < line->env_count; i++)
		free(copies[i]);
	return rc;
}

static const struct {
	const char *name;
	int (*run)(const struct command_line *line);
} commands[] = {
    {"check", command_check}, {"keygen", run_keygen}, {"rotate-key", command_rotate_key},
    {"migrate", run_migrate}, {"user", command_user}, {"token", command_token},
    {"backup", run_backup},   {"render", run_render},
};

/* What an option would have done is not left undone in silence: a token is to expire, say. */
static int run_command(const struct command_line *line, int (*run)(const struct command_line *line))
{
	const char *other = command_line_other_option(line);
	if (other == NULL)
		return run(line);
	bool has_word = strcmp(line->command, "user") == 0 || strcmp(line->command, "token") == 0;
	CLEANUP(mem_freep)
	char *text = mem_printf("%s%s%s does not take --%s", line->command, has_word ? " " : "",
				has_word ? line->args[0] : "", other);
	return command_wrong_usage(text);
}

int command_run(const struct command_line *line)
{
	const char *names[sizeof commands / sizeof commands[0]];
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		names[i] = commands[i].name;
		if (strcmp(line->command, commands[i].name) == 0) {
			if (!line->help)
				return run_command(line, commands[i].run);
			command_line_print_help(line->command);
			return 0;
		}
	}
	const char *nearest = str_nearest(line->command, names, sizeof names / sizeof names[0]);
	CLEANUP(mem_freep)
	char *text = mem_printf("there is no command %s%s%s%s", line->command, nearest != NULL ? "; did you mean " : "",
				nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
	return command_wrong_usage(text);
}

#include "command_line.h"

#include "config/settings/settings.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "Usage: nel-slurmd [--config FILE]             run the daemon\n"
    "       nel-slurmd COMMAND [--config FILE]     do one thing and exit\n"
    "\n"
    "Commands:\n"
    "  check [--syntax-only] [--user NAME]\n"
    "                                    check the settings, and that the daemon's account can use the files that "
    "they\n"
    "                                    name: with the rights of NAME, or of nel-slurmd where root checks the\n"
    "                                    default settings, or your own\n"
    "  render CONFIG [override...] [--task NAME]... [--output DIR] [--env NAME[=VALUE]]... [--strict]\n"
    "                                    show what a submission would do: as JSON on standard output,\n"
    "                                    or as the run directories that the cluster would get, into DIR;\n"
    "                                    with --task, of those tasks of the config only;\n"
    "                                    with --strict, unknown keys are errors\n"
    "  user add NAME --role ROLE         make a user (admin, user or viewer) and print a token, once\n"
    "  user list                         show the users with their roles\n"
    "  user set-role NAME --role ROLE    change what a user may do\n"
    "  user remove NAME                  remove a user and the user's tokens\n"
    "  token create NAME [--role ROLE] [--label TEXT] [--expires-in TIME]\n"
    "                                    print one more token for a user, once; TIME is in seconds, or as 12h, 90d\n"
    "  token list [NAME]                 show the tokens (not the secrets), newest first\n"
    "  token revoke ID                   make a token invalid\n"
    "  keygen                            make the master key file that the settings name\n"
    "  rotate-key                        make a new master key and seal everything in the database with it;\n"
    "                                    the daemon must be stopped\n"
    "  migrate                           make the database, or bring it to this version\n"
    "  backup FILE                       copy the database, also of a running daemon, to FILE\n"
    "\n"
    "Options:\n"
    "  --config FILE                     the settings (default " SETTINGS_PATH_DEFAULT ")\n"
    "  --version                         print the version\n"
    "  -h, --help                        print this; after a COMMAND, of that one\n";

enum {
	OPT_CONFIG = 1,
	OPT_ROLE,
	OPT_OUTPUT,
	OPT_ENV,
	OPT_TASK,
	OPT_USER,
	OPT_SYNTAX_ONLY,
	OPT_STRICT,
	OPT_LABEL,
	OPT_EXPIRES_IN,
	OPT_VERSION,
	OPT_HELP
};

static const struct option options[] = {
    {"config", required_argument, NULL, OPT_CONFIG},
    {"role", required_argument, NULL, OPT_ROLE},
    {"output", required_argument, NULL, OPT_OUTPUT},
    {"env", required_argument, NULL, OPT_ENV},
    {"task", required_argument, NULL, OPT_TASK},
    {"user", required_argument, NULL, OPT_USER},
    {"syntax-only", no_argument, NULL, OPT_SYNTAX_ONLY},
    {"strict", no_argument, NULL, OPT_STRICT},
    {"label", required_argument, NULL, OPT_LABEL},
    {"expires-in", required_argument, NULL, OPT_EXPIRES_IN},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

#define BIT(option) (1U << (option))

/* What each command takes beside --config; a word of NULL: whatever the next one is. */
static const struct {
	const char *command;
	const char *word;
	unsigned options;
} takes[] = {
    {"check", NULL, BIT(OPT_SYNTAX_ONLY) | BIT(OPT_USER)},
    {"render", NULL, BIT(OPT_TASK) | BIT(OPT_OUTPUT) | BIT(OPT_ENV) | BIT(OPT_STRICT)},
    {"user", "add", BIT(OPT_ROLE)},
    {"user", "list", 0},
    {"user", "set-role", BIT(OPT_ROLE)},
    {"user", "remove", 0},
    {"token", "create", BIT(OPT_ROLE) | BIT(OPT_LABEL) | BIT(OPT_EXPIRES_IN)},
    {"token", "list", 0},
    {"token", "revoke", 0},
    {"keygen", NULL, 0},
    {"rotate-key", NULL, 0},
    {"migrate", NULL, 0},
    {"backup", NULL, 0},
};

const char *command_line_other_option(const struct command_line *line)
{
	const char *word = line->arg_count > 0 ? line->args[0] : "";
	unsigned other = line->command == NULL ? line->given : 0;
	for (size_t i = 0; line->command != NULL && i < sizeof takes / sizeof takes[0]; i++)
		if (strcmp(takes[i].command, line->command) == 0 &&
		    (takes[i].word == NULL || strcmp(takes[i].word, word) == 0))
			other = line->given & ~takes[i].options;
	for (const struct option *o = options; o->name != NULL; o++)
		if ((other & BIT(o->val)) != 0)
			return o->name;
	return NULL;
}

void command_line_print_help(const char *command)
{
	size_t length = strlen(command);
	bool wanted = false;
	printf("Usage of nel-slurmd %s; nel-slurmd --help tells of all commands\n\n", command);
	for (const char *line = strstr(help, "\nCommands:\n") + 1; *line != '\n'; line += strcspn(line, "\n") + 1) {
		if (line[2] != ' ')
			wanted = strncmp(line, "  ", 2) == 0 && strncmp(line + 2, command, length) == 0 &&
				 strchr(" \n", line[2 + length]) != NULL;
		if (wanted)
			printf("%.*s\n", (int)strcspn(line, "\n"), line);
	}
	fputs(strstr(help, "\nOptions:\n"), stdout);
}

static int too_many(const char *what)
{
	fprintf(stderr, "nel-slurmd: more than %d %s\n", COMMAND_ARGS_MAX, what);
	return 2;
}

int command_line_parse(int argc, char **argv, struct command_line *ret_line)
{
	struct command_line line = {.settings_path = SETTINGS_PATH_DEFAULT};
	int option = 0;
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option != OPT_CONFIG && option > 0 && option < OPT_VERSION)
			line.given |= BIT(option);
		switch (option) {
		case OPT_CONFIG: line.settings_path = optarg; break;
		case OPT_ROLE: line.role = optarg; break;
		case OPT_OUTPUT: line.output = optarg; break;
		case OPT_ENV:
			if (line.env_count == COMMAND_ARGS_MAX)
				return too_many("--env");
			line.env[line.env_count++] = optarg;
			break;
		case OPT_TASK:
			if (line.task_count == COMMAND_ARGS_MAX)
				return too_many("--task");
			line.tasks[line.task_count++] = optarg;
			break;
		case OPT_USER: line.user = optarg; break;
		case OPT_SYNTAX_ONLY: line.syntax_only = true; break;
		case OPT_STRICT: line.strict = true; break;
		case OPT_LABEL: line.label = optarg; break;
		case OPT_EXPIRES_IN: line.expires_in = optarg; break;
		case OPT_VERSION: puts("nel-slurmd " NEL_VERSION); return 0;
		case 'h':
		case OPT_HELP: line.help = true; break;
		default: fputs("nel-slurmd --help tells the usage\n", stderr); return 2;
		}
	}
	if (optind < argc)
		line.command = argv[optind++];
	if (line.help && line.command == NULL) {
		fputs(help, stdout);
		return 0;
	}
	if (argc - optind > COMMAND_ARGS_MAX)
		return too_many("arguments");
	for (; optind < argc; optind++)
		line.args[line.arg_count++] = argv[optind];
	*ret_line = line;
	return COMMAND_GO_ON;
}

/* The command line: options, and the words of an offline subcommand. */
#ifndef NEL_COMMAND_LINE_H
#define NEL_COMMAND_LINE_H

#include <stdbool.h>

#define COMMAND_GO_ON (-1)
#define COMMAND_ARGS_MAX 256

struct command_line {
	const char *settings_path;
	const char *command; /* NULL: serve */
	const char *args[COMMAND_ARGS_MAX];
	int arg_count;
	const char *role;
	const char *output;
	const char *label;
	const char *expires_in;
	const char *user; /* check: whose access */
	bool help;        /* about the command, in place of running it */
	bool strict;
	bool syntax_only; /* check: not the files */
	const char *tasks[COMMAND_ARGS_MAX];
	int task_count;
	const char *env[COMMAND_ARGS_MAX]; /* NAME=VALUE, or NAME for a variable of our own environment */
	int env_count;
	unsigned given; /* of command_line_other_option() */
};

/* COMMAND_GO_ON, or the exit status when everything is said (--help, --version, a wrong option). */
int command_line_parse(int argc, char **argv, struct command_line *ret_line);

/* The name of an option that was given and that the command, or the daemon without one, does not take; NULL: there is
 * none, or the words are none of a command. */
const char *command_line_other_option(const struct command_line *line);

/* On standard output: each way to write that command of the usage, and what it does. */
void command_line_print_help(const char *command);

#endif

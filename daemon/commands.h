/* The offline subcommands of the same binary. */
#ifndef NEL_COMMANDS_H
#define NEL_COMMANDS_H

#include "command_line.h"

/* Runs line->command; the exit status. */
int command_run(const struct command_line *line);

#endif

/* The follower of log files on a cluster: what is written to remote_follow.sh and what it answers. Pure. */
#ifndef NEL_SLURM_FOLLOW_H
#define NEL_SLURM_FOLLOW_H

#include "base/err.h"
#include "base/str.h"
#include "slurm/remote.h"

#include <stdbool.h>
#include <stdint.h>

#define FOLLOW_PIECE_MAX (96 * 1024) /* of one answer's data */

/* As remote_render(). */
void follow_render(const char *const *environment, char ret_command[REMOTE_COMMAND_SIZE], char **ret_input,
		   size_t *ret_size);

/* Appends the command to follow <job_dir>/logs/<name> from offset (-1: from near its end), under a number. */
void follow_add(struct str *input, int id, int64_t offset, const char *job_dir, const char *name);
void follow_drop(struct str *input, int id);

enum follow_kind { FOLLOW_START, FOLLOW_DATA, FOLLOW_ANEW, FOLLOW_POLL };

struct follow_answer {
	enum follow_kind kind;
	int id;
	int64_t offset;   /* of START and DATA */
	const char *data; /* borrowed for the call */
	size_t size;
};

/* What has come of the output so far. */
struct follow_parser {
	struct str line;
	bool begun;
	char *data; /* decoded */
};

void follow_parser_done(struct follow_parser *parser);

/* Takes a piece of output and calls `answer` for each answer in it. REMOTE when it cannot be read. */
int follow_parse(struct follow_parser *parser, const char *output, size_t size,
		 void (*answer)(const struct follow_answer *answer, void *arg), void *arg, struct nel_err *err);

#endif

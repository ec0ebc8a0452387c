/* Looking for checkpoints in directories of a cluster: which there are, and whether each has its marker. What has
 * changed since the last look is the caller's to say, by the signatures. A look is a command of its own, or goes along
 * with an observation (observe.h). Lane threads; the parsing is pure. */
#ifndef NEL_SLURM_WATCH_H
#define NEL_SLURM_WATCH_H

#include "base/err.h"
#include "base/str.h"
#include "slurm/records.h"
#include "ssh/pool.h"

#include <stdbool.h>

#define WATCHES_MAX 16         /* directories in one command */
#define WATCH_ENTRIES_MAX 2000 /* told of one */
#define WATCH_NAME_MAX 255     /* bytes of a name */
#define WATCH_SIGNATURE_SIZE 65

/* All borrowed. */
struct watch_order {
	const char *directory;    /* absolute */
	const char *pattern;      /* of its entries' names: watch_pattern_ok() */
	const char *marker;       /* a file that a complete one has; NULL: none */
	const char *const *known; /* names that are not looked at any more */
	size_t known_count;
};

enum watch_state {
	WATCH_COMPLETE,   /* has its marker */
	WATCH_INCOMPLETE, /* has not, or cannot be read yet */
	WATCH_LEFT_ALONE  /* a link, a file, or under an odd name */
};

struct watch_entry {
	enum watch_state state;
	char *name;                           /* watch_name_ok() unless it is left alone; then a text for people */
	char *why;                            /* NULL for a complete one */
	char signature[WATCH_SIGNATURE_SIZE]; /* of a complete one: the names, sizes and times of its files */
};

struct watch_reply {
	char *why; /* why it could not be looked at; NULL: it was */
	bool more; /* entries than are told */
	bool slow; /* it takes more time than there was: a file system that hangs, or many files */
	struct watch_entry *entries;
	size_t count;
};

/* A look at several directories. */
struct watch_look {
	struct watch_order orders[WATCHES_MAX];
	size_t count;
	bool shared; /* people share the account: what leads to keys or run directories is not looked at */
	struct watch_reply replies[WATCHES_MAX]; /* as many as orders, zeroed before; each for watch_reply_done() */
};

void watch_reply_done(struct watch_reply *reply);

/* May it be the name of a checkpoint: letters, digits and ". _ = + -", a letter or digit first? */
bool watch_name_ok(const char *name);
/* The same with "* ? [ ]" anywhere. */
bool watch_pattern_ok(const char *pattern);

/* One exec. -1: as ssh_pool_exec(). */
int slurm_watch(struct ssh_pool *pool, struct watch_look *look, int64_t timeout_ms, struct nel_err *err);
int watch_parse(const char *text, size_t size, struct watch_reply *replies, size_t count, struct nel_err *err);

/* What a script with remote_directories.sh needs for the look, and how long its answer may be. */
void watch_render(const struct watch_look *look, struct str *data);
size_t watch_output_max(const struct watch_look *look);

/* Reads what it tells, record by record. The replies are borrowed. */
struct watch_reader {
	struct watch_reply *replies;
	size_t count;
	struct {
		bool told; /* all of it */
		size_t room;
	} progress[WATCHES_MAX];
};
/* Is it one of a look's records? Then it has been taken; one that makes no sense is passed over. */
bool watch_reader_take(struct watch_reader *reader, struct record *record);
/* No more comes: directories of which not all was told were slow, and why says so. */
void watch_reader_end(struct watch_reader *reader);

#endif

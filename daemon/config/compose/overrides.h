/* Hydra's overrides ("a.b=c", "+a.b=c", "++a.b=c", "~a.b", "group=option"): reading them, and applying those that
 * change values. Which of them choose groups is for config/defaults. */
#ifndef NEL_CONFIG_COMPOSE_OVERRIDES_H
#define NEL_CONFIG_COMPOSE_OVERRIDES_H

#include "base/cleanup.h"
#include "base/err.h"
#include "config/text/problem.h"

#include <stdbool.h>

#define OVERRIDE_BYTES_MAX (64 * 1024)
#define OVERRIDES_MAX 1000
#define OVERRIDE_SEGMENTS_MAX 64

enum override_op { OVERRIDE_SET, OVERRIDE_ADD, OVERRIDE_FORCE, OVERRIDE_DELETE };

struct override {
	enum override_op op;
	const char *text; /* as given; borrowed */
	char *key;        /* "a.b" or a group; without the package */
	char *package;    /* what stands behind '@', or NULL */
	json_t *value;    /* NULL for "~key" */
};

struct override_list {
	struct override *items;
	size_t count;
};

void override_list_done(struct override_list *list);

/* Reads them all; the texts stay borrowed. A byte order mark before one is skipped. What cannot be read is in
 * `problems`, and not in the list. -1: INVALID, there are more than OVERRIDES_MAX. */
int overrides_parse(const char *const *texts, size_t count, struct override_list *ret_list, struct problems *problems,
		    struct nel_err *err);

/* The JSON pointer of what an override's text names: "/execution/walltime" for "+execution.walltime=1"; "" for a key
 * that none would have. */
char *override_pointer(const char *text);

/* Is it "evaluation.tasks.<name>...", with a task's name in place of its index? */
bool override_names_task(const struct override *o);

/* Keys of execution that are the daemon's own and off where no config has them. No group of the launcher's has them,
 * but they are set without a '+', as the others are; with one, too. Ends with NULL. */
extern const char *const override_own_keys[];

/* Applies one override of a value to config. -1: INVALID, config is as it was. */
int override_apply(json_t *config, const struct override *o, struct nel_err *err);

#endif

/* One entry of a defaults list, read. */
#ifndef NEL_CONFIG_COMPOSE_DEFAULTS_ENTRY_H
#define NEL_CONFIG_COMPOSE_DEFAULTS_ENTRY_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>

#define DEFAULTS_ENTRIES_MAX 256 /* in one list, and options in one entry */

enum defaults_kind {
	DEFAULTS_SELF,  /* _self_ */
	DEFAULTS_FILE,  /* "deployment/vllm": one file; group overrides do not reach it */
	DEFAULTS_GROUP, /* "deployment: vllm": a choice */
};

struct defaults_entry {
	enum defaults_kind kind;
	bool optional;
	bool override;
	bool absolute;   /* the path began with '/' */
	char *group;     /* from the root: "deployment", "" */
	char *written;   /* the group as the entry has it, without '/' before it */
	char *package;   /* what stands behind '@', or NULL */
	json_t *options; /* an array of strings; NULL: "???" was given */
	char *origin;    /* 'override "...": ' when an override added the entry, else NULL */
};

void defaults_entry_done(struct defaults_entry *entry);

/* Reads an entry of the list in a config of folder `dir` ("" is the root), to which its path is relative. */
int defaults_entry_read(const json_t *value, const char *dir, struct defaults_entry *ret_entry, struct nel_err *err);

/* An option, or a list of them, or null, as an array of strings. "???" gives NULL and 0. */
int defaults_options(const json_t *value, json_t **ret_options, struct nel_err *err);

#endif

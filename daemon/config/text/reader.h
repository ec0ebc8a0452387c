/* Reads typed values out of parsed JSON and collects what is wrong with them, with places in the submitted text. Shared
 * by evaluation configs and the settings file. A value that is absent, null, or still `???` counts as absent. */
#ifndef NEL_CONFIG_TEXT_READER_H
#define NEL_CONFIG_TEXT_READER_H

#include "config/text/problem.h"
#include "config/text/source_map.h"

#include <stdbool.h>
#include <stdint.h>

/* All borrowed. map may be NULL; a NULL list drops what would be added to it. */
struct reader {
	const struct source_map *map;
	struct problems *errors;
	struct problems *warnings;
	bool incomplete; /* overrides had to be left out: what is missing may be what they set, and is not told */
};

/* What a text may hold. */
#define READER_LINE_MAX 2048         /* bytes; names are told again in every event, so they cannot be long */
#define READER_TEXT_MAX (256 * 1024) /* bytes of several lines, such as a command */

enum reader_text {
	READER_ANY,  /* several lines are fine */
	READER_LINE, /* no control characters */
	READER_TOKEN /* one word: also not empty, no spaces, quotes, backslashes, and no leading '-' */
};

void reader_error(const struct reader *r, const char *pointer, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void reader_warn(const struct reader *r, const char *pointer, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds "Missing mandatory value: execution.hostname" for "/execution/hostname". */
void reader_missing(const struct reader *r, const char *pointer);

/* base + "/" + key, or + "/" + index; free(). */
char *reader_join(const char *base, const char *key);
char *reader_join_index(const char *base, size_t index);

/* A place on the way down a value, for walks that seldom have to say where they are. */
struct reader_step {
	const struct reader_step *parent; /* NULL: the member of the root */
	const char *key;                  /* NULL: index */
	size_t index;
};

/* The pointer to the place; "" for NULL. free(). */
char *reader_pointer(const struct reader_step *step);

/* A pointer as people write keys: "/evaluation/tasks/0/name" is "evaluation.tasks[0].name"; free(). */
char *reader_dotted(const char *pointer);

/* Is value the mark of a mandatory value that nobody gave? */
bool reader_is_missing(const json_t *value);

/* Is value what the launcher, by Python's rules, takes for "not set": null, absent, false, 0, ""? */
bool reader_is_falsy(const json_t *value);

/* The member, or NULL when it counts as absent (also when object is NULL or no object). Borrowed. */
const json_t *reader_get(const json_t *object, const char *key);

/* A member that must be an object or array; NULL when absent, or when it is another thing (an error then). Borrowed. */
const json_t *reader_object(const struct reader *r, const json_t *object, const char *base, const char *key);
const json_t *reader_array(const struct reader *r, const json_t *object, const char *base, const char *key);

/* A text (numbers are taken as their text); NULL when absent or wrong. The caller frees. */
char *reader_text(const struct reader *r, const json_t *object, const char *base, const char *key,
		  enum reader_text kind);
/* As reader_text(); absent is an error. */
char *reader_need_text(const struct reader *r, const json_t *object, const char *base, const char *key,
		       enum reader_text kind);
/* As reader_text(); absent gives a copy of fallback. NULL only when the value is wrong. */
char *reader_text_or(const struct reader *r, const json_t *object, const char *base, const char *key,
		     enum reader_text kind, const char *fallback);
/* The same for a value at hand that is not null. */
char *reader_value_text(const struct reader *r, const json_t *value, const char *pointer, enum reader_text kind);

/* An integer (or a text of digits) within [min, max]; fallback when absent or wrong. */
int64_t reader_int(const struct reader *r, const json_t *object, const char *base, const char *key, int64_t min,
		   int64_t max, int64_t fallback);

bool reader_bool(const struct reader *r, const json_t *object, const char *base, const char *key, bool fallback);

/* An array of texts (or one text) as a NULL-terminated list; fallback (may be NULL: an empty list) when absent. Free
 * with str_list_free(). */
char **reader_list(const struct reader *r, const json_t *object, const char *base, const char *key,
		   enum reader_text kind, const char *const *fallback);

#define READER_UNKNOWN_KEY "Unknown key '" /* how its messages begin; a suggestion follows behind a ';' */

/* Complains of each key of object that the NULL-terminated list lacks, with the nearest one that it has: as an error
 * when strict, else as a warning. */
void reader_keys(const struct reader *r, const json_t *object, const char *base, const char *const *known, bool strict);

/* Would one more problem be kept? Looking for a suggestion costs more than the rest, and is for nothing otherwise. */
bool reader_has_room(const struct problems *list);

/* An absolute path: no control characters, nothing of `refused`, no ".." step. False with an error at pointer. */
bool reader_check_path(const struct reader *r, const char *path, const char *pointer, const char *refused);

/* The same of a path that messages call `name`, where the pointer's key is not what it is. */
bool reader_check_named_path(const struct reader *r, const char *path, const char *name, const char *pointer,
			     const char *refused);

#endif

/* Structured log lines: to the journal when standard error is its socket, else key=value lines on standard error.
 * Only main, api, sched and lanes log above debug. Never a secret. */
#ifndef NEL_BASE_LOG_H
#define NEL_BASE_LOG_H

#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* One field; text wins over number when it is not NULL. Keys are lower case: request eval job cluster user. */
struct log_field {
	const char *key;
	const char *text;
	int64_t number;
};

#define LOG_S(k, v) ((struct log_field){.key = (k), .text = (v) == NULL ? "" : (v)})
#define LOG_N(k, v) ((struct log_field){.key = (k), .number = (v)})

/* Once, before threads. Messages above `max` are dropped. */
void log_init(enum log_level max);
void log_set_level(enum log_level max);
int log_level_from_name(const char *name, enum log_level *ret_level); /* error warning info debug; 0 or -1 */

void log_write(enum log_level level, const char *message, const struct log_field *fields, size_t count);

/* What the journal's MESSAGE is: the message and its fields, for journalctl shows no others unless it is asked. */
void log_append_message(struct str *s, const char *message, const struct log_field *fields, size_t count);

#define LOG_AT(level, message, ...) \
	do { \
		const struct log_field fields_[] = {{.key = NULL}, __VA_ARGS__}; \
		log_write((level), (message), fields_ + 1, sizeof fields_ / sizeof fields_[0] - 1); \
	} while (0)

/* log_info("state changed", LOG_S("job", id), LOG_N("attempt", 2)); */
#define log_error(message, ...) LOG_AT(LOG_LEVEL_ERROR, message, ##__VA_ARGS__)
#define log_warning(message, ...) LOG_AT(LOG_LEVEL_WARNING, message, ##__VA_ARGS__)
#define log_info(message, ...) LOG_AT(LOG_LEVEL_INFO, message, ##__VA_ARGS__)
#define log_debug(message, ...) LOG_AT(LOG_LEVEL_DEBUG, message, ##__VA_ARGS__)

#endif

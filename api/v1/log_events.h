/* The form of a followed log: bytes as plain text, or as Server-Sent Events whose ids say what has been sent. Pure. */
#ifndef NEL_API_V1_LOG_EVENTS_H
#define NEL_API_V1_LOG_EVENTS_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* Appends bytes of a log as events {"offset","text"}, or {"offset","base64"} for those that are no UTF-8 text; ids are
 * `prefix` and the offset behind what the event holds. Returns how many bytes they hold: a character that is cut off at
 * the end is left for later, unless `all`. */
size_t log_events_data(struct str *out, const char *prefix, int64_t offset, const char *data, size_t size, bool all);

#endif

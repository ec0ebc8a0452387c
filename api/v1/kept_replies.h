/* Renders evaluations that have ended, once, and keeps the texts in the store (db/replies.h). Nothing waits for it: a
 * text that is not there yet is made for who asks. */
#ifndef NEL_API_V1_KEPT_REPLIES_H
#define NEL_API_V1_KEPT_REPLIES_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct db;

/* Of the texts that this program makes: above 0, and another one when they are rendered in another way. */
int64_t reply_format(void);

/* Makes some of those that are missing, in a transaction of its own. *ret_more: there are others. */
int replies_keep_some(struct db *db, bool *ret_more, struct nel_err *err);

#endif

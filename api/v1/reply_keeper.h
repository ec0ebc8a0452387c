/* Renders evaluations that have ended, once, and keeps the texts in the store (db/replies.h): a thread of its own,
 * which looks when something has ended, and goes through those of another program's format after its start. Nothing
 * waits for it: a text that is not there yet is made for who asks. */
#ifndef NEL_API_V1_REPLY_KEEPER_H
#define NEL_API_V1_REPLY_KEEPER_H

#include "base/err.h"

#include <stdint.h>

/* Of the texts that this program makes: above 0, and another one when they are rendered in another way. */
int64_t reply_format(void);

struct reply_keeper;
int reply_keeper_start(const char *database, struct reply_keeper **ret_keeper, struct nel_err *err);
void reply_keeper_stop(struct reply_keeper *keeper); /* accepts NULL */

#endif

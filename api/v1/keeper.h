/* Keeps what follows from other rows of the store and can wait: the replies about evaluations that have ended
 * (api/v1/kept_replies.h) and the index that lists are searched by (db/search.h). A thread of its own, which looks when
 * something has happened, and goes through all that is missing after its start. */
#ifndef NEL_API_V1_KEEPER_H
#define NEL_API_V1_KEEPER_H

#include "base/err.h"

struct keeper;
int keeper_start(const char *database, struct keeper **ret_keeper, struct nel_err *err);
void keeper_stop(struct keeper *keeper); /* accepts NULL */

#endif

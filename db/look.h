/* A look at a database file that leaves no trace: for a check beside a daemon that may be running. */
#ifndef NEL_DB_LOOK_H
#define NEL_DB_LOOK_H

#include "base/secret.h"

/* Could this program, with this key (NULL: not asked), start with the file? CONFLICT: it is newer; DENIED: it is sealed
 * with another key; DB: it is damaged. Takes no lock and makes no file beside it, and so sees what a checkpoint has
 * brought into the file itself: what a write-ahead log says that nobody has checkpointed is not known here. */
int db_look(const char *path, const struct secret_key *key, struct nel_err *err);

#endif

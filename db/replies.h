/* Replies about evaluations that have ended, kept as text, so that they are read with one look and not made again from
 * all their rows. Triggers of the store take a text away when anything changes that it is made of (migration 0021): a
 * text that is there is right. `format` is the renderer's own, above 0: texts of another one are as good as none. */
#ifndef NEL_DB_REPLIES_H
#define NEL_DB_REPLIES_H

#include "base/str.h"
#include "db/revisions.h"

/* Appends the text and fills the revision, when there is one: *ret_found. By id, or by number. */
int replies_get(struct db *db, const char *id, int64_t format, struct revision *ret_revision, struct str *text,
		bool *ret_found, struct nel_err *err);
int replies_get_at(struct db *db, int64_t seq, int64_t format, struct revision *ret_revision, struct str *text,
		   bool *ret_found, struct nel_err *err);

/* The numbers of at most `limit` ended evaluations that have no text of that format yet. */
int replies_missing(struct db *db, int64_t format, int limit, int64_t *ret_seqs, size_t *ret_count,
		    struct nel_err *err);

/* Keeps a text; "" when there is none to keep, and it is not asked for again until something changes. In the
 * transaction in which the rows were read that it is made of. */
int replies_put(struct db *db, const struct revision *revision, int64_t format, const char *text, struct nel_err *err);

#endif

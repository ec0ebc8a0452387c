/* Evaluations as replies show them, kept between requests and commits. Dashboards and waiting scripts read the same few
 * again and again, alone and in lists. One for all HTTP threads, of bounded size.
 *
 * An instant is db_revision() as it was before a read transaction began: what was right then is right until the next
 * commit, so that most reads need no look at the store. After a commit the rows' versions (db/revisions.h) say whether
 * the text is still right, which costs less than to make it anew. What has ended is kept as text in the store, too
 * (db/replies.h), and comes here when it is asked for again. `places` is service_queue_version(): the text of an
 * evaluation that waits for its turn shows its place. */
#ifndef NEL_API_HTTP_READ_CACHE_H
#define NEL_API_HTTP_READ_CACHE_H

#include "base/str.h"
#include "db/revisions.h"

#define READ_CACHE_BYTES_MAX (8 * 1024 * 1024)
#define READ_CACHE_TEXT_MAX (64 * 1024) /* a longer one is not kept */
#define READ_CACHE_ETAG_SIZE 35         /* REQUEST_ETAG_SIZE */

struct read_cache;

/* When something is read. */
struct read_instant {
	int64_t revision;
	int64_t places;
};

struct read_cache *read_cache_new(void);
void read_cache_free(struct read_cache *cache); /* accepts NULL */

enum read_cached {
	READ_CACHED_NONE,
	READ_CACHED_OLD, /* there is a text, which may not be right any more */
	READ_CACHED_RIGHT
};

/* Appends the text, and fills the entity tag, when it is known to be right at that instant. By id, or by number. */
enum read_cached read_cache_now(struct read_cache *cache, const char *id, struct read_instant instant, struct str *text,
				char ret_etag[READ_CACHE_ETAG_SIZE]);
enum read_cached read_cache_now_at(struct read_cache *cache, int64_t seq, struct read_instant instant,
				   struct str *text);

/* The same for a text of that revision, which was read at the instant. */
bool read_cache_find(struct read_cache *cache, const struct revision *revision, struct read_instant instant,
		     struct str *text, char ret_etag[READ_CACHE_ETAG_SIZE]);

/* The text was found at that instant without the cache: it is kept from its second time on, and nothing gives way to
 * what is read once. */
void read_cache_offer(struct read_cache *cache, const struct revision *revision, struct read_instant instant,
		      const char *text, size_t size, const char *etag);

/* Nothing of it is right any more: somebody beside this process has changed the store. */
void read_cache_clear(struct read_cache *cache);

/* Keeps a copy. */
void read_cache_store(struct read_cache *cache, const struct revision *revision, struct read_instant instant,
		      const char *text, size_t size, const char *etag);

#endif

/* Media types (RFC 9110, sections 8.3 and 12.5.1): what a body is, and what a client wants. Pure. */
#ifndef NEL_API_HTTP_MEDIA_H
#define NEL_API_HTTP_MEDIA_H

#include <stdbool.h>

enum media_kind { MEDIA_OTHER, MEDIA_JSON, MEDIA_YAML, MEDIA_MULTIPART };

/* Of a Content-Type header (NULL: none). A charset other than UTF-8 is MEDIA_OTHER. */
enum media_kind media_kind_of(const char *content_type);

/* Does an Accept header (NULL: none) want `type` more than `rather`? A tie goes to `rather`. */
bool media_prefers(const char *accept, const char *type, const char *rather);

/* Does an If-None-Match header (NULL: none) name the entity tag (with its quotes)? Weak comparison, as RFC 9110 wants.
 */
bool media_etag_matches(const char *if_none_match, const char *etag);

/* The type of a file on a cluster, by its name. Never one that a browser would run. */
const char *media_type_of_file(const char *path);

#endif

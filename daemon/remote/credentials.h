/* The certificates with which the daemon logs in: of the clusters' shared accounts, as far as they have some, and the
 * reading of those that people bring. */
#ifndef NEL_REMOTE_CREDENTIALS_H
#define NEL_REMOTE_CREDENTIALS_H

#include "config/settings/settings.h"
#include "ssh/credentials.h"

/* Of all clusters; an entry is made when it is first asked for, and stays. Thread-safe. */
struct credentials_book;

struct credentials_book *credentials_book_new(void);
void credentials_book_free(struct credentials_book *book); /* nobody may use an entry; accepts NULL */

/* Of the cluster's shared account; borrowed. NULL: it has no certificate that is in a file, or handed out. */
struct ssh_credentials *credentials_book_get(struct credentials_book *book, const struct settings_cluster *cluster);

/* Makes the entries of these clusters, and has the keys of others forgotten. */
void credentials_book_adopt(struct credentials_book *book, const struct settings *settings);

/* Reads the files that have changed. */
void credentials_book_look(struct credentials_book *book);

/* The entry whose renewal is due first, and in how many milliseconds; NULL: none is. */
struct ssh_credentials *credentials_book_next(struct credentials_book *book, int64_t *ret_in_ms);

/* Runs a cluster's credential_command, as a login would, and forgets what it gave. DENIED with the reason. */
int credentials_try_command(const struct settings_cluster *cluster, struct certificate *ret_certificate,
			    struct nel_err *err);

/* The cluster's certificate_file: valid now, and of its key_file, where there is one. DENIED with the reason. */
int credentials_read_file(const struct settings_cluster *cluster, struct certificate *ret_certificate,
			  struct nel_err *err);

/* A certificate that somebody brings for a private key (NULL: not known yet): a user's, of use here, valid now, of that
 * key. DENIED with the reason. */
int credentials_check_person(const char *line, const char *private_key, struct certificate *ret_certificate,
			     struct nel_err *err);

/* The public half of a private key that somebody brings, as "type base64" (free()). DENIED with the reason, also for
 * one in PEM, which does not tell it. */
int credentials_check_key(const char *private_key, char **ret_public, struct nel_err *err);

#endif

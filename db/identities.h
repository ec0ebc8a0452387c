/* Table identities: who a person is on a cluster where each has a key of his own. */
#ifndef NEL_DB_IDENTITIES_H
#define NEL_DB_IDENTITIES_H

#include "db/db.h"
#include "db/users.h"

#define IDENTITY_USERNAME_MAX 64
#define IDENTITY_CERTIFICATE_MAX 16384 /* bytes of its line */
#define IDENTITY_KEY_MAX 16384         /* bytes of a private key that somebody brings */
#define IDENTITY_NAME_SIZE (USER_NAME_MAX + 1 + IDENTITY_USERNAME_MAX + 1)

/* How the last look at it went. */
enum identity_state {
	IDENTITY_UNCHECKED,
	IDENTITY_OK,
	IDENTITY_REFUSED,    /* the cluster does not take the key for the account */
	IDENTITY_UNREACHABLE /* the cluster could not be asked */
};

const char *identity_state_name(enum identity_state state);

/* All strings owned. */
struct identity_row {
	char *user;
	char *cluster;
	char *username;            /* the account on the cluster */
	char *public_key;          /* "ssh-ed25519 AAAA..." */
	unsigned char *sealed_key; /* the private half under identity_label(); lists leave it NULL */
	size_t sealed_key_size;
	char *certificate;              /* of the key, "type base64"; NULL: none */
	int64_t certificate_expires_at; /* 0: never, or there is none */
	enum identity_state state;
	char *error; /* or NULL */
	int64_t created_at;
	int64_t checked_at; /* 0: never */
};

struct identity_list {
	struct identity_row *items;
	size_t count;
};

void identity_row_done(struct identity_row *row);
void identity_list_done(struct identity_list *list);

/* The label under which the private half is sealed; free(). */
char *identity_label(const char *user, const char *cluster);

/* May it be the name of an account? Letters, digits, '_', '.', '-', not first '-' or '.', at most
 * IDENTITY_USERNAME_MAX: it goes to sshd and into proxy commands. */
bool identity_username_ok(const char *username);

/* How rows of jobs and evaluations name a person's identity: "<user>/<account>", where a shared one is the account
 * alone. */
void identity_name(const char *user, const char *username, char ret_name[IDENTITY_NAME_SIZE]);

/* The two parts of such a name; false when it is not one. */
bool identity_name_split(const char *name, char ret_user[USER_NAME_MAX + 1],
			 char ret_username[IDENTITY_USERNAME_MAX + 1]);

int identities_insert(struct db *db, const struct identity_row *row, struct nel_err *err); /* CONFLICT */
int identities_get(struct db *db, const char *user, const char *cluster, struct identity_row *ret_row,
		   struct nel_err *err); /* NOTFOUND */

/* By user and cluster, without private halves; user NULL: everybody's. At most DB_LIST_MAX. */
int identities_list(struct db *db, const char *user, struct identity_list *ret_list, struct nel_err *err);

/* Another account; the state becomes unchecked. NOTFOUND. */
int identities_set_username(struct db *db, const char *user, const char *cluster, const char *username,
			    struct nel_err *err);

/* What a look at it told; nothing when the account is another one by now. */
int identities_set_state(struct db *db, const char *user, const char *cluster, const char *username,
			 enum identity_state state, const char *error, int64_t now_s, struct nel_err *err);

/* Another key: public and sealed private half; the certificate goes with the old one. The state becomes unchecked.
 * NOTFOUND. */
int identities_set_key(struct db *db, const struct identity_row *row, struct nel_err *err);

/* The key's certificate (NULL: none), when it ends, and when that is to be told of (0: never, both; not again of
 * the same one). The state becomes unchecked. NOTFOUND. */
int identities_set_certificate(struct db *db, const char *user, const char *cluster, const char *certificate,
			       int64_t expires_at, int64_t tell_at, struct nel_err *err);

/* Those of whose certificate's end is to be told by now, at most DB_LIST_MAX and the first to end first; and that it
 * has been told. */
int identities_list_to_tell(struct db *db, int64_t now_s, struct identity_list *ret_list, struct nel_err *err);
int identities_note_told(struct db *db, const char *user, const char *cluster, struct nel_err *err);

int identities_delete(struct db *db, const char *user, const char *cluster, struct nel_err *err); /* NOTFOUND */

#endif

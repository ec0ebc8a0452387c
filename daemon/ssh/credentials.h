/* What is known of one identity's certificate: where a credential_command hands it out, with its key, which are then
 * had from here and renewed here; where it is in a file, how long that is good. Thread-safe; the lock is not held while
 * a program runs. */
#ifndef NEL_SSH_CREDENTIALS_H
#define NEL_SSH_CREDENTIALS_H

#include "ssh/credential_command.h"

struct ssh_credentials;

/* All copied but stop. One of command and certificate_file. */
struct ssh_credentials_options {
	const char *cluster;
	const char *hostname;
	const char *username;
	const char *const *command; /* NULL-terminated; NULL: none */
	int64_t timeout_ms;         /* of the command */
	const char *certificate_file;
	/* Told after each run of the command, on the thread that ran it, without a lock: the error, or NULL and when
	 * the certificate ends (0: never). NULL: nobody. */
	void (*report)(const struct ssh_credentials_options *options, const struct nel_err *err, int64_t expires_at);
};

struct ssh_credentials *ssh_credentials_new(const struct ssh_credentials_options *options);
void ssh_credentials_free(struct ssh_credentials *credentials); /* nobody may use it; accepts NULL */

/* Are they what the options ask for? */
bool ssh_credentials_match(const struct ssh_credentials *credentials, const struct ssh_credentials_options *options);

/* Does a command hand them out? */
bool ssh_credentials_are_handed_out(const struct ssh_credentials *credentials);

/* A copy of key and certificate for a login. Where there is none that is valid the command is run, by one caller at a
 * time; the others wait for its end. After a failure it is not run again for a while (5 s, doubled each time, up to 60)
 * and that failure is returned: DENIED. REMOTE with sys ECANCELED when *stop (or NULL) became true. */
int ssh_credentials_take(struct ssh_credentials *credentials, const volatile bool *stop, struct credential *ret,
			 struct nel_err *err);

/* How the login with the certificate of that id went. One that was refused before its time is had anew, a minute after
 * it was had at the earliest, and later each time. */
void ssh_credentials_note_login(struct ssh_credentials *credentials, const char *id, bool refused);

/* Somebody works with the identity now: what is used is renewed before it expires, the rest when it is needed. */
void ssh_credentials_touch(struct ssh_credentials *credentials);

/* Milliseconds until a renewal is due, 0: now; INT64_MAX: none is foreseen. At nine tenths of the time for which the
 * last one was given. */
int64_t ssh_credentials_due_in_ms(struct ssh_credentials *credentials);

/* Somebody will call ssh_credentials_renew(): nothing more is due until then. */
void ssh_credentials_claim(struct ssh_credentials *credentials);

/* Runs the command when that is due. What there is stays in use until it expires when the command fails: -1, as above.
 */
int ssh_credentials_renew(struct ssh_credentials *credentials, const volatile bool *stop, struct nel_err *err);

/* Reads certificate_file when it has changed since. */
void ssh_credentials_look(struct ssh_credentials *credentials);

/* Forgets the key. */
void ssh_credentials_drop(struct ssh_credentials *credentials);

struct ssh_credentials_state {
	char id[CERTIFICATE_ID_SIZE]; /* of the certificate; "": there is none */
	int64_t expires_at;           /* UTC; 0: never, or not known */
	int64_t tell_at;              /* UTC; when its end is to be told of; 0: never */
	int64_t renewed_at;           /* UTC; when the command last gave one; 0: it has not */
	int64_t runs;                 /* of the command */
	char error[NEL_ERR_MSG_MAX];  /* of the last run, or of the file; "": all is well */
	json_t *warnings;             /* an array of texts; json_decref() */
};

/* The certificate that the command handed out last: another text for another one, "" for none. */
void ssh_credentials_id(struct ssh_credentials *credentials, char ret_id[CERTIFICATE_ID_SIZE]);

void ssh_credentials_state(struct ssh_credentials *credentials, struct ssh_credentials_state *ret_state);

/* When the end of a certificate that people renew is to be told of: a fifth of its time before, and at most a week. */
int64_t certificate_tell_at(const struct certificate *certificate);

#endif

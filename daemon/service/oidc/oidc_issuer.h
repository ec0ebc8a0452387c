/* The thread that has an issuer's keys at hand: it fetches them when the daemon starts, again before they grow old,
 * and, at most once an interval, when a token names a key that is not known. Nobody waits for a fetch but requests that
 * have no keys to be checked with, and those are suspended, not their threads.
 *
 * While the issuer cannot be reached, the keys that are there hold on for oidc.jwks_keep_s. */
#ifndef NEL_SERVICE_OIDC_OIDC_ISSUER_H
#define NEL_SERVICE_OIDC_OIDC_ISSUER_H

#include "config/settings/settings.h"
#include "service/oidc/oidc_keys.h"

#define OIDC_WAITERS_MAX 512

struct oidc_issuer;

/* Starts the thread, also when the settings name no issuer: a reload may. Settings must outlive it. */
int oidc_issuer_start(const struct settings *settings, struct oidc_issuer **ret_issuer, struct nel_err *err);

/* At once; whoever waits is called. Accepts NULL. */
void oidc_issuer_stop(struct oidc_issuer *issuer);

/* Other settings. The keys are fetched anew when they name another issuer. Any thread. */
void oidc_issuer_reload(struct oidc_issuer *issuer, const struct settings *settings);

/* The keys that tokens may be checked with now, for oidc_keys_release(). BUSY: there are none, and why. Any thread. */
int oidc_issuer_keys(struct oidc_issuer *issuer, struct oidc_keys **ret_keys, struct nel_err *err);

/* Other keys are wanted than those (NULL: than none), for a token. True: a fetch is under way or about to begin, so
 * that waiting for its end may help. False: there was one lately, or it failed lately. Any thread. */
bool oidc_issuer_want(struct oidc_issuer *issuer, const struct oidc_keys *keys);

/* Calls done(arg), once, when the fetch that is under way or about to begin has ended; at once when there is none. From
 * the issuer's thread, or from within. BUSY: too many wait; done is not called then. Any thread. */
int oidc_issuer_wait(struct oidc_issuer *issuer, void (*done)(void *arg), void *arg, struct nel_err *err);

#endif

/* Owns the credentials that a command hands out: when it is run, and how long what it gave is used. */
#include "ssh/credentials.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "base/str_list.h"
#include "ssh/transport.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#define WAKE_MS 100
#define LEFT_MIN_S 1 /* a certificate that ends sooner is not begun with */
#define BACKOFF_MIN_MS 5000
#define BACKOFF_MAX_MS 60000
#define REFUSED_MIN_MS 60000
#define REFUSED_MAX_MS (60 * 60 * 1000)
#define IN_USE_MS (10 * 60 * 1000) /* since it was last touched */
#define WEEK_S (7 * 24 * 3600)

struct ssh_credentials {
	struct ssh_credentials_options options; /* its texts are owned */
	pthread_mutex_t lock;                   /* of all below */
	pthread_cond_t changed;                 /* a run has ended */
	bool running;
	bool claimed; /* somebody is about to renew */
	bool has;
	struct credential credential;
	int64_t had_s, renew_s; /* UTC; 0: never */
	int64_t touched_ms;     /* monotonic */
	int64_t runs;
	int failures;     /* in a row */
	int64_t retry_ms; /* monotonic: not run before, since it failed */
	int refusals;     /* logins that were refused, in a row, with another certificate each */
	bool refused;     /* the one there is was; */
	int64_t again_ms; /* monotonic: then another one is had */
	struct nel_err err;
	/* of certificate_file */
	struct stat looked;
	bool has_looked;
};

struct ssh_credentials *ssh_credentials_new(const struct ssh_credentials_options *options)
{
	struct ssh_credentials *c = mem_calloc(1, sizeof *c);
	c->options = (struct ssh_credentials_options){
	    .cluster = mem_strdup(options->cluster),
	    .hostname = mem_strdup(options->hostname),
	    .username = mem_strdup(options->username),
	    .command = (const char *const *)str_list_copy(options->command),
	    .timeout_ms = options->timeout_ms,
	    .certificate_file = mem_strdup(options->certificate_file),
	    .report = options->report,
	};
	pthread_mutex_init(&c->lock, NULL);
	clock_cond_init(&c->changed);
	return c;
}

void ssh_credentials_free(struct ssh_credentials *c)
{
	if (c == NULL)
		return;
	credential_done(&c->credential);
	free((char *)c->options.cluster);
	free((char *)c->options.hostname);
	free((char *)c->options.username);
	str_list_free((char **)c->options.command);
	free((char *)c->options.certificate_file);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

bool ssh_credentials_match(const struct ssh_credentials *c, const struct ssh_credentials_options *options)
{
	const struct ssh_credentials_options *own = &c->options;
	return str_equal(own->cluster, options->cluster) && str_equal(own->hostname, options->hostname) &&
	       str_equal(own->username, options->username) && str_list_equal(own->command, options->command) &&
	       own->timeout_ms == options->timeout_ms && str_equal(own->certificate_file, options->certificate_file);
}

bool ssh_credentials_are_handed_out(const struct ssh_credentials *c)
{
	return c->options.command != NULL;
}

/* ---- when: under the lock ---- */

static bool is_valid(const struct ssh_credentials *c)
{
	int64_t expires_at = c->credential.certificate.expires_at;
	return c->has && (expires_at == 0 || clock_now_s() + LEFT_MIN_S < expires_at);
}

/* Has what there is been refused, and is it time to ask for another? */
static bool is_distrusted(const struct ssh_credentials *c)
{
	return c->refused && clock_mono_ms() >= c->again_ms;
}

static bool may_run(const struct ssh_credentials *c)
{
	return !c->running && clock_mono_ms() >= c->retry_ms;
}

static bool is_due(const struct ssh_credentials *c)
{
	return !is_valid(c) || is_distrusted(c) || (c->renew_s != 0 && clock_now_s() >= c->renew_s);
}

static int64_t pause_ms(int64_t least_ms, int64_t most_ms, int times)
{
	int64_t ms = least_ms;
	for (int i = 1; i < times && ms < most_ms; i++)
		ms *= 2;
	if (ms > most_ms)
		ms = most_ms;
	return ms - (int64_t)randombytes_uniform((uint32_t)(ms / 5) + 1); /* not all at the same time */
}

static void store(struct ssh_credentials *c, struct credential *given)
{
	credential_done(&c->credential);
	c->credential = *given;
	*given = (struct credential){0};
	int64_t expires_at = c->credential.certificate.expires_at;
	c->has = true;
	c->refused = false;
	c->failures = 0;
	c->retry_ms = 0;
	c->err = (struct nel_err){0};
	c->had_s = clock_now_s();
	c->renew_s = expires_at == 0 ? 0 : c->had_s + (expires_at - c->had_s) * 9 / 10;
}

/* Runs the command; the lock is let go of meanwhile. */
static int run(struct ssh_credentials *c, const volatile bool *stop, struct nel_err *err)
{
	const struct ssh_credentials_options *o = &c->options;
	const struct credential_order order = {.argv = o->command,
					       .cluster = o->cluster,
					       .hostname = o->hostname,
					       .username = o->username,
					       .timeout_ms = o->timeout_ms,
					       .stop = stop};
	CLEANUP(credential_done) struct credential given = {0};
	struct nel_err own = {0};
	c->running = true;
	c->runs++;
	pthread_mutex_unlock(&c->lock);
	int rc = credential_command_run(&order, &given, &own);
	int64_t expires_at = given.certificate.expires_at;
	if (o->report != NULL && own.sys != ECANCELED)
		o->report(o, rc == 0 ? NULL : &own, expires_at);
	pthread_mutex_lock(&c->lock);
	c->running = false;
	if (rc == 0) {
		store(c, &given);
	} else if (own.sys != ECANCELED) {
		c->err = own;
		c->retry_ms = clock_mono_ms() + pause_ms(BACKOFF_MIN_MS, BACKOFF_MAX_MS, ++c->failures);
	}
	pthread_cond_broadcast(&c->changed);
	if (rc != 0 && err != NULL)
		*err = own;
	return rc;
}

static void copy(const struct ssh_credentials *c, struct credential *ret)
{
	const struct credential *own = &c->credential;
	const struct certificate *certificate = &own->certificate;
	*ret = (struct credential){.key = sodium_malloc(own->key_size + 1), .key_size = own->key_size};
	if (ret->key == NULL)
		abort(); /* as mem_calloc() */
	memcpy(ret->key, own->key, own->key_size + 1);
	ret->certificate.line = mem_strdup(certificate->line);
	ret->certificate.expires_at = certificate->expires_at;
	memcpy(ret->certificate.id, certificate->id, sizeof certificate->id);
}

static int give_up(struct nel_err *err)
{
	err_set(err, NEL_REMOTE, "waiting for credential_command: given up, as asked");
	if (err != NULL)
		err->sys = ECANCELED;
	return -1;
}

/* Under the lock, which is let go of meanwhile. */
static int take(struct ssh_credentials *c, const volatile bool *stop, struct credential *ret, struct nel_err *err)
{
	for (;;) {
		if (is_valid(c) && !(is_distrusted(c) && may_run(c))) {
			copy(c, ret);
			return 0;
		}
		if (transport_is_stopped(stop))
			return give_up(err);
		if (c->running) {
			clock_cond_wait(&c->changed, &c->lock, WAKE_MS);
		} else if (!may_run(c)) {
			if (err != NULL)
				*err = c->err;
			return -1;
		} else if (run(c, stop, err) != 0 && !is_valid(c)) {
			return -1;
		}
	}
}

int ssh_credentials_take(struct ssh_credentials *c, const volatile bool *stop, struct credential *ret,
			 struct nel_err *err)
{
	pthread_mutex_lock(&c->lock);
	c->touched_ms = clock_mono_ms();
	int rc = take(c, stop, ret, err);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

void ssh_credentials_note_login(struct ssh_credentials *c, const char *id, bool refused)
{
	pthread_mutex_lock(&c->lock);
	bool same_one = c->has && strcmp(c->credential.certificate.id, id) == 0;
	if (same_one && !refused) {
		c->refused = false;
		c->refusals = 0;
	} else if (same_one && !c->refused) {
		c->refused = true;
		c->again_ms = clock_mono_ms() + pause_ms(REFUSED_MIN_MS, REFUSED_MAX_MS, ++c->refusals);
	}
	pthread_mutex_unlock(&c->lock);
}

void ssh_credentials_touch(struct ssh_credentials *c)
{
	pthread_mutex_lock(&c->lock);
	c->touched_ms = clock_mono_ms();
	pthread_mutex_unlock(&c->lock);
}

int64_t ssh_credentials_due_in_ms(struct ssh_credentials *c)
{
	int64_t due_ms = INT64_MAX;
	pthread_mutex_lock(&c->lock);
	int64_t now_ms = clock_mono_ms();
	if (c->options.command != NULL && !c->running && !c->claimed && c->runs > 0 &&
	    now_ms - c->touched_ms < IN_USE_MS) {
		due_ms = is_due(c) ? 0 : c->renew_s != 0 ? (c->renew_s - clock_now_s()) * 1000 : INT64_MAX;
		if (due_ms < c->retry_ms - now_ms)
			due_ms = c->retry_ms - now_ms;
	}
	pthread_mutex_unlock(&c->lock);
	return due_ms;
}

void ssh_credentials_claim(struct ssh_credentials *c)
{
	pthread_mutex_lock(&c->lock);
	c->claimed = true;
	pthread_mutex_unlock(&c->lock);
}

int ssh_credentials_renew(struct ssh_credentials *c, const volatile bool *stop, struct nel_err *err)
{
	pthread_mutex_lock(&c->lock);
	c->claimed = false;
	int rc = is_due(c) && may_run(c) ? run(c, stop, err) : 0;
	pthread_mutex_unlock(&c->lock);
	return rc;
}

void ssh_credentials_drop(struct ssh_credentials *c)
{
	pthread_mutex_lock(&c->lock);
	credential_done(&c->credential);
	c->has = false;
	c->touched_ms = -IN_USE_MS;
	pthread_mutex_unlock(&c->lock);
}

/* ---- a certificate in a file ---- */

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

void ssh_credentials_look(struct ssh_credentials *c)
{
	const char *path = c->options.certificate_file;
	struct stat now = {0};
	if (path == NULL)
		return;
	bool there = stat(path, &now) == 0;
	pthread_mutex_lock(&c->lock);
	bool changed = !c->has_looked || !there || !same_file(&c->looked, &now);
	pthread_mutex_unlock(&c->lock);
	if (!changed)
		return;
	CLEANUP(certificate_done) struct certificate certificate = {0};
	struct nel_err err = {0};
	int rc = certificate_load(path, &certificate, &err);
	pthread_mutex_lock(&c->lock);
	c->looked = now;
	c->has_looked = there;
	certificate_done(&c->credential.certificate);
	c->credential.certificate = certificate;
	certificate = (struct certificate){0};
	c->has = rc == 0;
	c->err = err;
	pthread_mutex_unlock(&c->lock);
}

/* ---- how it is ---- */

int64_t certificate_tell_at(const struct certificate *c)
{
	if (c->expires_at == 0)
		return 0;
	int64_t lead_s = (c->expires_at - c->valid_after) / 5;
	return c->expires_at - (lead_s < WEEK_S ? lead_s : WEEK_S);
}

/* The command's is told of when its renewal has failed for half of the time that it has. */
static int64_t tell_at(const struct ssh_credentials *c)
{
	const struct certificate *certificate = &c->credential.certificate;
	if (c->options.command == NULL || certificate->expires_at == 0)
		return certificate_tell_at(certificate);
	int64_t lead_s = (certificate->expires_at - c->had_s) / 20;
	return certificate->expires_at - (lead_s > 0 ? lead_s : 1);
}

void ssh_credentials_id(struct ssh_credentials *c, char ret_id[CERTIFICATE_ID_SIZE])
{
	pthread_mutex_lock(&c->lock);
	if (c->options.command != NULL && c->has)
		memcpy(ret_id, c->credential.certificate.id, CERTIFICATE_ID_SIZE);
	else
		ret_id[0] = '\0';
	pthread_mutex_unlock(&c->lock);
}

void ssh_credentials_state(struct ssh_credentials *c, struct ssh_credentials_state *ret_state)
{
	struct ssh_credentials_state state = {0};
	struct nel_err expired = {0};
	pthread_mutex_lock(&c->lock);
	const struct certificate *certificate = &c->credential.certificate;
	state.warnings = c->has ? json_deep_copy(certificate->warnings) : NULL;
	if (state.warnings == NULL)
		state.warnings = json_array();
	state.runs = c->runs;
	const struct nel_err *err = &c->err;
	if (c->has) {
		memcpy(state.id, certificate->id, sizeof state.id);
		state.expires_at = certificate->expires_at;
		state.tell_at = tell_at(c);
		state.renewed_at = c->had_s;
		if (err->kind == NEL_OK &&
		    certificate_check_time(certificate, "the certificate", clock_now_s(), &expired) != 0)
			err = &expired;
	}
	if (c->has && json_array_size(certificate->principals) > 0 &&
	    !certificate_names(certificate, c->options.username)) {
		CLEANUP(mem_freep)
		char *text = mem_printf("it does not name the account %s among its principals: the login node has to "
					"know them otherwise (AuthorizedPrincipalsFile)",
					c->options.username);
		json_array_append_new(state.warnings, json_string(text));
	}
	memcpy(state.error, err->msg, sizeof state.error);
	pthread_mutex_unlock(&c->lock);
	*ret_state = state;
}

/* Owns the warm sessions of one identity on one cluster, their counts, and the memory of what went wrong last. */
#include "ssh/pool.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str_list.h"
#include "ssh/credentials.h"
#include "ssh/session_internal.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define DENIED_RETRY_MS 10000
#define SESSIONS_MAX 64
#define GATE_TIMEOUT_MS 30000

/* sshd closes connections beyond its MaxStartups, and beyond PerSourceMaxStartups, before it says anything: another try
 * a moment later, with the place at the host kept meanwhile, so that there are fewer at once. */
#define DROPS_MAX 4
#define DROP_PAUSE_MS 250 /* doubled each time; the later half of it is random */

enum slot_state { SLOT_FREE, SLOT_IDLE, SLOT_BUSY, SLOT_TENDED };

/* A place for one session. Whoever made it BUSY or TENDED owns the session until it is IDLE or FREE again. */
struct slot {
	enum slot_state state;
	bool open; /* it has a session */
	struct ssh_session *session;
	int64_t used_ms; /* monotonic */
};

/* What a file looked like. */
struct stamp {
	int64_t mtime_s, mtime_ns, size;
	uint64_t inode;
};

/* A change of one of these makes a refused login worth another try. */
struct stamps {
	struct stamp key, certificate, known_hosts;
	char handed_out[CERTIFICATE_ID_SIZE]; /* the certificate of credential_command; "": none */
};

/* The last refusal. */
struct denial {
	bool set;
	int64_t retry_at_ms; /* monotonic */
	struct stamps stamps;
	struct nel_err err;
};

struct ssh_pool {
	pthread_mutex_t lock; /* of all below; never held while SSH is spoken or a file is looked at */
	pthread_cond_t tended;
	struct ssh_target target;
	int64_t idle_timeout_ms;
	const volatile bool *stop;
	struct ssh_host_limit *limit, *own_limit;
	char **environment;
	struct breaker breaker;
	struct denial denial;
	struct ssh_pool_stats stats;
	struct slot lent; /* FREE or BUSY */
	int slot_count;
	struct slot slots[SESSIONS_MAX];
};

static void copy_target(struct ssh_target *to, const struct ssh_target *from)
{
	*to = *from;
	to->cluster = mem_strdup(from->cluster);
	to->hostname = mem_strdup(from->hostname);
	to->address = mem_strdup(from->address);
	to->username = mem_strdup(from->username);
	to->key_file = mem_strdup(from->key_file);
	to->certificate_file = mem_strdup(from->certificate_file);
	to->key = from->key == NULL ? NULL : mem_dup(from->key, from->key_size);
	to->key_name = mem_strdup(from->key_name);
	to->certificate = mem_strdup(from->certificate);
	to->agent_socket = mem_strdup(from->agent_socket);
	to->agent_key = mem_strdup(from->agent_key);
	to->known_hosts_file = mem_strdup(from->known_hosts_file);
	to->proxy_command = mem_strdup(from->proxy_command);
}

static void free_target(struct ssh_target *target)
{
	free((char *)target->cluster);
	free((char *)target->hostname);
	free((char *)target->address);
	free((char *)target->username);
	free((char *)target->key_file);
	free((char *)target->certificate_file);
	secret_free((char *)target->key, target->key_size);
	free((char *)target->key_name);
	free((char *)target->certificate);
	free((char *)target->agent_socket);
	free((char *)target->agent_key);
	free((char *)target->known_hosts_file);
	free((char *)target->proxy_command);
}

const char *const *ssh_pool_environment(const struct ssh_pool *pool)
{
	return (const char *const *)pool->environment;
}

struct ssh_pool *ssh_pool_new(const struct ssh_pool_options *options)
{
	static const char *const no_environment[] = {NULL};
	struct ssh_pool *pool = mem_calloc(1, sizeof *pool);
	uint64_t seed;
	randombytes_buf(&seed, sizeof seed);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->tended, NULL);
	copy_target(&pool->target, &options->target);
	pool->environment = str_list_copy(options->environment != NULL ? options->environment : no_environment);
	breaker_init(&pool->breaker, seed);
	pool->slot_count = options->max_sessions < 1              ? 1
			   : options->max_sessions > SESSIONS_MAX ? SESSIONS_MAX
								  : options->max_sessions;
	pool->idle_timeout_ms = options->idle_timeout_ms;
	pool->stop = options->stop;
	if (options->limit == NULL)
		pool->own_limit = ssh_host_limit_new(options->max_handshakes);
	pool->limit = options->limit == NULL ? pool->own_limit : options->limit;
	return pool;
}

void ssh_pool_free(struct ssh_pool *pool)
{
	if (pool == NULL)
		return;
	for (int i = 0; i < pool->slot_count; i++)
		ssh_session_close(pool->slots[i].session);
	ssh_host_limit_free(pool->own_limit);
	free_target(&pool->target);
	str_list_free(pool->environment);
	pthread_cond_destroy(&pool->tended);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

static struct stamp stamp_of(const char *path)
{
	struct stat st;
	if (path == NULL || stat(path, &st) != 0)
		return (struct stamp){.size = -1};
	return (struct stamp){st.st_mtim.tv_sec, st.st_mtim.tv_nsec, st.st_size, st.st_ino};
}

/* What changes when the credentials do. */
static const char *key_path(const struct ssh_target *target)
{
	if (target->agent_socket != NULL)
		return target->agent_socket;
	return target->key == NULL ? target->key_file : NULL;
}

static struct stamps stamps_of(const struct ssh_target *target)
{
	struct stamps stamps = {.key = stamp_of(key_path(target)),
				.certificate = stamp_of(target->certificate_file),
				.known_hosts = stamp_of(target->known_hosts_file)};
	if (target->credentials != NULL)
		ssh_credentials_id(target->credentials, stamps.handed_out);
	return stamps;
}

static bool same_stamp(struct stamp a, struct stamp b)
{
	return a.mtime_s == b.mtime_s && a.mtime_ns == b.mtime_ns && a.size == b.size && a.inode == b.inode;
}

static bool same_stamps(const struct stamps *a, const struct stamps *b)
{
	return same_stamp(a->key, b->key) && same_stamp(a->certificate, b->certificate) &&
	       same_stamp(a->known_hosts, b->known_hosts) && strcmp(a->handed_out, b->handed_out) == 0;
}

/* Under the lock: the remembered refusal into *err and -1, unless it is time for another try. */
static int check_denial(struct ssh_pool *pool, const struct stamps *stamps, struct nel_err *err)
{
	struct denial *d = &pool->denial;
	if (!d->set)
		return 0;
	if (same_stamps(&d->stamps, stamps) && clock_mono_ms() < d->retry_at_ms) {
		if (err != NULL)
			*err = d->err;
		return -1;
	}
	/* One tries; for the others it stays as it is. */
	d->stamps = *stamps;
	d->retry_at_ms = clock_mono_ms() + DENIED_RETRY_MS;
	return 0;
}

/* Under the lock: why the pool's own breaker lets nothing through. */
static int say_broken(struct ssh_pool *pool, struct nel_err *err)
{
	int64_t left_ms = breaker_retry_in_ms(&pool->breaker);
	const char *last = pool->stats.last_error;
	if (pool->breaker.state == BREAKER_HALF_OPEN)
		return err_set(err, NEL_BUSY, "%s is being tried again after: %s", pool->target.cluster, last);
	return err_set(err, NEL_BUSY, "%s is left alone for another %lld s after: %s", pool->target.cluster,
		       (long long)((left_ms + 999) / 1000), last);
}

/* Under the lock: the slot to use, or NULL; *ret_wait when one is only being tended. The session used last is taken
 * first, so that those that are not needed grow idle. */
static struct slot *find_slot(struct ssh_pool *pool, bool *ret_wait)
{
	struct slot *best = NULL, *empty = NULL;
	*ret_wait = false;
	for (int i = 0; i < pool->slot_count; i++) {
		struct slot *slot = &pool->slots[i];
		switch (slot->state) {
		case SLOT_FREE: empty = slot; break;
		case SLOT_IDLE:
			if (best == NULL || slot->used_ms > best->used_ms)
				best = slot;
			break;
		case SLOT_BUSY: break;
		case SLOT_TENDED: *ret_wait = true; break;
		}
	}
	return best != NULL ? best : empty;
}

/* Under the lock: takes the slot, unless the host is left alone or refuses the key. */
static int enter(struct ssh_pool *pool, struct slot *slot, const struct stamps *stamps, struct nel_err *err)
{
	if (!breaker_enter(&pool->breaker))
		return say_broken(pool, err);
	if (!slot->open && check_denial(pool, stamps, err) != 0) {
		breaker_cancel(&pool->breaker);
		return -1;
	}
	slot->state = SLOT_BUSY;
	return 0;
}

/* Makes a slot the caller's; *ret_probe when this is the breaker's probe. */
static int acquire(struct ssh_pool *pool, struct slot **ret_slot, bool *ret_probe, struct nel_err *err)
{
	const struct stamps stamps = stamps_of(&pool->target);
	int rc = -1;
	bool wait;
	pthread_mutex_lock(&pool->lock);
	struct slot *slot;
	while ((slot = find_slot(pool, &wait)) == NULL && wait)
		pthread_cond_wait(&pool->tended, &pool->lock);
	if (slot == NULL) {
		err_set(err, NEL_BUSY, "all %d SSH sessions to %s are in use", pool->slot_count, pool->target.cluster);
	} else if (enter(pool, slot, &stamps, err) == 0) {
		*ret_slot = slot;
		*ret_probe = pool->breaker.state == BREAKER_HALF_OPEN;
		rc = 0;
	}
	pthread_mutex_unlock(&pool->lock);
	return rc;
}

/* Gives the slot back; its session stays when keep is set. */
static void release(struct ssh_pool *pool, struct slot *slot, bool keep)
{
	struct ssh_session *gone = keep ? NULL : TAKE(slot->session);
	ssh_session_close(gone);
	pthread_mutex_lock(&pool->lock);
	slot->open = keep;
	slot->state = keep ? SLOT_IDLE : SLOT_FREE;
	slot->used_ms = clock_mono_ms();
	pthread_cond_broadcast(&pool->tended);
	pthread_mutex_unlock(&pool->lock);
}

static void note_success(struct ssh_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	breaker_success(&pool->breaker);
	pool->stats.last_kind = NEL_OK;
	pool->stats.last_reason = NEL_REASON_NONE;
	pool->stats.last_error[0] = '\0';
	pool->stats.last_ok_s = clock_now_s();
	pthread_mutex_unlock(&pool->lock);
}

/* Does this say that the host or the network failed? */
static bool is_host_fault(const struct nel_err *err, bool sent)
{
	if (err->kind != NEL_REMOTE || err->sys == ECANCELED || err->sys == EMSGSIZE)
		return false;
	return !(sent && err->sys == ETIMEDOUT);
}

/* met: the server had answered; a fault before that is the limit's to count. */
static void note_failure(struct ssh_pool *pool, const struct nel_err *err, bool met, bool sent, bool probe)
{
	const struct stamps stamps = stamps_of(&pool->target);
	pthread_mutex_lock(&pool->lock);
	struct ssh_pool_stats *stats = &pool->stats;
	if (met && is_host_fault(err, sent))
		breaker_failure(&pool->breaker);
	else if (probe)
		breaker_cancel(&pool->breaker);
	if (err->kind == NEL_DENIED)
		pool->denial = (struct denial){
		    .set = true, .retry_at_ms = clock_mono_ms() + DENIED_RETRY_MS, .stamps = stamps, .err = *err};
	if (err->sys != ECANCELED && err->kind != NEL_BUSY) {
		stats->failures++;
		stats->last_kind = err->kind;
		stats->last_reason = err->reason;
		snprintf(stats->last_error, sizeof stats->last_error, "%.*s", (int)sizeof stats->last_error - 1,
			 err->msg);
		stats->last_error_s = clock_now_s();
	}
	pthread_mutex_unlock(&pool->lock);
}

static int try_connect(struct ssh_pool *pool, struct slot *slot, const volatile bool *stop, bool *ret_met,
		       struct nel_err *err)
{
	pthread_mutex_lock(&pool->lock);
	pool->stats.handshakes++;
	pthread_mutex_unlock(&pool->lock);
	return session_open(&pool->target, stop, &slot->session, ret_met, err);
}

static void pause_after_drop(int drops, const volatile bool *stop)
{
	int64_t half_ms = (int64_t)(DROP_PAUSE_MS / 2) << drops;
	int64_t left_ms = half_ms + (int64_t)randombytes_uniform((uint32_t)half_ms);
	for (; left_ms > 0 && !transport_is_stopped(stop); left_ms -= 10)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

static int connect_slot(struct ssh_pool *pool, struct slot *slot, const volatile bool *stop, bool *ret_met,
			struct nel_err *err)
{
	*ret_met = false;
	if (ssh_host_limit_enter(pool->limit, pool->target.cluster, GATE_TIMEOUT_MS, stop, err) != 0)
		return -1;
	int rc = try_connect(pool, slot, stop, ret_met, err);
	for (int i = 0; i < DROPS_MAX && rc != 0 && !*ret_met && err->sys == ECONNRESET && !transport_is_stopped(stop);
	     i++) {
		pause_after_drop(i, stop);
		rc = try_connect(pool, slot, stop, ret_met, err);
	}
	enum ssh_host_limit_finding finding = *ret_met                    ? SSH_GATE_ANSWERED
					      : is_host_fault(err, false) ? SSH_GATE_FAILED
									  : SSH_GATE_UNTRIED;
	ssh_host_limit_leave(pool->limit, finding, err);
	if (rc != 0)
		return -1;
	pthread_mutex_lock(&pool->lock);
	slot->open = true;
	pool->denial.set = false;
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

static int exec_on(struct ssh_pool *pool, struct slot *slot, const struct ssh_exec *exec, struct ssh_result *ret_result,
		   bool *ret_sent, struct nel_err *err)
{
	int rc = ssh_session_exec(slot->session, exec, ret_result, ret_sent, err);
	if (rc == 0 || *ret_sent) {
		pthread_mutex_lock(&pool->lock);
		pool->stats.execs++;
		pthread_mutex_unlock(&pool->lock);
	}
	return rc;
}

/* Is the session's end, found before anything was sent, one of those that a new connection may cure? */
static bool is_worth_new(const struct nel_err *err, bool warm, bool sent)
{
	return warm && !sent && err->kind == NEL_REMOTE && err->sys != ECANCELED;
}

int ssh_pool_exec(struct ssh_pool *pool, const struct ssh_exec *given, struct ssh_result *ret_result, bool *ret_sent,
		  struct nel_err *err)
{
	struct nel_err own = {0};
	struct ssh_exec stoppable = *given;
	const struct ssh_exec *exec = &stoppable;
	if (given->stop == NULL)
		stoppable.stop = pool->stop;
	struct slot *slot = NULL;
	*ret_sent = false;
	bool probe = false;
	if (acquire(pool, &slot, &probe, err) != 0)
		return -1;
	bool warm = slot->open;
	bool met = warm;
	int rc = warm ? 0 : connect_slot(pool, slot, exec->stop, &met, &own);
	if (rc == 0)
		rc = exec_on(pool, slot, exec, ret_result, ret_sent, &own);
	if (rc != 0 && is_worth_new(&own, warm, *ret_sent)) {
		ssh_session_close(TAKE(slot->session));
		pthread_mutex_lock(&pool->lock);
		slot->open = false;
		pthread_mutex_unlock(&pool->lock);
		rc = connect_slot(pool, slot, exec->stop, &met, &own);
		if (rc == 0)
			rc = exec_on(pool, slot, exec, ret_result, ret_sent, &own);
	}
	if (rc == 0)
		note_success(pool);
	else
		note_failure(pool, &own, met, *ret_sent, probe);
	release(pool, slot, rc == 0 || (own.kind == NEL_INVALID && slot->session != NULL));
	if (rc != 0 && err != NULL)
		*err = own;
	return rc;
}

int ssh_pool_lend(struct ssh_pool *pool, struct ssh_session **ret_session, struct nel_err *err)
{
	struct nel_err own = {0};
	const struct stamps stamps = stamps_of(&pool->target);
	pthread_mutex_lock(&pool->lock);
	assert(pool->lent.state == SLOT_FREE);
	int rc = enter(pool, &pool->lent, &stamps, err);
	bool probe = pool->breaker.state == BREAKER_HALF_OPEN;
	pthread_mutex_unlock(&pool->lock);
	if (rc != 0)
		return -1;
	bool met = false;
	if (connect_slot(pool, &pool->lent, pool->stop, &met, &own) != 0) {
		note_failure(pool, &own, met, false, probe);
		release(pool, &pool->lent, false);
		if (err != NULL)
			*err = own;
		return -1;
	}
	note_success(pool);
	*ret_session = pool->lent.session;
	return 0;
}

void ssh_pool_take_back(struct ssh_pool *pool, const struct nel_err *err)
{
	if (err != NULL)
		note_failure(pool, err, true, true, false);
	release(pool, &pool->lent, false);
}

void ssh_pool_count_exec(struct ssh_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->stats.execs++;
	pthread_mutex_unlock(&pool->lock);
}

/* Closes the slot's session, or keeps it alive. The slot is the caller's. */
static void tend_slot(struct ssh_pool *pool, struct slot *slot, int64_t used_ms)
{
	bool idle = clock_mono_ms() - used_ms > pool->idle_timeout_ms;
	bool keep = !idle && ssh_session_keepalive(slot->session, NULL) == 0;
	if (!keep)
		ssh_session_close(TAKE(slot->session));
	pthread_mutex_lock(&pool->lock);
	slot->open = keep;
	slot->state = keep ? SLOT_IDLE : SLOT_FREE;
	pthread_cond_broadcast(&pool->tended);
	pthread_mutex_unlock(&pool->lock);
}

void ssh_pool_tend(struct ssh_pool *pool)
{
	for (int i = 0; i < pool->slot_count; i++) {
		struct slot *slot = &pool->slots[i];
		pthread_mutex_lock(&pool->lock);
		bool mine = slot->state == SLOT_IDLE;
		if (mine)
			slot->state = SLOT_TENDED;
		int64_t used_ms = slot->used_ms;
		pthread_mutex_unlock(&pool->lock);
		if (mine)
			tend_slot(pool, slot, used_ms);
	}
}

void ssh_pool_stats(struct ssh_pool *pool, struct ssh_pool_stats *ret_stats)
{
	pthread_mutex_lock(&pool->lock);
	*ret_stats = pool->stats;
	for (int i = 0; i < pool->slot_count; i++) {
		const struct slot *slot = &pool->slots[i];
		ret_stats->sessions += slot->open ? 1 : 0;
		ret_stats->busy += slot->open && slot->state == SLOT_BUSY ? 1 : 0;
	}
	ret_stats->lent = pool->lent.open;
	ret_stats->breaker = pool->breaker.state;
	ret_stats->retry_in_ms = breaker_retry_in_ms(&pool->breaker);
	pthread_mutex_unlock(&pool->lock);
	int64_t retry_in_ms;
	enum breaker_state state = ssh_host_limit_breaker(pool->limit, &retry_in_ms);
	if (ret_stats->breaker == BREAKER_CLOSED)
		ret_stats->breaker = state;
	if (ret_stats->retry_in_ms < retry_in_ms)
		ret_stats->retry_in_ms = retry_in_ms;
}

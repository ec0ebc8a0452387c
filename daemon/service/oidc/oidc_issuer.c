#include "service/oidc/oidc_issuer.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/oidc/oidc_fetch.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define RETRY_MAX_MS (300 * 1000)
#define IDLE_MS (3600 * 1000)

struct waiter {
	void (*done)(void *arg);
	void *arg;
};

struct oidc_issuer {
	CURLM *multi; /* the thread's; others wake it */
	pthread_t thread;
	atomic_bool stopping;

	pthread_mutex_t lock; /* of all that follows; never held in a callback */
	const struct settings *settings;
	struct oidc_keys *keys; /* NULL: none */
	int64_t fetched_ms;     /* monotonic, as all times here */
	int64_t next_ms;        /* when to fetch */
	int64_t asked_ms;       /* when a fetch was last begun for a key that was not known; 0: never */
	int failures;           /* in a row */
	bool fetching;
	char error[NEL_ERR_MSG_MAX]; /* of the last fetch; "": none, or it went well */
	struct waiter waiters[OIDC_WAITERS_MAX];
	size_t waiter_count;
};

/* With the lock held: is a fetch under way, or due? */
static bool is_coming(const struct oidc_issuer *s)
{
	return !atomic_load(&s->stopping) && s->settings->oidc != NULL &&
	       (s->fetching || s->next_ms <= clock_mono_ms());
}

/* 1, 2, 4, ... s, up to five minutes. */
static int64_t retry_ms(int failures)
{
	int64_t wait_ms = failures < 10 ? 500LL << failures : RETRY_MAX_MS;
	return wait_ms < RETRY_MAX_MS ? wait_ms : RETRY_MAX_MS;
}

/* Takes over keys, which are NULL when err says why. */
static void note_end(struct oidc_issuer *s, const struct settings_oidc *oidc, struct oidc_keys *keys,
		     const struct nel_err *err)
{
	bool changed = false;
	int64_t now_ms = clock_mono_ms();
	pthread_mutex_lock(&s->lock);
	s->fetching = false;
	if (!settings_oidc_same_issuer(oidc, s->settings->oidc)) {
		oidc_keys_release(keys); /* others are wanted now: next_ms says so */
		pthread_mutex_unlock(&s->lock);
		return;
	}
	if (keys != NULL) {
		changed = s->keys == NULL || s->failures > 0;
		oidc_keys_release(s->keys);
		s->keys = keys;
		s->fetched_ms = now_ms;
		s->failures = 0;
		s->error[0] = '\0';
		s->next_ms = now_ms + s->settings->oidc->jwks_cache_s * 1000;
	} else {
		changed = s->failures++ == 0;
		memcpy(s->error, err->msg, sizeof s->error);
		s->next_ms = now_ms + retry_ms(s->failures);
	}
	pthread_mutex_unlock(&s->lock);
	if (changed && keys != NULL)
		log_info("the issuer's keys are known", LOG_S("issuer", oidc->issuer),
			 LOG_N("keys", (int64_t)oidc_keys_count(keys)));
	else if (changed)
		log_warning("the issuer's keys cannot be fetched", LOG_S("issuer", oidc->issuer),
			    LOG_S("error", err->msg));
}

static void call_waiters(struct oidc_issuer *s)
{
	struct waiter waiters[OIDC_WAITERS_MAX];
	pthread_mutex_lock(&s->lock);
	size_t count = s->waiter_count;
	memcpy(waiters, s->waiters, count * sizeof waiters[0]);
	s->waiter_count = 0;
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < count; i++)
		waiters[i].done(waiters[i].arg);
}

static void fetch(struct oidc_issuer *s, const struct settings_oidc *oidc)
{
	struct nel_err err = {0};
	struct oidc_keys *keys = NULL;
	bool device_flow = false;
	oidc_fetch(s->multi, &s->stopping, oidc, &keys, &device_flow, &err);
	note_end(s, oidc, keys, &err);
	call_waiters(s);
}

static void *issuer_main(void *arg)
{
	struct oidc_issuer *s = arg;
	while (!atomic_load(&s->stopping)) {
		pthread_mutex_lock(&s->lock);
		const struct settings_oidc *oidc = s->settings->oidc;
		int64_t left_ms = oidc == NULL ? IDLE_MS : s->next_ms - clock_mono_ms();
		s->fetching = left_ms <= 0;
		pthread_mutex_unlock(&s->lock);
		if (left_ms <= 0)
			fetch(s, oidc);
		else
			curl_multi_poll(s->multi, NULL, 0, (int)(left_ms < IDLE_MS ? left_ms : IDLE_MS), NULL);
	}
	call_waiters(s);
	return NULL;
}

static void issuer_free(struct oidc_issuer *s)
{
	if (s->multi != NULL)
		curl_multi_cleanup(s->multi);
	oidc_keys_release(s->keys);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int oidc_issuer_start(const struct settings *settings, struct oidc_issuer **ret_issuer, struct nel_err *err)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, NEL_INTERNAL, "libcurl cannot be set up");
	struct oidc_issuer *s = mem_calloc(1, sizeof *s);
	pthread_mutex_init(&s->lock, NULL);
	s->settings = settings;
	s->multi = curl_multi_init();
	int sys = s->multi == NULL ? ENOMEM : pthread_create(&s->thread, NULL, issuer_main, s);
	if (sys != 0) {
		issuer_free(s);
		return err_sys(err, NEL_INTERNAL, sys, "the thread that fetches an issuer's keys");
	}
	pthread_setname_np(s->thread, "oidc");
	*ret_issuer = s;
	return 0;
}

void oidc_issuer_stop(struct oidc_issuer *s)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock); /* whoever sees it not set comes to wait before the thread calls its last ones */
	atomic_store(&s->stopping, true);
	pthread_mutex_unlock(&s->lock);
	curl_multi_wakeup(s->multi);
	pthread_join(s->thread, NULL);
	issuer_free(s);
}

void oidc_issuer_reload(struct oidc_issuer *s, const struct settings *settings)
{
	pthread_mutex_lock(&s->lock);
	bool same = settings_oidc_same_issuer(s->settings->oidc, settings->oidc);
	s->settings = settings;
	if (!same) {
		oidc_keys_release(s->keys);
		s->keys = NULL;
		s->failures = 0;
		s->error[0] = '\0';
		s->asked_ms = 0;
		s->next_ms = 0;
	} else if (settings->oidc != NULL && s->failures == 0 &&
		   s->next_ms > s->fetched_ms + settings->oidc->jwks_cache_s * 1000) {
		s->next_ms = s->fetched_ms + settings->oidc->jwks_cache_s * 1000;
	}
	pthread_mutex_unlock(&s->lock);
	curl_multi_wakeup(s->multi);
}

int oidc_issuer_keys(struct oidc_issuer *s, struct oidc_keys **ret_keys, struct nel_err *err)
{
	int rc = -1;
	pthread_mutex_lock(&s->lock);
	const struct settings_oidc *oidc = s->settings->oidc;
	if (oidc != NULL && s->keys != NULL && clock_mono_ms() - s->fetched_ms < oidc->jwks_keep_s * 1000) {
		*ret_keys = oidc_keys_hold(s->keys);
		rc = 0;
	} else {
		err_set(err, NEL_BUSY, "tokens cannot be checked now, since the issuer's keys are not known%s%s",
			s->error[0] != '\0' ? ": " : "", s->error);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

bool oidc_issuer_want(struct oidc_issuer *s, const struct oidc_keys *keys)
{
	bool begun = false;
	int64_t now_ms = clock_mono_ms();
	pthread_mutex_lock(&s->lock);
	/* Newer ones may have come since. */
	bool coming = is_coming(s) || (keys != NULL && keys != s->keys);
	if (!coming && keys != NULL && s->settings->oidc != NULL && !atomic_load(&s->stopping) &&
	    (s->asked_ms == 0 || now_ms - s->asked_ms >= s->settings->oidc->jwks_refetch_s * 1000)) {
		s->asked_ms = now_ms;
		s->next_ms = now_ms;
		begun = true;
	}
	pthread_mutex_unlock(&s->lock);
	if (begun)
		curl_multi_wakeup(s->multi);
	return coming || begun;
}

int oidc_issuer_wait(struct oidc_issuer *s, void (*done)(void *arg), void *arg, struct nel_err *err)
{
	pthread_mutex_lock(&s->lock);
	bool coming = is_coming(s);
	bool full = coming && s->waiter_count == OIDC_WAITERS_MAX;
	if (coming && !full)
		s->waiters[s->waiter_count++] = (struct waiter){done, arg};
	pthread_mutex_unlock(&s->lock);
	if (full)
		return err_set(err, NEL_BUSY, "too many requests wait for the issuer's keys; try again in a moment");
	if (!coming)
		done(arg);
	return 0;
}

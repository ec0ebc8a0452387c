#include "service/webhook_sender.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/notifier.h"
#include "db/events.h"
#include "db/webhooks.h"
#include "service/event_json.h"
#include "service/webhook_rules.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <string.h>

#define SENDINGS_MAX 32
#define CONNECT_TIMEOUT_MS 10000L
#define SENDING_TIMEOUT_MS 20000L
#define ANSWER_SIZE_MAX (64 * 1024) /* what more a receiver says is not read */
#define RETRY_AFTER_MAX_S 3600      /* that a receiver may ask for */
#define LOOK_INTERVAL_MS 60000      /* for work, though nobody said that there is some */
#define SCANS_MAX 20                /* of the log, for one webhook in a row */
#define POSITION_GRAIN 500          /* events without one for it, until a webhook's place is stored */
#define STATUS_GONE 410

/* One try under way. */
struct sending {
	CURL *curl; /* NULL: the slot is free */
	struct webhook_sender *sender;
	struct curl_slist *headers;
	char *body;
	struct delivery_row delivery;
	char refused[NETWORK_TEXT_SIZE]; /* an address that may not be connected to; "": none */
	char error[CURL_ERROR_SIZE];
	size_t received;
	int64_t started_ms;
};

struct webhook_sender {
	const struct settings *settings;
	const struct secret_key *key;
	struct db *db;
	CURLM *multi;
	int notifier;
	pthread_t thread;
	atomic_bool stopping;
	atomic_bool wanted;
	struct sending sendings[SENDINGS_MAX];
	_Atomic int64_t delivered;
	_Atomic int64_t retried;
	_Atomic int64_t failed;
	_Atomic int sending;
};

/* --- one try --- */

/* Asked for every connection, with the address that is really connected to: a name that shows another address than a
 * moment ago does not get around it. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct sending *t = arg;
	(void)purpose;
	if (!webhook_address_ok(&t->sender->settings->webhooks, &address->addr)) {
		network_text(&address->addr, t->refused);
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t drop_answer(char *data, size_t size, size_t count, void *arg)
{
	struct sending *t = arg;
	(void)data;
	t->received += size * count;
	return t->received > ANSWER_SIZE_MAX ? 0 : size * count;
}

static void sending_done(struct sending *t)
{
	if (t->curl != NULL) {
		curl_multi_remove_handle(t->sender->multi, t->curl);
		curl_easy_cleanup(t->curl);
		atomic_fetch_sub(&t->sender->sending, 1);
	}
	curl_slist_free_all(t->headers);
	free(t->body);
	delivery_row_done(&t->delivery);
	*t = (struct sending){.sender = t->sender};
}

static void add_header(struct sending *t, const char *name, const char *value)
{
	CLEANUP(mem_freep) char *line = mem_printf("%s: %s", name, value);
	struct curl_slist *list = curl_slist_append(t->headers, line);
	if (list != NULL)
		t->headers = list;
}

static int sign(struct webhook_sender *s, struct sending *t, const struct webhook_row *webhook, struct nel_err *err)
{
	char label[40];
	char id[64];
	char timestamp[24];
	char signature[WEBHOOK_SIGNATURE_SIZE];
	char *secret = NULL;
	size_t size = 0;
	int64_t now_s = clock_now_s();
	snprintf(label, sizeof label, "webhook:%s", webhook->id);
	if (secret_open(s->key, label, webhook->sealed_secret, webhook->sealed_secret_size, &secret, &size, err) != 0)
		return -1;
	if (t->delivery.event != 0)
		snprintf(id, sizeof id, "evt_%s_%" PRId64, webhook->id, t->delivery.event);
	else
		snprintf(id, sizeof id, "test_%s_%" PRId64, webhook->id, t->delivery.seq);
	snprintf(timestamp, sizeof timestamp, "%" PRId64, now_s);
	int rc = webhook_sign(secret, id, now_s, t->body, signature);
	secret_free(secret, size);
	if (rc != 0)
		return err_set(err, NEL_DB, "the secret of webhook %s cannot be used", webhook->id);
	add_header(t, "webhook-id", id);
	add_header(t, "webhook-timestamp", timestamp);
	add_header(t, "webhook-signature", signature);
	return 0;
}

static void set_options(struct sending *t, const struct webhook_row *webhook, bool allow_http)
{
	CURL *curl = t->curl;
	curl_easy_setopt(curl, CURLOPT_URL, webhook->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, allow_http ? "http,https" : "https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* nor one of the environment */
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, t->body);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(t->body));
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, t->headers);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "nel-slurmd/" NEL_VERSION);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, SENDING_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, t);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop_answer);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, t->error);
	/* A connection that was opened for one person's webhook serves no other's. */
	curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(curl, CURLOPT_PRIVATE, t);
}

static int make_body(struct webhook_sender *s, const struct webhook_row *webhook, struct sending *t,
		     struct nel_err *err)
{
	CLEANUP(event_row_done) struct event_row event = {0};
	if (t->delivery.event != 0) {
		if (events_get(s->db, t->delivery.event, &event, err) != 0)
			return -1;
	} else {
		event = (struct event_row){.at = t->delivery.happened_at,
					   .kind = mem_strdup(t->delivery.kind),
					   .user = mem_strdup(webhook->user),
					   .data = mem_printf("{\"webhook\":\"%s\"}", webhook->id)};
	}
	t->body = event_json(&event);
	return 0;
}

/* Ends a delivery that cannot even be tried. */
static int give_up(struct webhook_sender *s, struct delivery_row *delivery, const char *why, struct nel_err *err)
{
	delivery->state = DELIVERY_FAILED;
	delivery->next_at = 0;
	free(delivery->error);
	delivery->error = mem_strdup(why);
	atomic_fetch_add(&s->failed, 1);
	return deliveries_update(s->db, delivery, err);
}

static struct sending *free_slot(struct webhook_sender *s)
{
	for (size_t i = 0; i < SENDINGS_MAX; i++)
		if (s->sendings[i].curl == NULL)
			return &s->sendings[i];
	return NULL;
}

/* Takes over what delivery has. */
static int start_sending(struct webhook_sender *s, const struct webhook_row *webhook, struct delivery_row *delivery,
			 struct nel_err *err)
{
	struct sending *t = free_slot(s);
	if (t == NULL)
		return 0; /* the end of another one looks for work again */
	*t = (struct sending){.sender = s, .delivery = *delivery, .started_ms = clock_mono_ms()};
	*delivery = (struct delivery_row){0};
	add_header(t, "Content-Type", "application/json");
	add_header(t, "Expect", ""); /* and wait for no "100 Continue" */
	if (make_body(s, webhook, t, err) != 0 || sign(s, t, webhook, err) != 0) {
		int rc = give_up(s, &t->delivery, err->msg, err);
		sending_done(t);
		return rc;
	}
	t->curl = curl_easy_init();
	if (t->curl == NULL) {
		sending_done(t);
		return err_set(err, NEL_NOMEM, "no memory");
	}
	atomic_fetch_add(&s->sending, 1);
	set_options(t, webhook, s->settings->webhooks.allow_http);
	CURLMcode code = curl_multi_add_handle(s->multi, t->curl);
	if (code == CURLM_OK)
		return 0;
	sending_done(t); /* its row stays pending */
	return err_set(err, NEL_INTERNAL, "a webhook cannot be sent: %s", curl_multi_strerror(code));
}

/* --- what there is to do --- */

static bool is_under_way(const struct webhook_sender *s, int64_t delivery_seq)
{
	for (size_t i = 0; i < SENDINGS_MAX; i++)
		if (s->sendings[i].curl != NULL && s->sendings[i].delivery.seq == delivery_seq)
			return true;
	return false;
}

/* The next event for the webhook becomes a delivery, whose row and place are stored together. *ret_more: the log was
 * not looked through to its end. */
static int take_event(struct webhook_sender *s, struct webhook_row *webhook, struct delivery_row *ret_delivery,
		      bool *ret_more, struct nel_err *err)
{
	const struct event_filter filter = {.user = webhook->all ? NULL : webhook->user,
					    .own = true,
					    .kinds = webhook->kinds[0] != '\0' ? webhook->kinds : NULL};
	for (int scan = 0; scan < SCANS_MAX; scan++) {
		CLEANUP(event_list_done) struct event_list list = {0};
		int64_t settled = 0;
		if (events_read(s->db, &filter, webhook->position, 1, &list, &settled, err) != 0)
			return -1;
		*ret_more = settled - webhook->position >= EVENTS_SCAN_MAX;
		int64_t seq = list.count > 0 ? list.items[0].seq : settled;
		CLEANUP(db_rollbackp) struct db *tx = s->db;
		if (list.count == 0 && seq - webhook->position < POSITION_GRAIN)
			return 0;
		if (db_begin(s->db, err) != 0 || webhooks_set_position(s->db, webhook->id, seq, err) != 0)
			return -1;
		webhook->position = seq;
		if (list.count == 0) {
			if (db_commit(s->db, err) != 0)
				return -1;
			if (!*ret_more)
				return 0;
			continue;
		}
		struct delivery_row delivery = {
		    .event = seq, .kind = mem_strdup(list.items[0].kind), .happened_at = list.items[0].at};
		memcpy(delivery.webhook, webhook->id, sizeof delivery.webhook);
		if (deliveries_insert(s->db, &delivery, clock_now_s(), err) != 0 || db_commit(s->db, err) != 0) {
			delivery_row_done(&delivery);
			return -1;
		}
		*ret_delivery = delivery;
		return 0;
	}
	return 0;
}

/* Starts what is due for one webhook. *next_s: when something is due later, if that is earlier. */
static int look_at(struct webhook_sender *s, struct webhook_row *webhook, int64_t *next_s, struct nel_err *err)
{
	CLEANUP(delivery_list_done) struct delivery_list pending = {0};
	int64_t now_s = clock_now_s();
	bool busy = false; /* with an event; tests wait for nothing */
	if (deliveries_pending(s->db, webhook->id, &pending, err) != 0)
		return -1;
	for (size_t i = 0; i < pending.count; i++) {
		struct delivery_row *delivery = &pending.items[i];
		busy = busy || delivery->event != 0;
		if (is_under_way(s, delivery->seq))
			continue;
		if (delivery->next_at > now_s) {
			if (delivery->next_at < *next_s)
				*next_s = delivery->next_at;
		} else if (start_sending(s, webhook, delivery, err) != 0) {
			return -1;
		}
	}
	if (busy || free_slot(s) == NULL)
		return 0;
	CLEANUP(delivery_row_done) struct delivery_row delivery = {0};
	bool more = false;
	if (take_event(s, webhook, &delivery, &more, err) != 0)
		return -1;
	if (more && delivery.seq == 0)
		*next_s = now_s;
	return delivery.seq != 0 ? start_sending(s, webhook, &delivery, err) : 0;
}

/* Returns for how many milliseconds there is nothing more to do. */
static int look(struct webhook_sender *s)
{
	struct nel_err err = {0};
	int64_t now_s = clock_now_s();
	int64_t next_s = now_s + LOOK_INTERVAL_MS / 1000;
	char after[sizeof((struct webhook_row *)0)->id] = "";
	int rc = 0;
	bool more = true;
	while (rc == 0 && more) {
		CLEANUP(webhook_list_done) struct webhook_list list = {0};
		rc = webhooks_list_active(s->db, after, &list, &err);
		for (size_t i = 0; i < list.count && rc == 0; i++)
			rc = look_at(s, &list.items[i], &next_s, &err);
		more = list.count == WEBHOOKS_LIST_MAX;
		if (more)
			memcpy(after, list.items[list.count - 1].id, sizeof after);
	}
	if (rc != 0) {
		log_error("webhooks cannot be looked after", LOG_S("error", err.msg));
		return 5000;
	}
	return next_s <= now_s ? 20 : (int)(next_s - now_s) * 1000;
}

/* --- the end of a try --- */

static void describe_failure(const struct sending *t, CURLcode code, int status, char buf[256])
{
	if (t->refused[0] != '\0')
		snprintf(buf, 256,
			 "%s is not a public address, and webhooks.allow_private of the settings does not permit it",
			 t->refused);
	else if (status != 0)
		snprintf(buf, 256, "the receiver answered %d", status);
	else
		snprintf(buf, 256, "%s", t->error[0] != '\0' ? t->error : curl_easy_strerror(code));
}

/* A try failed: another one follows, or none. */
static void plan_retry(struct sending *t, int status)
{
	struct delivery_row *delivery = &t->delivery;
	int64_t now_s = clock_now_s();
	curl_off_t asked_s = 0;
	bool last = delivery->event == 0 || status == STATUS_GONE || now_s - delivery->happened_at > WEBHOOK_PATIENCE_S;
	delivery->state = last ? DELIVERY_FAILED : DELIVERY_PENDING;
	delivery->next_at = 0;
	atomic_fetch_add(last ? &t->sender->failed : &t->sender->retried, 1);
	if (last)
		return;
	int64_t wait_s = webhook_retry_s(delivery->tries, randombytes_random());
	curl_easy_getinfo(t->curl, CURLINFO_RETRY_AFTER, &asked_s);
	if (asked_s > wait_s)
		wait_s = asked_s < RETRY_AFTER_MAX_S ? asked_s : RETRY_AFTER_MAX_S;
	delivery->next_at = now_s + wait_s;
}

/* The webhook's own state after a try. */
static int judge_webhook(struct webhook_sender *s, const struct delivery_row *delivery, int status, struct nel_err *err)
{
	CLEANUP(webhook_row_done) struct webhook_row webhook = {0};
	int64_t now_s = clock_now_s();
	if (webhooks_get(s->db, delivery->webhook, &webhook, err) != 0)
		return err->kind == NEL_NOTFOUND ? 0 : -1;
	if (delivery->state == DELIVERY_DELIVERED)
		return webhook.failing_since != 0 ? webhooks_set_failing(s->db, webhook.id, 0, err) : 0;
	const char *why = NULL;
	if (status == STATUS_GONE)
		why = "the receiver answered 410 Gone";
	else if (webhook.failing_since != 0 && now_s - webhook.failing_since > WEBHOOK_GIVE_UP_S)
		why = "nothing could be delivered for 5 days";
	if (why == NULL)
		return webhooks_set_failing(s->db, webhook.id, now_s, err);
	log_warning("webhook disabled", LOG_S("webhook", webhook.id), LOG_S("user", webhook.user), LOG_S("error", why));
	return webhooks_disable(s->db, webhook.id, now_s, why, err);
}

static int store_end(struct webhook_sender *s, const struct sending *t, int status, struct nel_err *err)
{
	CLEANUP(db_rollbackp) struct db *tx = s->db;
	if (db_begin(s->db, err) != 0 || deliveries_update(s->db, &t->delivery, err) != 0 ||
	    judge_webhook(s, &t->delivery, status, err) != 0)
		return -1;
	return db_commit(s->db, err);
}

static void finish(struct webhook_sender *s, struct sending *t, CURLcode code)
{
	struct nel_err err = {0};
	struct delivery_row *delivery = &t->delivery;
	long status = 0;
	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	/* An answer that is too long is an answer. */
	bool answered = code == CURLE_OK || (code == CURLE_WRITE_ERROR && t->received > ANSWER_SIZE_MAX);
	bool ok = answered && status >= 200 && status < 300;
	delivery->tries++;
	delivery->last_at = clock_now_s();
	delivery->took_ms = clock_mono_ms() - t->started_ms;
	delivery->status = answered ? (int)status : 0;
	free(delivery->error);
	delivery->error = NULL;
	if (ok) {
		delivery->state = DELIVERY_DELIVERED;
		delivery->next_at = 0;
		atomic_fetch_add(&s->delivered, 1);
	} else {
		char why[256];
		describe_failure(t, code, delivery->status, why);
		delivery->error = mem_strdup(why);
		plan_retry(t, delivery->status);
	}
	log_debug("webhook", LOG_S("webhook", delivery->webhook), LOG_N("event", delivery->event),
		  LOG_S("state", delivery_state_name(delivery->state)), LOG_N("tries", delivery->tries),
		  LOG_N("status", delivery->status), LOG_S("error", delivery->error));
	if (store_end(s, t, delivery->status, &err) != 0)
		log_error("a webhook's delivery cannot be stored; it will be repeated",
			  LOG_S("webhook", delivery->webhook), LOG_S("error", err.msg));
	sending_done(t);
}

/* True when a try ended. */
static bool take_ends(struct webhook_sender *s)
{
	bool any = false;
	int left = 0;
	CURLMsg *message = NULL;
	while ((message = curl_multi_info_read(s->multi, &left)) != NULL) {
		if (message->msg != CURLMSG_DONE)
			continue;
		CURLcode code = message->data.result;
		struct sending *t = NULL;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		finish(s, t, code);
		any = true;
	}
	return any;
}

static void *sender_main(void *arg)
{
	struct webhook_sender *s = arg;
	int64_t look_ms = 0; /* monotonic: when to look for work again */
	while (!atomic_load(&s->stopping)) {
		struct curl_waitfd notifier = {.fd = s->notifier, .events = CURL_WAIT_POLLIN};
		int running = 0;
		if (atomic_exchange(&s->wanted, false) || clock_mono_ms() >= look_ms)
			look_ms = clock_mono_ms() + look(s);
		curl_multi_perform(s->multi, &running);
		if (take_ends(s)) {
			look_ms = 0;
			continue;
		}
		int64_t left_ms = look_ms - clock_mono_ms();
		curl_multi_poll(s->multi, &notifier, 1, left_ms > 0 ? (int)left_ms : 0, NULL);
		if (notifier.revents != 0) {
			notifier_drain(s->notifier);
			look_ms = 0;
		}
	}
	return NULL;
}

static void sender_free(struct webhook_sender *s)
{
	for (size_t i = 0; i < SENDINGS_MAX; i++)
		sending_done(&s->sendings[i]);
	if (s->multi != NULL)
		curl_multi_cleanup(s->multi);
	notifier_leave(events_notifier(), s->notifier);
	db_close(s->db);
	free(s);
}

int webhook_sender_start(const struct settings *settings, const struct secret_key *key,
			 struct webhook_sender **ret_sender, struct nel_err *err)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, NEL_INTERNAL, "libcurl cannot be set up");
	struct webhook_sender *s = mem_calloc(1, sizeof *s);
	s->settings = settings;
	s->key = key;
	s->notifier = -1;
	s->multi = curl_multi_init();
	for (size_t i = 0; i < SENDINGS_MAX; i++)
		s->sendings[i].sender = s;
	int sys = s->multi == NULL ? ENOMEM : 0;
	if (sys != 0 || db_open(settings->database, &s->db, err) != 0 ||
	    notifier_listen(events_notifier(), &s->notifier, err) != 0 ||
	    (sys = pthread_create(&s->thread, NULL, sender_main, s)) != 0) {
		sender_free(s);
		return sys != 0 ? err_sys(err, NEL_INTERNAL, sys, "the sender of webhooks") : -1;
	}
	pthread_setname_np(s->thread, "webhooks");
	*ret_sender = s;
	return 0;
}

void webhook_sender_wake(struct webhook_sender *s)
{
	if (s == NULL)
		return;
	atomic_store(&s->wanted, true);
	curl_multi_wakeup(s->multi);
}

void webhook_sender_stats(struct webhook_sender *s, struct webhook_stats *ret_stats)
{
	*ret_stats = (struct webhook_stats){.delivered = atomic_load(&s->delivered),
					    .retried = atomic_load(&s->retried),
					    .failed = atomic_load(&s->failed),
					    .sending = atomic_load(&s->sending)};
}

void webhook_sender_stop(struct webhook_sender *s)
{
	if (s == NULL)
		return;
	atomic_store(&s->stopping, true);
	curl_multi_wakeup(s->multi);
	pthread_join(s->thread, NULL);
	sender_free(s);
}

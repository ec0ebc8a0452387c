/* A person's webhooks. HTTP threads; each call is one transaction. */
#ifndef NEL_SERVICE_WEBHOOKS_H
#define NEL_SERVICE_WEBHOOKS_H

#include "db/webhooks.h"
#include "service/idempotency.h"
#include "service/service.h"
#include "service/webhook_rules.h"

#define WEBHOOK_KINDS_MAX 32

struct webhook_request {
	const char *url;
	const char *kinds; /* ",job.state,"; "": every kind */
	bool all;
	struct idempotency idempotency;
};

struct new_webhook {
	struct webhook_row row;
	char secret[WEBHOOK_SECRET_SIZE]; /* empty for a repeat: it is shown once; to be wiped */
	bool clash;                       /* set on CONFLICT: the Idempotency-Key belongs to another request */
};

void new_webhook_done(struct new_webhook *made);

/* It gets the events that are stored from now on. INVALID: the URL; CONFLICT: too many, or the key. */
int service_make_webhook(struct service *service, struct db *db, const struct actor *actor,
			 const struct webhook_request *wanted, struct new_webhook *ret_webhook, struct nel_err *err);

/* Everybody's for an admin, else the actor's. */
int service_list_webhooks(struct db *db, const struct actor *actor, struct webhook_list *ret_list, struct nel_err *err);

/* NOTFOUND also when it is somebody else's and the actor is no admin. */
int service_get_webhook(struct db *db, const struct actor *actor, const char *id, struct webhook_row *ret_row,
			struct nel_err *err);
int service_remove_webhook(struct service *service, struct db *db, const struct actor *actor, const char *id,
			   struct nel_err *err);

/* Sends a webhook.test soon, tried once. CONFLICT when the webhook is disabled, or when tests wait already. */
int service_test_webhook(struct service *service, struct db *db, const struct actor *actor, const char *id,
			 struct delivery_row *ret_delivery, struct nel_err *err);

#endif

#include "service/idempotency.h"

int service_find_idempotent(struct db *db, const char *user, const struct idempotency *idempotency, int64_t now_s,
			    char ret_made[IDEMPOTENCY_MADE_SIZE], bool *ret_clash, struct nel_err *err)
{
	if (idempotency->key == NULL)
		return 0;
	if (idempotency_find(db, user, idempotency->key, idempotency->request_hash, now_s, ret_made, err) == 0)
		return 1;
	*ret_clash = err->kind == NEL_CONFLICT;
	return err->kind == NEL_NOTFOUND ? 0 : -1;
}

int service_note_idempotent(struct db *db, const char *user, const struct idempotency *idempotency, const char *made,
			    int64_t now_s, struct nel_err *err)
{
	if (idempotency->key == NULL)
		return 0;
	return idempotency_insert(db, user, idempotency->key, idempotency->request_hash, made, now_s, err);
}

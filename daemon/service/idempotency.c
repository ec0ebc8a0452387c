#include "service/idempotency.h"

int repeat_find(struct db *db, const char *user, const struct repeat *repeat, int64_t now_s,
		char ret_made[REPEAT_MADE_SIZE], bool *ret_clash, struct nel_err *err)
{
	if (repeat->key == NULL)
		return 0;
	if (idempotency_find(db, user, repeat->key, repeat->request_hash, now_s, ret_made, err) == 0)
		return 1;
	*ret_clash = err->kind == NEL_CONFLICT;
	return err->kind == NEL_NOTFOUND ? 0 : -1;
}

int repeat_note(struct db *db, const char *user, const struct repeat *repeat, const char *made, int64_t now_s,
		struct nel_err *err)
{
	if (repeat->key == NULL)
		return 0;
	return idempotency_insert(db, user, repeat->key, repeat->request_hash, made, now_s, err);
}

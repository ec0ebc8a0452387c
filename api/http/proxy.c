/* Owns what is believed of a reverse proxy. */
#include "api/http/proxy.h"

#include "api/http/peer.h"
#include "base/account.h"

#include <string.h>
#include <strings.h>

static int find_uid(const char *account, unsigned *ret_uid, struct nel_err *err)
{
	long long number = 0;
	if (str_to_int(account, 0, UINT32_MAX - 1, &number)) {
		*ret_uid = (unsigned)number;
		return 0;
	}
	uid_t uid = 0;
	if (account_by_name(account, &uid, err) != 0) {
		if (err->kind == NEL_NOTFOUND)
			err->kind = NEL_INVALID;
		return err_prefix(err, "trusted_proxy");
	}
	*ret_uid = uid;
	return 0;
}

int proxy_init(const struct settings *settings, struct proxy *ret_proxy, struct nel_err *err)
{
	struct proxy proxy = {.header = settings->proxy_user_header};
	for (char **account = settings->proxy_accounts; proxy.header != NULL && *account != NULL; account++) {
		if (proxy.uid_count == PROXY_ACCOUNTS_MAX)
			return err_set(err, NEL_INVALID, "trusted_proxy: more than %d accounts", PROXY_ACCOUNTS_MAX);
		if (find_uid(*account, &proxy.uids[proxy.uid_count++], err) != 0)
			return -1;
	}
	*ret_proxy = proxy;
	return 0;
}

bool proxy_is_peer(const struct proxy *proxy, const struct request *request)
{
	unsigned uid = 0;
	if (proxy->header == NULL || !request->on_unix || peer_uid(request, &uid) != 0)
		return false;
	for (size_t i = 0; i < proxy->uid_count; i++)
		if (proxy->uids[i] == uid)
			return true;
	return false;
}

struct search {
	const char *header;
	const char *value;
	int count;
};

static enum MHD_Result look_at(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct search *search = cls;
	(void)kind;
	if (strcasecmp(key, search->header) == 0) {
		search->value = value;
		search->count++;
	}
	return MHD_YES;
}

int proxy_user(const struct proxy *proxy, const struct request *request, const char **ret_name, struct nel_err *err)
{
	struct search search = {.header = proxy->header};
	MHD_get_connection_values(request->connection, MHD_HEADER_KIND, look_at, &search);
	if (search.count > 1)
		return err_set(err, NEL_DENIED, "the header %s stands more than once", proxy->header);
	*ret_name = search.value != NULL && search.value[0] != '\0' ? search.value : NULL;
	return 0;
}

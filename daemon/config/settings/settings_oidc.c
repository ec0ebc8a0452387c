#include "config/settings/settings_oidc.h"

#include "base/mem.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <string.h>

#define OIDC "/oidc"
#define ROLES "/oidc/roles"
#define YEAR_S (366 * 24 * 3600)
#define DAYS_MAX 3660

static const char *const oidc_keys[] = {
    "issuer", "audience", "client_id", "scopes",     "client_token", "ca_file",     "user_claim",     "user_domain",
    "users",  "roles",    "leeway_s",  "token_days", "jwks_cache_s", "jwks_keep_s", "jwks_refetch_s", NULL};
static const char *const role_keys[] = {"claim", "admin", "user", "viewer", "other", NULL};

static bool is_loopback(const char *host)
{
	struct in_addr v4;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return strcmp(host, "[::1]") == 0 || strcmp(host, "localhost") == 0;
}

/* The part of a URL that libcurl has taken apart; NULL when it has none. curl_free(). */
static char *part_of(CURLU *url, CURLUPart what)
{
	char *text = NULL;
	return curl_url_get(url, what, &text, 0) == CURLUE_OK ? text : NULL;
}

static bool parts_ok(CURLU *url)
{
	char *scheme = part_of(url, CURLUPART_SCHEME);
	char *host = part_of(url, CURLUPART_HOST);
	char *user = part_of(url, CURLUPART_USER);
	char *fragment = part_of(url, CURLUPART_FRAGMENT);
	bool ok = scheme != NULL && host != NULL && user == NULL && fragment == NULL &&
		  (strcmp(scheme, "https") == 0 || (strcmp(scheme, "http") == 0 && is_loopback(host)));
	curl_free(scheme);
	curl_free(host);
	curl_free(user);
	curl_free(fragment);
	return ok;
}

bool settings_oidc_url_ok(const char *text)
{
	CURLU *url = curl_url();
	/* libcurl takes "https:/host" and "https:///host", too. */
	const char *colon = strchr(text, ':');
	bool whole = colon != NULL && str_starts_with(colon, "://") && colon[strlen("://")] != '/';
	bool ok = whole && url != NULL && !str_has_control(text) && strchr(text, ' ') == NULL &&
		  curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK && parts_ok(url);
	curl_url_cleanup(url);
	return ok;
}

static void read_issuer(const struct reader *r, const json_t *oidc, struct settings_oidc *o)
{
	o->issuer = reader_need_text(r, oidc, OIDC, "issuer", READER_LINE);
	if (o->issuer != NULL && (!settings_oidc_url_ok(o->issuer) || strchr(o->issuer, '?') != NULL ||
				  strlen(o->issuer) > SETTINGS_OIDC_ISSUER_MAX))
		reader_error(
		    r, OIDC "/issuer",
		    "oidc.issuer is the issuer's URL as its tokens spell it, https://... without a query, at most "
		    "%d bytes; http:// is for loopback only",
		    SETTINGS_OIDC_ISSUER_MAX);
	o->audiences = reader_list(r, oidc, OIDC, "audience", READER_LINE, NULL);
	if (o->audiences[0] == NULL)
		reader_error(r, OIDC "/audience",
			     "oidc.audience must name for whom tokens are that are let in (their claim aud): without "
			     "it those for any other service of the issuer would be");
	o->ca_file = reader_text(r, oidc, OIDC, "ca_file", READER_LINE);
	if (o->ca_file != NULL)
		reader_check_path(r, o->ca_file, OIDC "/ca_file", "");
}

/* One of two words; what the first one stands for is the default. */
static bool read_choice(const struct reader *r, const json_t *oidc, const char *key, const char *first,
			const char *second)
{
	CLEANUP(mem_freep) char *pointer = reader_join(OIDC, key);
	CLEANUP(mem_freep) char *text = reader_text_or(r, oidc, OIDC, key, READER_TOKEN, first);
	if (text != NULL && strcmp(text, first) != 0 && strcmp(text, second) != 0)
		reader_error(r, pointer, "oidc.%s is %s or %s", key, first, second);
	return text != NULL && strcmp(text, second) == 0;
}

static void read_roles(const struct reader *r, const json_t *oidc, struct settings_oidc *o)
{
	const json_t *roles = reader_object(r, oidc, OIDC, "roles");
	bool listed = false;
	o->has_roles = roles != NULL;
	reader_keys(r, roles, ROLES, role_keys, true);
	o->role_claim = reader_text_or(r, roles, ROLES, "claim", READER_LINE, "groups");
	for (size_t i = 0; i < SETTINGS_ROLES; i++) {
		o->role_values[i] = reader_list(r, roles, ROLES, settings_roles[i], READER_LINE, NULL);
		listed = listed || o->role_values[i][0] != NULL;
	}
	o->other_role = reader_text(r, roles, ROLES, "other", READER_TOKEN);
	if (o->other_role != NULL && strcmp(o->other_role, "none") == 0) {
		free(o->other_role);
		o->other_role = NULL;
	}
	if (o->other_role != NULL && strcmp(o->other_role, "user") != 0 && strcmp(o->other_role, "viewer") != 0)
		reader_error(r, ROLES "/other", "oidc.roles.other is user, viewer, or none");
	else if (o->has_roles && !listed && o->other_role == NULL)
		reader_error(r, ROLES,
			     "oidc.roles lets nobody in: it wants lists of values for admin, user or viewer, or other");
}

static void read_people(const struct reader *r, const json_t *oidc, struct settings_oidc *o)
{
	o->user_claim = reader_text_or(r, oidc, OIDC, "user_claim", READER_LINE, "preferred_username");
	o->user_domain = reader_text(r, oidc, OIDC, "user_domain", READER_TOKEN);
	if (o->user_domain != NULL && strchr(o->user_domain, '@') != NULL)
		reader_error(r, OIDC "/user_domain",
			     "oidc.user_domain is what stands behind the @ of names such as "
			     "ann@example.org: example.org");
	o->create_users = read_choice(r, oidc, "users", "existing", "create");
	read_roles(r, oidc, o);
	if (o->create_users && !o->has_roles)
		reader_error(r, OIDC "/users", "oidc.users: create wants oidc.roles, which say what new users may do");
	o->token_days = reader_int(r, oidc, OIDC, "token_days", 0, DAYS_MAX, 30);
}

static void read_client(const struct reader *r, const json_t *oidc, struct settings_oidc *o)
{
	static const char *const scopes[] = {"openid", "profile", "offline_access", NULL};
	o->client_id = reader_text(r, oidc, OIDC, "client_id", READER_LINE);
	o->scopes = reader_list(r, oidc, OIDC, "scopes", READER_TOKEN, scopes);
	o->id_token = read_choice(r, oidc, "client_token", "access_token", "id_token");
}

static void read_times(const struct reader *r, const json_t *oidc, struct settings_oidc *o)
{
	o->leeway_s = reader_int(r, oidc, OIDC, "leeway_s", 0, 600, 60);
	o->jwks_cache_s = reader_int(r, oidc, OIDC, "jwks_cache_s", 1, YEAR_S, 3600);
	o->jwks_keep_s = reader_int(r, oidc, OIDC, "jwks_keep_s", 1, YEAR_S, 24 * 3600);
	o->jwks_refetch_s = reader_int(r, oidc, OIDC, "jwks_refetch_s", 1, 3600, 30);
	if (o->jwks_keep_s < o->jwks_cache_s)
		reader_error(r, OIDC "/jwks_keep_s", "oidc.jwks_keep_s must be at least oidc.jwks_cache_s (%lld)",
			     (long long)o->jwks_cache_s);
}

void settings_read_oidc(const struct reader *r, const json_t *root, struct settings *s)
{
	const json_t *oidc = reader_object(r, root, "", "oidc");
	if (oidc == NULL)
		return;
	s->oidc = mem_calloc(1, sizeof *s->oidc);
	reader_keys(r, oidc, OIDC, oidc_keys, true);
	read_issuer(r, oidc, s->oidc);
	read_client(r, oidc, s->oidc);
	read_people(r, oidc, s->oidc);
	read_times(r, oidc, s->oidc);
}

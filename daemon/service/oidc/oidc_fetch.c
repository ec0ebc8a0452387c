#include "service/oidc/oidc_fetch.h"

#include "base/clock.h"
#include "base/str.h"
#include "service/oidc/oidc_document.h"

#include <string.h>

#define CONNECT_TIMEOUT_MS 3000L

static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
	struct str *body = arg;
	if (body->len + size * count > OIDC_DOCUMENT_SIZE_MAX)
		return 0;
	str_append_n(body, data, size * count);
	return size * count;
}

static void set_options(CURL *curl, const char *url, const struct settings_oidc *oidc, int64_t left_ms,
			struct str *body, char *error)
{
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https"); /* which of them: settings_oidc_url_ok() */
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "nel-slurmd/" NEL_VERSION);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)left_ms);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
	if (oidc->ca_file != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, oidc->ca_file);
}

/* Until the transfer ends; CURLE_ABORTED_BY_CALLBACK when the daemon stops. */
static CURLcode run(CURLM *multi, const atomic_bool *stopping, CURL *curl)
{
	CURLcode code = CURLE_ABORTED_BY_CALLBACK;
	int running = 1;
	if (curl_multi_add_handle(multi, curl) != CURLM_OK)
		return CURLE_FAILED_INIT;
	while (!atomic_load(stopping)) {
		int left = 0;
		const CURLMsg *message = NULL;
		if (curl_multi_perform(multi, &running) != CURLM_OK) {
			code = CURLE_FAILED_INIT;
			break;
		}
		message = curl_multi_info_read(multi, &left);
		if (message != NULL) {
			code = message->data.result;
			break;
		}
		curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
	curl_multi_remove_handle(multi, curl);
	return code;
}

static int get(CURLM *multi, const atomic_bool *stopping, const char *url, const struct settings_oidc *oidc,
	       int64_t deadline_ms, struct str *body, struct nel_err *err)
{
	char error[CURL_ERROR_SIZE] = "";
	long status = 0;
	int64_t left_ms = deadline_ms - clock_mono_ms();
	CURL *curl = curl_easy_init();
	if (curl == NULL)
		return err_set(err, NEL_NOMEM, "no memory");
	set_options(curl, url, oidc, left_ms > 1 ? left_ms : 1, body, error);
	CURLcode code = run(multi, stopping, curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(curl);
	if (code == CURLE_WRITE_ERROR)
		return err_set(err, NEL_INVALID, "%s answers with more than %d bytes", url, OIDC_DOCUMENT_SIZE_MAX);
	if (code != CURLE_OK)
		return err_set(err, NEL_REMOTE, "%s: %s", url, error[0] != '\0' ? error : curl_easy_strerror(code));
	if (status >= 300 && status < 400)
		return err_set(err, NEL_REMOTE, "%s answers %ld: oidc.issuer must be the URL that it redirects to", url,
			       status);
	if (status != 200)
		return err_set(err, NEL_REMOTE, "%s answers %ld", url, status);
	return 0;
}

int oidc_fetch(CURLM *multi, const atomic_bool *stopping, const struct settings_oidc *oidc, struct oidc_keys **ret_keys,
	       bool *ret_device_flow, struct nel_err *err)
{
	CLEANUP(oidc_document_done) struct oidc_document document = {0};
	CLEANUP(str_done) struct str body = {0};
	CLEANUP(mem_freep) char *url = oidc_document_url(oidc->issuer);
	int64_t deadline_ms = clock_mono_ms() + OIDC_FETCH_TIMEOUT_MS;
	if (get(multi, stopping, url, oidc, deadline_ms, &body, err) != 0)
		return -1;
	if (oidc_document_parse(str_text(&body), body.len, oidc->issuer, &document, err) != 0)
		return err_prefix(err, "%s", url);
	str_clear(&body);
	if (get(multi, stopping, document.jwks_uri, oidc, deadline_ms, &body, err) != 0)
		return -1;
	if (oidc_keys_parse(str_text(&body), body.len, oidc->issuer, ret_keys, err) != 0)
		return err_prefix(err, "%s", document.jwks_uri);
	*ret_device_flow = document.has_device_flow;
	return 0;
}

int oidc_fetch_once(const struct settings_oidc *oidc, size_t *ret_keys, bool *ret_device_flow, struct nel_err *err)
{
	CLEANUP(oidc_keys_freep) struct oidc_keys *keys = NULL;
	atomic_bool stopping = false;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, NEL_INTERNAL, "libcurl cannot be set up");
	CURLM *multi = curl_multi_init();
	int rc = oidc_fetch(multi, &stopping, oidc, &keys, ret_device_flow, err);
	curl_multi_cleanup(multi);
	if (rc == 0)
		*ret_keys = oidc_keys_count(keys);
	return rc;
}

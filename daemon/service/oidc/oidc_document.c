#include "service/oidc/oidc_document.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "config/settings/settings_oidc.h"

#include <string.h>

void oidc_document_done(struct oidc_document *document)
{
	free(document->jwks_uri);
	*document = (struct oidc_document){0};
}

char *oidc_document_url(const char *issuer)
{
	size_t size = strlen(issuer);
	while (size > 0 && issuer[size - 1] == '/')
		size--;
	return mem_printf("%.*s/.well-known/openid-configuration", (int)size, issuer);
}

int oidc_document_parse(const char *text, size_t size, const char *issuer, struct oidc_document *ret_document,
			struct nel_err *err)
{
	json_error_t fault;
	CLEANUP(json_freep) json_t *document = json_loadb(text, size, JSON_REJECT_DUPLICATES, &fault);
	const char *says = json_string_value(json_object_get(document, "issuer"));
	const char *keys = json_string_value(json_object_get(document, "jwks_uri"));
	if (document == NULL)
		return err_set(err, NEL_INVALID, "the discovery document is no JSON: %s", fault.text);
	if (says == NULL || keys == NULL)
		return err_set(err, NEL_INVALID, "the discovery document names no %s",
			       says == NULL ? "issuer" : "jwks_uri");
	if (strcmp(says, issuer) != 0)
		return err_set(err, NEL_INVALID,
			       "the discovery document is of the issuer %.200s; oidc.issuer must be spelled exactly so",
			       says);
	if (!settings_oidc_url_ok(keys))
		return err_set(err, NEL_INVALID, "the discovery document's jwks_uri is not https: %.200s", keys);
	*ret_document = (struct oidc_document){
	    .jwks_uri = mem_strdup(keys),
	    .has_device_flow = json_is_string(json_object_get(document, "device_authorization_endpoint")),
	};
	return 0;
}

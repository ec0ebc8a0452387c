/* Handlers of what is about the service itself: who am I, health, readiness, the API's description. */
#include "api/http/handlers.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "base/embed.h"
#include "base/json_out.h"

int api_whoami(struct request *request, struct nel_err *err)
{
	struct json_out body = {0};
	out_object(&body, NULL);
	out_string(&body, "user", request->actor.name);
	out_string(&body, "role", role_name(request->actor.role));
	out_string(&body, "signed_in_by", sign_in_name(request->actor.sign_in));
	out_time(&body, "expires_at", request->actor.expires_at);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

/* All that nelctl needs to sign somebody in: public by nature. */
static void render_oidc(struct json_out *out, const struct settings_oidc *oidc)
{
	out_object(out, "oidc");
	out_string(out, "issuer", oidc->issuer);
	out_string(out, "client_id", oidc->client_id);
	out_array(out, "scopes");
	for (char **scope = oidc->scopes; *scope != NULL; scope++)
		out_string(out, NULL, *scope);
	out_end(out);
	out_string(out, "token", oidc->id_token ? "id_token" : "access_token");
	out_end(out);
}

int api_getLogin(struct request *request, struct nel_err *err)
{
	const struct settings_oidc *oidc = request->service->settings->oidc;
	struct json_out body = {0};
	out_object(&body, NULL);
	if (oidc != NULL)
		render_oidc(&body, oidc);
	else
		out_string(&body, "oidc", NULL);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

int api_getHealth(struct request *request, struct nel_err *err)
{
	struct json_out body = {0};
	out_object(&body, NULL);
	out_string(&body, "status", "ok");
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

int api_getReadiness(struct request *request, struct nel_err *err)
{
	struct db *db = NULL;
	struct nel_err fault = {0};
	CLEANUP(json_freep) json_t *report = NULL;
	bool open = request_db(request, &db, &fault) == 0;
	bool ready = service_ready(request->service, db, open ? NULL : fault.msg, &report);
	return reply_json(request, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, report, err);
}

int api_getOpenapi(struct request *request, struct nel_err *err)
{
	const struct embed_file *file = embed_find("openapi.yaml");
	if (file == NULL)
		return err_set(err, NEL_INTERNAL, "openapi.yaml is not in the program");
	struct str body = {0};
	str_append_n(&body, file->data, file->size);
	return reply_text(request, MHD_HTTP_OK, "application/yaml", &body, err);
}

/* Handlers of the page: files of api/page that the program carries. They are public; what they show, they ask the API
 * for. */
#include "api/http/handlers.h"
#include "api/http/media.h"
#include "api/http/reply.h"
#include "base/embed.h"
#include "base/mem.h"

#include <string.h>

/* Nothing of other hosts, nothing inline, in nobody's frame (CSP Level 3). */
static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
			     "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static const struct {
	const char *suffix;
	const char *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".svg", "image/svg+xml"},
};

/* NULL: no file of the page. */
static const char *type_of(const char *name)
{
	const char *suffix = strrchr(name, '.');
	for (size_t i = 0; suffix != NULL && i < sizeof types / sizeof types[0]; i++)
		if (strcmp(types[i].suffix, suffix) == 0)
			return types[i].type;
	return NULL;
}

static int show_file(struct request *request, const char *name, struct nel_err *err)
{
	CLEANUP(mem_freep) char *path = mem_printf("api/page/%s", name);
	const struct embed_file *file = embed_find(path);
	const char *type = type_of(name);
	if (file == NULL || type == NULL)
		return err_set(err, NEL_NOTFOUND, "the page has no such file");
	request_add_header(request, "Content-Security-Policy", policy);
	request_add_header(request, "X-Content-Type-Options", "nosniff");
	request_add_header(request, "X-Frame-Options", "DENY");
	request_add_header(request, "Referrer-Policy", "no-referrer");
	request_add_header(request, "Cross-Origin-Opener-Policy", "same-origin");
	request_add_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	struct str body = {0};
	str_append_n(&body, file->data, file->size);
	return reply_text(request, MHD_HTTP_OK, type, &body, err);
}

int api_getPage(struct request *request, struct nel_err *err)
{
	return show_file(request, "index.html", err);
}

int api_getPageFile(struct request *request, struct nel_err *err)
{
	return show_file(request, request->captures[0], err);
}

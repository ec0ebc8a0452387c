/* References to ports that are chosen on the node: where they are put, and where they are taken back. */
#include "config/compose/free_ports.h"

#include "base/mem.h"
#include "base/str.h"

#include <string.h>

#define OPENING "nel-port("
#define NAME_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
#define PORT_MAX 65535

/* The two places of auxiliary deployments' older names are among them. */
static const char *const server_keys[] = {"deployment", "judge_deployment", "user_deployment", NULL};

static json_t *proxy_config(const json_t *root)
{
	const json_t *proxy = json_object_get(json_object_get(root, "execution"), "proxy");
	return json_object_get(proxy, "config");
}

bool free_ports_exclusive(const json_t *execution)
{
	return json_is_true(json_object_get(json_object_get(execution, "sbatch_extra_flags"), "exclusive"));
}

bool free_ports_parse(const char *text, int *ret_number)
{
	if (text == NULL || !str_starts_with(text, OPENING) || !str_ends_with(text, ")"))
		return false;
	const char *name = text + strlen(OPENING);
	size_t size = strspn(name, NAME_BYTES);
	long long number;
	if (size == 0 || name[size] != ':')
		return false;
	CLEANUP(mem_freep) char *digits = mem_strndup(name + size + 1, strlen(name + size + 1) - 1);
	if (!str_to_int(digits, 1, PORT_MAX, &number))
		return false;
	*ret_number = (int)number;
	return true;
}

char *free_ports_reference(const char *auxiliary, int number)
{
	return mem_printf(OPENING "%s-proxy:%d)", auxiliary, number);
}

/* Of the reference that the text begins with; 0 when it only begins like one. No byte is looked at for two of them. */
static size_t reference_size(const char *text)
{
	const char *name = text + strlen(OPENING);
	const char *colon = name + strspn(name, NAME_BYTES);
	const char *end = *colon == ':' ? colon + 1 + strspn(colon + 1, "0123456789") : colon;
	return *colon == ':' && *end == ')' ? (size_t)(end + 1 - text) : 0;
}

char *free_ports_numbers(const char *text)
{
	struct str out = {0};
	const char *at;
	while ((at = strstr(text, OPENING)) != NULL) {
		int number;
		size_t size = reference_size(at);
		CLEANUP(mem_freep) char *reference = size > 0 ? mem_strndup(at, size) : NULL;
		str_append_n(&out, text, (size_t)(at - text));
		if (free_ports_parse(reference, &number)) {
			str_appendf(&out, "%d", number);
			text = at + size;
		} else {
			str_append(&out, OPENING);
			text = at + strlen(OPENING);
		}
	}
	str_append(&out, text);
	return str_take(&out);
}

static void mark(json_t *object, const char *key, const char *name)
{
	const json_t *port = json_object_get(object, key);
	if (json_is_integer(port))
		json_object_set_new(
		    object, key, json_sprintf(OPENING "%s:%" JSON_INTEGER_FORMAT ")", name, json_integer_value(port)));
}

static void mark_server(json_t *server, const char *name)
{
	const char *key;
	json_t *port;
	mark(server, "port", name);
	json_t *ports = json_object_get(server, FREE_PORTS_RAY);
	json_object_foreach(ports, key, port) {
		CLEANUP(mem_freep) char *whole = mem_printf("%s-ray-%s", name, key);
		mark(ports, key, whole);
	}
}

void free_ports_mark(json_t *config)
{
	const char *name;
	json_t *server;
	for (const char *const *key = server_keys; *key != NULL; key++)
		mark_server(json_object_get(config, *key), *key);
	json_object_foreach(json_object_get(config, "auxiliary_deployments"), name, server)
		mark_server(server, name);
	mark(proxy_config(config), "haproxy_port", "proxy");
}

/* Puts the number back in place of the reference, if there is one. */
static bool unmark(json_t *object, const char *key)
{
	int number;
	if (!free_ports_parse(json_string_value(json_object_get(object, key)), &number))
		return false;
	json_object_set_new(object, key, json_integer(number));
	return true;
}

static bool has_text(const json_t *value, const char *text)
{
	const char *key;
	json_t *member;
	if (json_is_string(value))
		return strstr(json_string_value(value), text) != NULL;
	json_object_foreach((json_t *)value, key, member)
		if (has_text(member, text))
			return true;
	return false;
}

/* Does what runs in the server's container read its port? An auxiliary without a command has the launcher's for vLLM.
 */
static bool reads_port(const json_t *server, const json_t *common, bool auxiliary, const char *reference)
{
	static const char *const keys[] = {"command", "pre_cmd", "env_vars", "command_template", NULL};
	const char *command = json_string_value(json_object_get(server, "command"));
	const char *template = json_string_value(json_object_get(server, "command_template"));
	const char *type = json_string_value(json_object_get(server, "type"));
	for (const char *const *key = keys; *key != NULL; key++)
		if (has_text(json_object_get(server, *key), reference))
			return true;
	if (has_text(common, reference))
		return true;
	if (!auxiliary || (command != NULL && *command != '\0'))
		return false;
	if (template != NULL && *template != '\0')
		return strstr(template, "{port}") != NULL;
	return type == NULL || strcmp(type, "nim") != 0;
}

/* A NIM reads its port from this variable alone ("Configure your NIM" in its documentation). */
static bool tell_nim(json_t *server, const char *reference)
{
	const char *type = json_string_value(json_object_get(server, "type"));
	json_t *variables = json_object_get(server, "env_vars");
	if (type == NULL || strcmp(type, "nim") != 0 || !json_is_object(variables) ||
	    json_object_get(variables, "NIM_SERVER_PORT") != NULL)
		return false;
	json_object_set_new(variables, "NIM_SERVER_PORT", json_sprintf("lit:%s", reference));
	return true;
}

/* Ray's ports stand in the command of the group: in another one they mean nothing. */
static bool settle_ray(json_t *server, const json_t *seen, bool exclusive)
{
	json_t *ports = json_object_get(server, FREE_PORTS_RAY);
	const char *key;
	json_t *port;
	bool changed = false;
	json_object_foreach(ports, key, port) {
		const char *reference = json_string_value(port);
		if (exclusive ||
		    (seen != NULL && reference != NULL && !has_text(json_object_get(seen, "command"), reference)))
			changed |= unmark(ports, key);
	}
	return changed;
}

static bool settle_port(json_t *server, const json_t *seen, const json_t *common, bool auxiliary, bool exclusive)
{
	const char *reference = json_string_value(json_object_get(server, "port"));
	int number;
	if (!free_ports_parse(reference, &number))
		return false;
	if (exclusive)
		return unmark(server, "port");
	if (seen == NULL || reads_port(seen, common, auxiliary, reference))
		return false;
	return tell_nim(server, reference) || unmark(server, "port");
}

static bool settle_server(json_t *server, const json_t *seen, const json_t *common, bool auxiliary, bool exclusive)
{
	bool changed = settle_ray(server, seen, exclusive);
	return settle_port(server, seen, common, auxiliary, exclusive) || changed;
}

/* Only a deployment of several instances has a proxy whose port the config may name. */
static bool settle_proxy(json_t *composed, const json_t *resolved, bool exclusive)
{
	json_t *config = proxy_config(composed);
	const json_t *instances = json_object_get(json_object_get(resolved, "execution"), "num_instances");
	bool none = json_is_integer(instances) && json_integer_value(instances) == 1;
	return (exclusive || none) && unmark(config, "haproxy_port");
}

bool free_ports_settle(json_t *composed, const json_t *resolved)
{
	bool exclusive = free_ports_exclusive(json_object_get(resolved == NULL ? composed : resolved, "execution"));
	const json_t *common = json_object_get(resolved, "env_vars");
	bool changed = settle_proxy(composed, resolved, exclusive);
	const char *name;
	json_t *server;
	for (const char *const *key = server_keys; *key != NULL; key++)
		changed |= settle_server(json_object_get(composed, *key), json_object_get(resolved, *key), common,
					 key != server_keys, exclusive);
	json_object_foreach(json_object_get(composed, "auxiliary_deployments"), name, server)
		changed |=
		    settle_server(server, json_object_get(json_object_get(resolved, "auxiliary_deployments"), name),
				  common, true, exclusive);
	return changed;
}

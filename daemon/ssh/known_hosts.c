/* Owns the parsing and matching of known_hosts lines. */
#include "ssh/known_hosts.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <ctype.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SSH_PORT 22
#define SHA1_BYTES 20

struct word {
	const char *at;
	size_t size;
};

enum marker { MARKER_NONE, MARKER_REVOKED, MARKER_OTHER };

struct line {
	int number;
	enum marker marker;
	struct word hosts, type, key;
};

/* The names to look up; lower case, as ssh(1) makes them. */
struct names {
	char *list[2];
	size_t count;
};

static void names_done(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->list[i]);
}

static struct word next_word(const char **p, const char *end)
{
	while (*p < end && (**p == ' ' || **p == '\t'))
		(*p)++;
	const char *start = *p;
	while (*p < end && **p != ' ' && **p != '\t' && **p != '\r')
		(*p)++;
	return (struct word){start, (size_t)(*p - start)};
}

static bool word_is(struct word w, const char *text)
{
	return w.size == strlen(text) && memcmp(w.at, text, w.size) == 0;
}

/* The next line with a key; false at the end of the text. */
static bool next_line(const char **p, struct line *line)
{
	while (**p != '\0') {
		const char *at = *p;
		const char *end = at + strcspn(at, "\n");
		*p = *end == '\n' ? end + 1 : end;
		line->number++;
		line->marker = MARKER_NONE;
		line->hosts = next_word(&at, end);
		if (line->hosts.size > 0 && *line->hosts.at == '@') {
			line->marker = word_is(line->hosts, "@revoked") ? MARKER_REVOKED : MARKER_OTHER;
			line->hosts = next_word(&at, end);
		}
		line->type = next_word(&at, end);
		line->key = next_word(&at, end);
		if (line->hosts.size > 0 && *line->hosts.at != '#' && line->key.size > 0)
			return true;
	}
	return false;
}

/* Wildcards as in ssh_config(5) PATTERNS: '*' and '?'. The name is lower case. */
static bool matches(const char *pattern, size_t size, const char *name)
{
	size_t p = 0, star = SIZE_MAX, n = 0, retry = 0;
	while (name[n] != '\0') {
		if (p < size && pattern[p] == '*') {
			star = p++;
			retry = n;
		} else if (p < size && (pattern[p] == '?' || tolower((unsigned char)pattern[p]) == name[n])) {
			p++;
			n++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			n = ++retry;
		} else {
			return false;
		}
	}
	while (p < size && pattern[p] == '*')
		p++;
	return p == size;
}

static bool plain_has(struct word hosts, const char *name)
{
	bool found = false;
	const char *at = hosts.at, *end = hosts.at + hosts.size;
	while (at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *stop = comma == NULL ? end : comma;
		bool negated = *at == '!';
		if (negated)
			at++;
		if (at < stop && matches(at, (size_t)(stop - at), name)) {
			if (negated)
				return false;
			found = true;
		}
		at = stop + 1;
	}
	return found;
}

static bool is_sha1(const char *text, size_t size)
{
	unsigned char value[SHA1_BYTES + 1];
	size_t value_size = 0;
	return sodium_base642bin(value, sizeof value, text, size, NULL, &value_size, NULL,
				 sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       value_size == SHA1_BYTES;
}

/* "|1|salt|HMAC-SHA1(salt, name)". Anything else is kept from libssh2, which leaks memory on some of it. */
static bool is_hash(struct word hosts)
{
	const char *salt = hosts.at + 3, *end = hosts.at + hosts.size;
	const char *bar = memchr(salt, '|', (size_t)(end - salt));
	return bar != NULL && is_sha1(salt, (size_t)(bar - salt)) && is_sha1(bar + 1, (size_t)(end - bar - 1));
}

/* libssh2 compares, from a line that has nothing else of the file's in it. */
static bool hash_has(LIBSSH2_SESSION *session, struct word hosts, const char *name)
{
	static const char key[] = "AAAAB3NzaC1yc2EAAAADAQABAAAAAQ==";
	if (!is_hash(hosts))
		return false;
	LIBSSH2_KNOWNHOSTS *known = libssh2_knownhost_init(session);
	if (known == NULL)
		return false;
	char *text = mem_printf("%.*s ssh-rsa %s", (int)hosts.size, hosts.at, key);
	bool found = false;
	if (libssh2_knownhost_readline(known, text, strlen(text), LIBSSH2_KNOWNHOST_FILE_OPENSSH) == 0) {
		int verdict = libssh2_knownhost_check(known, name, key, 0,
						      LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_BASE64 |
							  LIBSSH2_KNOWNHOST_KEY_SSHRSA,
						      NULL);
		found = verdict == LIBSSH2_KNOWNHOST_CHECK_MATCH;
	}
	free(text);
	libssh2_knownhost_free(known);
	return found;
}

static bool line_has(LIBSSH2_SESSION *session, const struct line *line, const struct names *names)
{
	bool hashed = line->hosts.size > 3 && memcmp(line->hosts.at, "|1|", 3) == 0;
	for (size_t i = 0; i < names->count; i++)
		if (hashed ? hash_has(session, line->hosts, names->list[i]) : plain_has(line->hosts, names->list[i]))
			return true;
	return false;
}

static char *lower(char *text)
{
	for (char *p = text; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return text;
}

static bool has_any(LIBSSH2_SESSION *session, const char *text, const struct names *names)
{
	struct line line = {0};
	while (next_line(&text, &line))
		if (line.marker == MARKER_NONE && line_has(session, &line, names))
			return true;
	return false;
}

static void names_of(LIBSSH2_SESSION *session, const char *text, const char *address, int port, struct names *ret)
{
	char *full = lower(mem_printf("[%s]:%d", address, port));
	char *bare = lower(mem_strdup(address));
	*ret = (struct names){.list = {full, bare}, .count = 2};
	if (port == SSH_PORT)
		return;
	/* ssh(1) tries the bare name too, but only when nothing is known of "[address]:port". */
	ret->count = 1;
	if (has_any(session, text, ret)) {
		free(bare);
		return;
	}
	free(full);
	ret->list[0] = bare;
}

enum known_hosts_verdict known_hosts_find(LIBSSH2_SESSION *session, const char *text, const char *address, int port,
					  const char *type, const char *key, int *ret_line)
{
	CLEANUP(names_done) struct names names = {0};
	names_of(session, text, address, port, &names);
	/* A revoked key is one under the full name, too. */
	CLEANUP(names_done)
	struct names both = {.list = {lower(mem_printf("[%s]:%d", address, port)), lower(mem_strdup(address))},
			     .count = 2};
	enum known_hosts_verdict verdict = KNOWN_HOSTS_UNKNOWN;
	struct line line = {0};
	*ret_line = 0;
	while (next_line(&text, &line)) {
		bool same = word_is(line.type, type) && word_is(line.key, key);
		if (line.marker == MARKER_REVOKED && same && line_has(session, &line, &both)) {
			*ret_line = line.number;
			return KNOWN_HOSTS_REVOKED;
		}
		if (line.marker != MARKER_NONE || verdict == KNOWN_HOSTS_MATCH || !word_is(line.type, type) ||
		    !line_has(session, &line, &names))
			continue;
		if (same || verdict == KNOWN_HOSTS_UNKNOWN)
			*ret_line = line.number;
		verdict = same ? KNOWN_HOSTS_MATCH : KNOWN_HOSTS_CHANGED;
	}
	return verdict;
}

static bool has_type(const struct str *types, struct word type)
{
	for (const char *p = str_text(types); *p != '\0';) {
		size_t size = strcspn(p, ",");
		if (size == type.size && memcmp(p, type.at, size) == 0)
			return true;
		p += size + (p[size] == ',' ? 1 : 0);
	}
	return false;
}

void known_hosts_types(LIBSSH2_SESSION *session, const char *text, const char *address, int port, struct str *ret_types)
{
	CLEANUP(names_done) struct names names = {0};
	names_of(session, text, address, port, &names);
	struct line line = {0};
	while (next_line(&text, &line)) {
		if (line.marker != MARKER_NONE || has_type(ret_types, line.type) || !line_has(session, &line, &names))
			continue;
		if (ret_types->len != 0)
			str_append_c(ret_types, ',');
		str_append_n(ret_types, line.type.at, line.type.size);
	}
}

void known_hosts_name(const char *address, int port, struct str *ret_name)
{
	if (port == SSH_PORT)
		str_append(ret_name, address);
	else
		str_appendf(ret_name, "[%s]:%d", address, port);
}

#include "ssh/kexinit.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define LISTS 10
#define COOKIE_BYTES 16
#define MSG_KEXINIT 20
#define SHOWN_MAX 160 /* bytes of a list, in the text */

/* The lists in their order (RFC 4253, 7.1). */
enum { KEX, HOST_KEY, CIPHER_OUT, CIPHER_IN, MAC_OUT, MAC_IN, COMPRESSION_OUT, COMPRESSION_IN };

struct list {
	const char *text; /* separated by commas */
	size_t size;
};

static const struct {
	int list;
	const char *what;
	const char *help;
} kinds[] = {
    {KEX, "key exchange method", "permit curve25519-sha256 or ecdh-sha2-nistp256 there (KexAlgorithms of sshd_config)"},
    {HOST_KEY, "type of host key",
     "give the server an ed25519 or ECDSA host key (ssh-keygen -A, HostKey of sshd_config) and put it into "
     "known_hosts; "
     "with an RSA key alone libssh2 1.11 is needed here"},
    {CIPHER_OUT, "cipher",
     "permit aes256-ctr there (Ciphers of sshd_config); libssh2 1.11 here has the AES-GCM ones as well, and 1.11.1 "
     "ChaCha20"},
    {MAC_OUT, "MAC",
     "permit hmac-sha2-256 or hmac-sha2-512 there (MACs of sshd_config); libssh2 1.11 here has their -etm forms as "
     "well"},
};

static bool take_number(const char **at, size_t *left, uint32_t *ret_number)
{
	if (*left < 4)
		return false;
	const unsigned char *b = (const unsigned char *)*at;
	*ret_number = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	*at += 4;
	*left -= 4;
	return true;
}

/* Other lines may come before a server's identification (RFC 4253, 4.2). */
static bool skip_identification(const char **at, size_t *left)
{
	for (;;) {
		const char *end = *left == 0 ? NULL : memchr(*at, '\n', *left);
		if (end == NULL)
			return false;
		bool found = *left >= 4 && memcmp(*at, "SSH-", 4) == 0;
		*left -= (size_t)(end + 1 - *at);
		*at = end + 1;
		if (found)
			return true;
	}
}

static bool parse(const char *at, size_t left, struct list lists[LISTS])
{
	uint32_t packet = 0;
	const size_t head = 1 + 1 + COOKIE_BYTES; /* length of the padding, kind of message, cookie */
	if (!skip_identification(&at, &left) || !take_number(&at, &left, &packet) || packet > left || packet < head ||
	    at[1] != MSG_KEXINIT)
		return false;
	at += head;
	left = packet - head;
	for (size_t i = 0; i < LISTS; i++) {
		uint32_t size = 0;
		if (!take_number(&at, &left, &size) || size > left)
			return false;
		lists[i] = (struct list){.text = at, .size = size};
		at += size;
		left -= size;
	}
	return true;
}

/* Takes the next name off the list. */
static bool next_name(struct list *list, struct list *ret_name)
{
	if (list->size == 0)
		return false;
	const char *comma = memchr(list->text, ',', list->size);
	size_t size = comma == NULL ? list->size : (size_t)(comma - list->text);
	*ret_name = (struct list){.text = list->text, .size = size};
	size_t step = comma == NULL ? size : size + 1;
	list->text += step;
	list->size -= step;
	return true;
}

static bool has_name(struct list list, const struct list *name)
{
	struct list other;
	while (next_name(&list, &other))
		if (other.size == name->size && memcmp(other.text, name->text, name->size) == 0)
			return true;
	return false;
}

/* The first of ours that they have, too: that one is taken. */
static bool agree(struct list ours, struct list theirs, struct list *ret_name)
{
	while (next_name(&ours, ret_name))
		if (has_name(theirs, ret_name))
			return true;
	return false;
}

/* Ciphers with a MAC of their own. */
static bool needs_mac(const struct list *cipher)
{
	static const char *const without[] = {"chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com",
					      "aes256-gcm@openssh.com"};
	for (size_t i = 0; i < sizeof without / sizeof *without; i++)
		if (strlen(without[i]) == cipher->size && memcmp(without[i], cipher->text, cipher->size) == 0)
			return false;
	return true;
}

static void append(char *buf, size_t size, const char *text, size_t length)
{
	size_t used = strlen(buf);
	size_t room = size - 1 - used;
	if (length > room)
		length = room;
	memcpy(buf + used, text, length);
	buf[used + length] = '\0';
	for (char *at = buf + used; *at != '\0'; at++)
		if (*at < 0x20 || *at > 0x7e)
			*at = '?';
}

static void append_list(char *buf, size_t size, const struct list *list)
{
	append(buf, size, list->text, list->size < SHOWN_MAX ? list->size : SHOWN_MAX);
	if (list->size > SHOWN_MAX)
		append(buf, size, "...", 3);
	else if (list->size == 0)
		append(buf, size, "none", 4);
}

static void append_text(char *buf, size_t size, const char *text)
{
	append(buf, size, text, strlen(text));
}

bool kexinit_explain(const char *ours, size_t ours_size, const char *theirs, size_t theirs_size, char *buf, size_t size)
{
	struct list us[LISTS];
	struct list them[LISTS];
	struct list cipher = {0};
	struct list name;
	buf[0] = '\0';
	if (!parse(ours, ours_size, us) || !parse(theirs, theirs_size, them))
		return false;
	bool has_cipher = agree(us[CIPHER_OUT], them[CIPHER_OUT], &cipher);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		int list = kinds[i].list;
		if (agree(us[list], them[list], &name) || (list == MAC_OUT && has_cipher && !needs_mac(&cipher)))
			continue;
		append_text(buf, size, buf[0] == '\0' ? "no common " : "; no common ");
		append_text(buf, size, kinds[i].what);
		append_text(buf, size, ": the server has ");
		append_list(buf, size, &them[list]);
		append_text(buf, size, ", and the daemon's libssh2 has ");
		append_list(buf, size, &us[list]);
		append_text(buf, size, ": ");
		append_text(buf, size, kinds[i].help);
	}
	return buf[0] != '\0';
}

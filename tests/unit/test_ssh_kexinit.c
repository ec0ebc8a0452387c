/* What is said of two sides that cannot agree; the server's bytes are untrusted. A real sshd is in tests/sim. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ssh/kexinit.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

static void append_number(struct str *s, uint32_t number)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		str_append_c(s, (char)(number >> shift & 0xff));
}

/* What a side sends first, with these lists. */
static void render(struct str *s, const char *before, const char *const lists[10])
{
	size_t size = 18 + 5 + 4;
	for (size_t i = 0; i < 10; i++)
		size += 4 + strlen(lists[i]);
	str_append(s, before);
	append_number(s, (uint32_t)size);
	str_append_c(s, 4);
	str_append_c(s, 20);
	str_append_n(s, "0123456789abcdef", 16);
	for (size_t i = 0; i < 10; i++) {
		append_number(s, (uint32_t)strlen(lists[i]));
		str_append(s, lists[i]);
	}
	str_append_n(s, "\0\0\0\0\0pppp", 9);
}

static const char *const ours[10] = {"curve25519-sha256",
				     "ssh-ed25519,ssh-rsa",
				     "aes256-ctr,aes128-ctr",
				     "aes256-ctr,aes128-ctr",
				     "hmac-sha2-256",
				     "hmac-sha2-256",
				     "none",
				     "none",
				     "",
				     ""};

static void test_explain_kinds_without_a_common_one_are_named(void **state)
{
	(void)state;
	static const struct {
		int list;
		const char *theirs;
		const char *said; /* NULL: they agree */
	} cases[] = {
	    {0, "curve25519-sha256", NULL},
	    {0, "sntrup761x25519-sha512@openssh.com", "no common key exchange method: the server has sntrup761"},
	    {1, "rsa-sha2-512,rsa-sha2-256",
	     "no common type of host key: the server has rsa-sha2-512,rsa-sha2-256, and"},
	    {2, "chacha20-poly1305@openssh.com", "no common cipher: the server has chacha20-poly1305@openssh.com, and"},
	    {4, "hmac-sha2-256-etm@openssh.com",
	     "no common MAC: the server has hmac-sha2-256-etm@openssh.com, and the "
	     "daemon's libssh2 has hmac-sha2-256: permit hmac-sha2-256"},
	    {4, "", "no common MAC: the server has none, and"},
	    {4, "hmac-sha2-25,hmac-sha2-2566", "no common MAC"},
	    {4, "x\n\x1b[2J\xff", "the server has x??[2J?, and"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *lists[10];
		CLEANUP(str_done) struct str us = {0};
		CLEANUP(str_done) struct str them = {0};
		char text[1024];
		memcpy(lists, ours, sizeof lists);
		lists[cases[i].list] = cases[i].theirs;
		render(&us, "SSH-2.0-libssh2_1.10.0\r\n", ours);
		render(&them, "Welcome\r\nSSH-2.0-OpenSSH_9.2\r\n", lists);
		bool told = kexinit_explain(us.data, us.len, them.data, them.len, text, sizeof text);
		if (told != (cases[i].said != NULL) || (told && strstr(text, cases[i].said) == NULL))
			fail_msg("case %zu: %s", i, text);
		/* Cut anywhere it says nothing, and reads nothing beyond. */
		for (size_t cut = 0; cut + 9 < them.len; cut++) {
			CLEANUP(mem_freep) char *part = malloc(cut + 1);
			memcpy(part, them.data, cut);
			assert_false(kexinit_explain(us.data, us.len, part, cut, text, sizeof text));
		}
		/* A short buffer is not left. */
		char small[24];
		(void)kexinit_explain(us.data, us.len, them.data, them.len, small, sizeof small);
		assert_true(strlen(small) < sizeof small);
	}
}

/* A cipher with a MAC of its own needs no other. */
static void test_explain_cipher_with_its_own_mac_needs_none(void **state)
{
	(void)state;
	const char *lists[10];
	CLEANUP(str_done) struct str us = {0};
	CLEANUP(str_done) struct str them = {0};
	char text[1024];
	memcpy(lists, ours, sizeof lists);
	lists[2] = lists[3] = "aes256-gcm@openssh.com";
	render(&us, "SSH-2.0-x\n", lists);
	lists[4] = lists[5] = "hmac-sha2-256-etm@openssh.com";
	render(&them, "SSH-2.0-y\n", lists);
	assert_false(kexinit_explain(us.data, us.len, them.data, them.len, text, sizeof text));
}

static void test_explain_lists_that_lie_about_their_size_say_nothing(void **state)
{
	(void)state;
	CLEANUP(str_done) struct str us = {0};
	char text[1024];
	render(&us, "SSH-2.0-x\n", ours);
	for (size_t at = 10; at < us.len; at++) {
		CLEANUP(str_done) struct str them = {0};
		str_append_n(&them, us.data, us.len);
		them.data[at] = (char)0xff;
		(void)kexinit_explain(us.data, us.len, them.data, them.len, text, sizeof text);
		(void)kexinit_explain(them.data, them.len, us.data, us.len, text, sizeof text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_explain_kinds_without_a_common_one_are_named),
	    cmocka_unit_test(test_explain_cipher_with_its_own_mac_needs_none),
	    cmocka_unit_test(test_explain_lists_that_lie_about_their_size_say_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* New SSH keys: OpenSSH itself reads them. */
#include "base/ssh_key.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* What ssh-keygen prints for the private key in a file. */
static void keygen(const char *options, const char *private_key, size_t size, char *ret_line, size_t line_size)
{
	char path[] = "/tmp/test_ssh_key_XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, private_key, size), (ssize_t)size);
	close(fd);
	CLEANUP(mem_freep) char *command = mem_printf("ssh-keygen %s -f %s 2>&1", options, path);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_non_null(fgets(ret_line, (int)line_size, pipe));
	assert_int_equal(pclose(pipe), 0);
	unlink(path);
	ret_line[strcspn(ret_line, "\n")] = '\0';
}

static void test_ssh_key_new_is_read_by_ssh_keygen(void **state)
{
	(void)state;
	static const char *const comments[] = {"", "a", "nel-slurmd:ann@alpha", "seven77", "eight888"};
	for (size_t i = 0; i < sizeof comments / sizeof comments[0]; i++) {
		CLEANUP(mem_freep) char *public_key = NULL;
		char *private_key = NULL;
		size_t size = 0;
		char line[256];
		ssh_key_new(comments[i], &public_key, &private_key, &size);
		assert_int_equal(strlen(private_key), size);
		keygen("-y", private_key, size, line, sizeof line);
		CLEANUP(mem_freep)
		char *expected = mem_printf("%s%s%s", public_key, comments[i][0] != '\0' ? " " : "", comments[i]);
		assert_string_equal(line, expected);
		keygen("-l", private_key, size, line, sizeof line);
		assert_non_null(strstr(line, "(ED25519)"));
		secret_free(private_key, size);
	}
}

static void test_ssh_key_new_keys_differ_and_long_comments_are_cut(void **state)
{
	(void)state;
	char comment[5000];
	memset(comment, 'c', sizeof comment);
	comment[sizeof comment - 1] = '\0';
	CLEANUP(mem_freep) char *one = NULL;
	CLEANUP(mem_freep) char *other = NULL;
	char *private_key = NULL;
	size_t size = 0;
	ssh_key_new(comment, &one, &private_key, &size);
	secret_free(private_key, size);
	ssh_key_new("", &other, &private_key, &size);
	secret_free(private_key, size);
	assert_string_not_equal(one, other);
}

static int setup(void **state)
{
	(void)state;
	struct nel_err err;
	return secret_init(&err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ssh_key_new_is_read_by_ssh_keygen),
	    cmocka_unit_test(test_ssh_key_new_keys_differ_and_long_comments_are_cut),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}

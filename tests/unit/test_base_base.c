/* base: errors, ids, clock, queue, secrets. */
#include "base/clock.h"
#include "base/err.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/queue.h"
#include "base/secret.h"

#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int synced_files, synced_directories;

/* In place of the C library's. */
int fsync(int fd)
{
	struct stat st;
	if (fstat(fd, &st) == 0)
		*(S_ISDIR(st.st_mode) ? &synced_directories : &synced_files) += 1;
	return (int)syscall(SYS_fsync, fd);
}

static void test_err_set_and_prefix_make_one_clean_line(void **state)
{
	(void)state;
	struct nel_err err;
	assert_int_equal(err_set(&err, NEL_INVALID, "bad\n%s", "value\x1b[0m"), -1);
	assert_string_equal(err.msg, "bad value [0m");
	assert_int_equal(err_prefix(&err, "file %d", 3), -1);
	assert_string_equal(err.msg, "file 3: bad value [0m");
	assert_int_equal(err.kind, NEL_INVALID);
	assert_int_equal(err_sys(&err, NEL_INTERNAL, ENOENT, "cannot open x"), -1);
	assert_string_equal(err.msg, "cannot open x: No such file or directory");
	assert_int_equal(err_set(NULL, NEL_BUSY, "nobody listens"), -1);
	char longer[NEL_ERR_MSG_MAX * 2];
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	err_set(&err, NEL_BUSY, "%s", longer);
	err_prefix(&err, "%s", longer);
	assert_int_equal(strlen(err.msg), NEL_ERR_MSG_MAX - 1);
}

static void test_ids_parse_job_table(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int index; /* -1: refused */
	} cases[] = {
	    {"0123456789abcdef.0", 0},
	    {"0123456789abcdef.99999", 99999},
	    {"0123456789abcdef.100000", -1},
	    {"0123456789abcdef.01", -1},
	    {"0123456789abcdef.", -1},
	    {"0123456789abcdef", -1},
	    {"0123456789ABCDEF.1", -1},
	    {"0123456789abcde.1", -1},
	    {"0123456789abcdef.-1", -1},
	    {"0123456789abcdef.1x", -1},
	    {"", -1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char evaluation[IDS_EVALUATION_SIZE];
		int index = -1;
		bool ok = ids_parse_job(cases[i].text, evaluation, &index);
		assert_int_equal(ok, cases[i].index >= 0);
		assert_int_equal(index, cases[i].index);
		if (ok) {
			char back[IDS_JOB_SIZE];
			ids_format_job(evaluation, index, back);
			assert_string_equal(back, cases[i].text);
		}
	}
}

static void test_ids_new_token_has_its_shape(void **state)
{
	(void)state;
	char one[IDS_TOKEN_SIZE];
	char two[IDS_TOKEN_SIZE];
	ids_new_token(one);
	ids_new_token(two);
	assert_int_equal(strlen(one), 47);
	assert_memory_equal(one, "nel_", 4);
	assert_int_equal(strspn(one + 4, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"), 43);
	assert_string_not_equal(one, two);
}

static void test_clock_rfc3339_round_trips(void **state)
{
	(void)state;
	char text[CLOCK_RFC3339_SIZE];
	int64_t back = 0;
	assert_string_equal(clock_rfc3339(1769860800, text), "2026-01-31T12:00:00Z");
	assert_int_equal(clock_parse_rfc3339(text, &back), 0);
	assert_int_equal(back, 1769860800);
	assert_int_equal(clock_parse_rfc3339("2026-01-31T13:30:00.25+01:30", &back), 0);
	assert_int_equal(back, 1769860800);
	assert_int_equal(clock_parse_rfc3339("2026-01-31", &back), -1);
	assert_int_equal(clock_parse_rfc3339("2026-01-31T12:00:00", &back), -1);
	assert_int_equal(clock_parse_rfc3339("2026-01-31T12:00:00Zx", &back), -1);
	assert_int_equal(clock_parse_rfc3339("2024-02-29T23:59:60z", &back), 0);
	assert_int_equal(back, 1709251200);
	static const char *const none[] = {
	    "2026-02-31T00:00:00Z",      "2026-02-29T00:00:00Z",
	    "2026-04-31T12:00:00Z",      "2026-00-01T00:00:00Z",
	    "2026-13-01T00:00:00Z",      "2026-01-00T00:00:00Z",
	    "2026-01-32T00:00:00Z",      "2026-01-01T24:00:00Z",
	    "2026-01-01T00:60:00Z",      "2026-01-01T00:00:61Z",
	    "2026-1-1T0:0:0Z",           " 2026-01-01T00:00:00Z",
	    "2026-01-01T00:00:00.Z",     "2026-01-01T00:00:00+24:00",
	    "2026-01-01T00:00:00+-1:00", "2026-01-01T00:00:00+1:00",
	    "+026-01-01T00:00:00Z",      "2026-01-01T00:00:00+01:60",
	    "2026-01-01 00:00:00Z",      "",
	};
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		if (clock_parse_rfc3339(none[i], &back) != -1)
			fail_msg("%s", none[i]);
	clock_fake_set_ms(5000);
	assert_int_equal(clock_now_s(), 5);
	assert_int_equal(clock_mono_ms(), 5000);
	clock_fake_set_ms(-1);
	assert_true(clock_now_s() > 1700000000);
}

static void *produce(void *arg)
{
	struct queue *q = arg;
	for (intptr_t i = 1; i <= 10000; i++)
		while (!queue_push(q, (void *)i))
			usleep(10);
	return NULL;
}

static void test_queue_is_bounded_and_ordered(void **state)
{
	(void)state;
	struct queue *q = queue_new(2);
	int items[3];
	assert_null(queue_pop(q, 0));
	assert_true(queue_push(q, &items[0]));
	assert_true(queue_push(q, &items[1]));
	assert_false(queue_push(q, &items[2]));
	assert_ptr_equal(queue_pop(q, 0), &items[0]);
	assert_true(queue_push(q, &items[2]));
	queue_close(q);
	assert_false(queue_push(q, &items[0]));
	assert_ptr_equal(queue_pop(q, -1), &items[1]);
	assert_ptr_equal(queue_pop(q, -1), &items[2]);
	assert_null(queue_pop(q, -1));
	assert_true(queue_is_closed(q));
	queue_free(q);
}

static void test_queue_between_threads_loses_nothing(void **state)
{
	(void)state;
	struct queue *q = queue_new(16);
	pthread_t threads[3];
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, produce, q), 0);
	int64_t sum = 0;
	for (int i = 0; i < 30000; i++)
		sum += (intptr_t)queue_pop(q, -1);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(sum, 3LL * 10000 * 10001 / 2);
	assert_int_equal(queue_length(q), 0);
	queue_free(q);
}

static void test_secret_seal_opens_only_with_key_and_label(void **state)
{
	char path[64];
	char other_path[64];
	struct nel_err err;
	snprintf(path, sizeof path, "%s/a.key", (char *)*state);
	snprintf(other_path, sizeof other_path, "%s/b.key", (char *)*state);
	assert_int_equal(secret_keygen(path, &err), 0);
	assert_int_equal(secret_keygen(path, &err), -1);
	assert_int_equal(err.kind, NEL_CONFLICT);
	assert_int_equal(secret_keygen(other_path, &err), 0);
	struct secret_key *key = NULL;
	struct secret_key *other = NULL;
	assert_int_equal(secret_key_load(path, &key, &err), 0);
	assert_int_equal(secret_key_load(other_path, &other, &err), 0);
	static const char text[] = "hf_$(touch x)'\"`\n\xff";
	unsigned char *sealed = NULL;
	size_t sealed_size = 0;
	assert_int_equal(secret_seal(key, "env:1", text, sizeof text, &sealed, &sealed_size, &err), 0);
	assert_null(memmem(sealed, sealed_size, "hf_", 3));
	char *open = NULL;
	size_t size = 0;
	assert_int_equal(secret_open(key, "env:2", sealed, sealed_size, &open, &size, &err), -1);
	assert_int_equal(secret_open(other, "env:1", sealed, sealed_size, &open, &size, &err), -1);
	assert_int_equal(secret_open(key, "env:1", sealed, 5, &open, &size, &err), -1);
	assert_int_equal(secret_open(key, "env:1", sealed, sealed_size, &open, &size, &err), 0);
	assert_int_equal(size, sizeof text);
	assert_memory_equal(open, text, size);
	secret_free(open, size);
	sealed[sealed_size - 1] ^= 1;
	assert_int_equal(secret_open(key, "env:1", sealed, sealed_size, &open, &size, &err), -1);
	free(sealed);
	secret_key_free(key);
	secret_key_free(other);
}

static void test_secret_key_load_of_a_credential_bears_an_acl(void **state)
{
	(void)state;
	char directory[] = "/tmp/nel-credentials-XXXXXX";
	char path[64];
	struct nel_err err = {0};
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/master.key", directory);
	assert_int_equal(secret_keygen(path, &err), 0);
	const struct {
		mode_t mode;
		const char *credentials;
		int rc;
	} cases[] = {
	    {0440, directory, 0},  {0440, "/tmp/nel-credentials", -1}, {0440, "", -1}, {0444, directory, -1},
	    {0460, directory, -1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct secret_key *key = NULL;
		assert_int_equal(chmod(path, cases[i].mode), 0);
		setenv("CREDENTIALS_DIRECTORY", cases[i].credentials, 1);
		assert_int_equal(secret_key_load(path, &key, &err), cases[i].rc);
		secret_key_free(key);
	}
	unsetenv("CREDENTIALS_DIRECTORY");
	unlink(path);
	rmdir(directory);
}

static void test_secret_key_load_refuses_what_others_may_read(void **state)
{
	char path[64];
	struct nel_err err;
	struct secret_key *key = NULL;
	snprintf(path, sizeof path, "%s/c.key", (char *)*state);
	assert_int_equal(secret_key_load(path, &key, &err), -1);
	assert_int_equal(err.kind, NEL_NOTFOUND);
	assert_int_equal(secret_keygen(path, &err), 0);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(secret_key_load(path, &key, &err), -1);
	assert_int_equal(err.kind, NEL_DENIED);
	assert_non_null(strstr(err.msg, "chmod 600"));
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs("not hex", file);
	fclose(file);
	chmod(path, 0600);
	assert_int_equal(secret_key_load(path, &key, &err), -1);
	assert_int_equal(err.kind, NEL_INVALID);
	assert_null(key);
}

static void test_secret_keygen_makes_file_and_name_durable(void **state)
{
	char path[64];
	struct nel_err err;
	snprintf(path, sizeof path, "%s/d.key", (char *)*state);
	synced_files = synced_directories = 0;
	assert_int_equal(secret_keygen(path, &err), 0);
	assert_int_equal(synced_files, 1);
	assert_int_equal(synced_directories, 1);
	assert_int_equal(unlink(path), 0);
}

static void test_secret_token_hash_is_sha256(void **state)
{
	(void)state;
	char hash[SECRET_HASH_SIZE];
	secret_token_hash("abc", hash);
	assert_string_equal(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* Of more than a thread remembers, again and again. */
static void test_secret_token_hash_is_each_tokens_own(void **state)
{
	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 200; i++) {
			char token[16];
			char hash[SECRET_HASH_SIZE];
			char wanted[SECRET_HASH_SIZE];
			unsigned char bytes[crypto_hash_sha256_BYTES];
			snprintf(token, sizeof token, "nel_%d", i / (round + 1));
			crypto_hash_sha256(bytes, (const unsigned char *)token, strlen(token));
			sodium_bin2hex(wanted, sizeof wanted, bytes, sizeof bytes);
			secret_token_hash(token, hash);
			assert_string_equal(hash, wanted);
		}
	}
}

static int make_directory(void **state)
{
	static char path[] = "/tmp/nel-unit.XXXXXX";
	*state = mkdtemp(path);
	struct nel_err err;
	return *state != NULL && secret_init(&err) == 0 ? 0 : -1;
}

static int remove_directory(void **state)
{
	static const char *const names[] = {"a.key", "b.key", "c.key"};
	char path[64];
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/%s", (char *)*state, names[i]);
		unlink(path);
	}
	return rmdir(*state);
}

static void test_log_message_has_its_fields(void **state)
{
	(void)state;
	const struct log_field fields[] = {LOG_S("job", "1.0"), LOG_S("reason", "no \"route\"\n"), LOG_N("attempt", 2)};
	struct str s = {0};
	log_append_message(&s, "job changed", fields, 3);
	assert_string_equal(str_text(&s), "job changed job=1.0 reason=\"no \\\"route\\\"\\x0a\" attempt=2");
	str_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_err_set_and_prefix_make_one_clean_line),
	    cmocka_unit_test(test_ids_parse_job_table),
	    cmocka_unit_test(test_ids_new_token_has_its_shape),
	    cmocka_unit_test(test_clock_rfc3339_round_trips),
	    cmocka_unit_test(test_queue_is_bounded_and_ordered),
	    cmocka_unit_test(test_queue_between_threads_loses_nothing),
	    cmocka_unit_test(test_secret_seal_opens_only_with_key_and_label),
	    cmocka_unit_test(test_secret_key_load_of_a_credential_bears_an_acl),
	    cmocka_unit_test(test_secret_key_load_refuses_what_others_may_read),
	    cmocka_unit_test(test_secret_token_hash_is_sha256),
	    cmocka_unit_test(test_secret_token_hash_is_each_tokens_own),
	    cmocka_unit_test(test_secret_keygen_makes_file_and_name_durable),
	    cmocka_unit_test(test_log_message_has_its_fields),
	};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

/* What of old settings lives on in new ones, and which changes want a restart. */
#include "config/settings/settings_reload.h"

#include "base/mem.h"
#include "config/settings/settings_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct settings *load(const char *text)
{
	char path[] = "/tmp/test_reload_XXXXXX";
	struct settings *settings = NULL;
	struct nel_err err = {0};
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	int rc = settings_load(path, &settings, NULL, &err);
	unlink(path);
	if (rc != 0)
		fail_msg("%s", err.msg);
	return settings;
}

#define A(user) "  - {name: a, hostname: a.example, identity: {username: " user ", key_file: /k}}\n"
#define A_OWN "  - {name: a, hostname: a.example, identity: per_user}\n"
#define B "  - {name: b, hostname: b.example, identity: {username: svc, key_file: /k}}\n"

static bool lives(const struct settings_cluster *cluster, void *arg)
{
	return strcmp(cluster->name, arg) == 0;
}

static void test_carry_over_removed_cluster_drains_until_nothing_lives(void **state)
{
	(void)state;
	CLEANUP(settings_freep) struct settings *first = load("clusters:\n" A("svc") B);
	CLEANUP(settings_freep) struct settings *second = load("clusters:\n" B);
	CLEANUP(settings_freep) struct settings *third = load("clusters:\n" B);
	CLEANUP(settings_freep) struct settings *fourth = load("clusters:\n" B);
	settings_carry_over(second, first, lives, (void *)"none"); /* what was in force may have got a job just now */
	assert_int_equal(second->cluster_count, 2);
	const struct settings_cluster *a = settings_cluster_of(second, "a", "svc");
	assert_non_null(a);
	assert_true(a->draining && a->borrowed);
	assert_string_equal(a->hostname, "a.example");
	assert_false(settings_cluster_by_name(second, "b")->draining);
	settings_carry_over(third, second, lives, (void *)"a");
	assert_non_null(settings_cluster_of(third, "a", "svc"));
	settings_carry_over(fourth, third, lives, (void *)"none");
	assert_null(settings_cluster_of(fourth, "a", "svc"));
	assert_int_equal(fourth->cluster_count, 1);
}

static void test_carry_over_other_account_keeps_the_old_one_for_its_jobs(void **state)
{
	(void)state;
	CLEANUP(settings_freep) struct settings *first = load("clusters:\n" A("svc"));
	CLEANUP(settings_freep) struct settings *second = load("clusters:\n" A("other"));
	CLEANUP(settings_freep) struct settings *third = load("clusters:\n" A_OWN);
	settings_carry_over(second, first, lives, (void *)"a");
	assert_string_equal(settings_cluster_by_name(second, "a")->username, "other");
	assert_false(settings_cluster_by_name(second, "a")->draining);
	assert_true(settings_cluster_of(second, "a", "svc")->draining);
	settings_carry_over(third, second, lives, (void *)"a");
	assert_int_equal(third->cluster_count, 3);
	assert_true(settings_cluster_of(third, "a", "ann/alice")->identity_per_user);
	assert_true(settings_cluster_of(third, "a", "svc")->draining);
	assert_true(settings_cluster_of(third, "a", "other")->draining);
}

static void test_want_restart_names_what_cannot_change(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *key; /* NULL: nothing */
	} cases[] = {
	    {"database: /x/other.db\n", "database"},
	    {"listen: [127.0.0.1:1]\n", "listen"},
	    {"tls: {cert_file: /c, key_file: /k}\n", "tls"},
	    {"master_key_file: /x\n", "master_key_file"},
	    {"tasks_file: /x\n", "tasks_file"},
	    {"socket_mode: \"0600\"\n", "socket_mode"},
	    {"trusted_proxy: {accounts: [root], user_header: X-User}\n", "trusted_proxy"},
	    {"limits: {connections_per_address: 7}\n", "limits.connections_per_address"},
	    {"limits: {config_bytes: 4096}\n", NULL},
	    {"log_level: debug\n", NULL},
	    {"clusters:\n" A("svc"), NULL},
	};
	CLEANUP(settings_freep) struct settings *before = load("log_level: info\n");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *keys[SETTINGS_RESTART_MAX];
		CLEANUP(settings_freep) struct settings *next = load(cases[i].text);
		assert_int_equal(settings_want_restart(before, next, keys), cases[i].key != NULL ? 1 : 0);
		if (cases[i].key != NULL)
			assert_string_equal(keys[0], cases[i].key);
	}
}

#define WEBHOOKS(networks) "webhooks: {allow_private: [" networks "]}\nclusters:\n" B

static void test_want_restart_of_other_networks(void **state)
{
	(void)state;
	const char *keys[SETTINGS_RESTART_MAX];
	CLEANUP(settings_freep) struct settings *first = load(WEBHOOKS("10.0.0.0/8, 192.168.0.0/16"));
	CLEANUP(settings_freep) struct settings *same = load(WEBHOOKS("10.0.0.0/8, 192.168.0.0/16"));
	CLEANUP(settings_freep) struct settings *address = load(WEBHOOKS("10.0.0.0/8, 192.168.0.0/17"));
	CLEANUP(settings_freep) struct settings *bits = load(WEBHOOKS("11.0.0.0/8, 192.168.0.0/16"));
	assert_int_equal(settings_want_restart(first, same, keys), 0);
	assert_int_equal(settings_want_restart(first, address, keys), 1);
	assert_string_equal(keys[0], "webhooks");
	assert_int_equal(settings_want_restart(first, bits, keys), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_want_restart_of_other_networks),
	    cmocka_unit_test(test_carry_over_removed_cluster_drains_until_nothing_lives),
	    cmocka_unit_test(test_carry_over_other_account_keeps_the_old_one_for_its_jobs),
	    cmocka_unit_test(test_want_restart_names_what_cannot_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

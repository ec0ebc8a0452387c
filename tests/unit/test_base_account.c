/* Accounts of this system. */
#include "base/account.h"
#include "cmocka_all.h"

#include <string.h>
#include <sys/resource.h>

static void test_account_known_and_unknown(void **state)
{
	char name[ACCOUNT_NAME_MAX + 1] = "unchanged";
	uid_t uid = 7;
	struct nel_err err = {0};
	(void)state;
	assert_int_equal(account_by_name("root", &uid, &err), 0);
	assert_int_equal(uid, 0);
	assert_int_equal(account_by_uid(0, name, &err), 0);
	assert_string_equal(name, "root");
	assert_int_equal(account_by_name("no-such-account-here", &uid, &err), -1);
	assert_int_equal(err.kind, NEL_NOTFOUND);
	assert_non_null(strstr(err.msg, "no-such-account-here"));
	assert_int_equal(account_by_uid(4000000123U, name, &err), -1);
	assert_int_equal(err.kind, NEL_NOTFOUND);
	assert_string_equal(name, "root");
}

/* What fails for want of a descriptor fails for good as little as a directory server that is away. */
static void test_account_that_cannot_be_looked_up_is_not_unknown(void **state)
{
	uid_t uid = 7;
	struct nel_err err = {0};
	struct rlimit before;
	struct rlimit none;
	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	int rc = account_by_name("no-such-account-here", &uid, &err);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(rc, -1);
	assert_int_equal(err.kind, NEL_INTERNAL);
	assert_non_null(strstr(err.msg, "cannot be known now"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    /* First: what the C library has opened once it needs no more. */
	    cmocka_unit_test(test_account_that_cannot_be_looked_up_is_not_unknown),
	    cmocka_unit_test(test_account_known_and_unknown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

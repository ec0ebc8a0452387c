/* For the tests of slurm/check.h: a Slurm that sbatch, scontrol and sacctmgr pretend, and what a reply says. */
#ifndef NEL_TESTS_CHECK_FIXTURE_H
#define NEL_TESTS_CHECK_FIXTURE_H

#include "slurm/check.h"
#include "slurm_local.h"

#define SCRIPT_TEST(f) cmocka_unit_test_setup_teardown(f, check_setup, local_teardown)

static const char slurm_of_checks[] =
    "cd \"$FAKE/bin\" || exit 1\n"
    "cat >sbatch <<'EOF'\n"
    "#!/bin/bash\n"
    "echo \"sbatch $*\" >>\"$FAKE/calls\"\n"
    "cat >\"$FAKE/script.$(grep -c ^sbatch \"$FAKE/calls\")\"\n"
    "if [[ -e $FAKE/fail_sbatch ]]; then cat \"$FAKE/fail_sbatch\" >&2; exit 1; fi\n"
    "if [[ -e $FAKE/sbatch_says ]]; then cat \"$FAKE/sbatch_says\" >&2; exit 0; fi\n"
    "echo 'sbatch: warning: it is late' >&2\n"
    "echo 'sbatch: Job 32 to start at 1769860800 using 16 processors on nodes a1 in partition batch' >&2\n"
    "EOF\n"
    "cat >scontrol <<'EOF'\n"
    "#!/bin/bash\n"
    "if [[ -e $FAKE/fail_scontrol ]]; then cat \"$FAKE/fail_scontrol\" >&2; exit 1; fi\n"
    "case $* in\n"
    "*config) cat \"$FAKE/config\" ;;\n"
    "*partition) cat \"$FAKE/partitions\" ;;\n"
    "esac\n"
    "EOF\n"
    "cat >sacctmgr <<'EOF'\n"
    "#!/bin/bash\n"
    "echo \"sacctmgr $*\" >>\"$FAKE/calls\"\n"
    "if [[ -e $FAKE/fail_sacctmgr ]]; then cat \"$FAKE/fail_sacctmgr\" >&2; exit 1; fi\n"
    "cat \"$FAKE/associations\"\n"
    "EOF\n"
    "chmod +x *; cd \"$FAKE\"\n"
    "printf 'AccountingStorageEnforce = associations,limits\\nAccountingStorageType   = accounting_storage/slurmdbd\\n"
    "ClusterName             = alpha\\n' >config\n"
    "echo 'PartitionName=batch AllowGroups=ALL AllowAccounts=ALL State=UP' >partitions\n"
    "printf 'other|\\nteam|\\n' >associations\n"
    "mkdir out data; : >image.sqsh; rm calls; : >calls\n";

static int check_setup(void **state)
{
	local_setup(state);
	run("%s", slurm_of_checks);
	return 0;
}

/* The nth result of that kind has the verdict, and the text somewhere in its message. */
static void assert_result(const struct check_reply *reply, enum check_kind kind, size_t nth, enum check_verdict verdict,
			  const char *text)
{
	for (size_t i = 0; i < reply->count; i++) {
		const struct check_result *result = &reply->items[i];
		if (result->kind != kind || nth-- > 0)
			continue;
		if (result->verdict != verdict || strstr(result->message, text) == NULL)
			fail_msg("%s: verdict %d, '%s' instead of '%s'", check_kind_name(kind), (int)result->verdict,
				 result->message, text);
		return;
	}
	fail_msg("no result of kind %s", check_kind_name(kind));
}

static void write_file(const char *name, const char *text)
{
	CLEANUP(mem_freep) char *path = mem_printf("%s/%s", local_dir, name);
	CLEANUP(file_closep) FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
}

#endif

/* What several versions of Slurm print of jobs in many states, run through remote_observe.sh and its parser. Each
 * directory of tests/golden/slurm is a version: `jobs` names the jobs, squeue, sacct and scontrol are what the commands
 * printed (tests/golden/slurm/record), and `expected` is what the daemon makes of it, a line a job. */
#include "slurm/observe.h"
#include "slurm/slurm_state.h"
#include "slurm_local.h"

#include <dirent.h>
#include <inttypes.h>

#define VERSIONS_DIR NEL_SOURCE_DIR "/tests/golden/slurm"
#define JOBS_MAX 64

struct recording {
	char *text; /* of `jobs`, cut into words */
	struct observe_order orders[JOBS_MAX];
	size_t count;
};

static void recording_done(struct recording *r)
{
	free(r->text);
}

/* Lines that begin with '#' say where a file comes from. */
static void read_recording(const char *version, struct recording *r)
{
	CLEANUP(mem_freep) char *command = mem_printf("grep -v '^#' " VERSIONS_DIR "/%s/jobs", version);
	char *rest = r->text = output_of(command);
	char *line = NULL;
	r->count = 0;
	while ((line = strsep(&rest, "\n")) != NULL) {
		char *name = strchr(line, '|');
		assert_non_null(name);
		assert_true(r->count < JOBS_MAX);
		*name++ = '\0';
		r->orders[r->count++] = (struct observe_order){
		    .slurm_job_id = line, .job_name = name, .job_dir = "/nowhere/at.all", .attempt = 1};
	}
}

static const char *class_name(const char *state)
{
	static const char *const names[] = {
	    [SLURM_PENDING] = "pending",     [SLURM_RUNNING] = "running",     [SLURM_SUCCEEDED] = "succeeded",
	    [SLURM_RESUMABLE] = "resumable", [SLURM_CANCELLED] = "cancelled", [SLURM_FAILED] = "failed",
	    [SLURM_REVOKED] = "revoked",     [SLURM_UNKNOWN] = "unknown",
	};
	return names[slurm_state_class(state)];
}

/* Times are checked against each other, for those of a recording say nothing by themselves. */
static void check_times(const struct observation *o, const char *name)
{
	bool pending = slurm_state_class(o->state) == SLURM_PENDING;
	if ((pending && o->started_at != 0) || (o->ended_at != 0 && o->started_at > o->ended_at) ||
	    (!pending && o->start_estimate != 0))
		fail_msg("%s: started %" PRId64 " ended %" PRId64, name, o->started_at, o->ended_at);
	if (o->ended_at != 0 && o->started_at != 0 && o->restarts == 0)
		assert_int_equal(o->elapsed_s, o->ended_at - o->started_at);
}

static char *tell(const struct recording *r, const struct observe_reply *reply)
{
	struct str s = {0};
	for (size_t i = 0; i < r->count; i++) {
		const struct observation *o = &reply->items[i];
		const char *nodes = o->nodes == NULL ? "-" : o->nodes;
		check_times(o, r->orders[i].job_name);
		str_appendf(&s, "%s: %s %s, on %s, exit %d signal %d, restarts %d%s%s%s%s\n", r->orders[i].job_name,
			    o->state, class_name(o->state), nodes, o->exit_code, o->signal, o->restarts,
			    o->cancelled_by[0] != '\0' ? ", cancelled by " : "", o->cancelled_by,
			    o->reason != NULL ? ", waits for " : "", o->reason != NULL ? o->reason : "");
	}
	return str_take(&s);
}

/* The stand-ins print what was recorded, of the ids that they are asked for. `kept` chooses rows of squeue's. */
static void play(const char *version, const char *kept)
{
	run("cd $FAKE/bin && for name in squeue sacct scontrol; do\n"
	    "grep -v '^#' " VERSIONS_DIR "/%s/$name >$FAKE/$name || : >$FAKE/$name; done\n"
	    "grep %s $FAKE/squeue >$FAKE/rows || :\n"
	    "printf '#!/bin/bash\\necho squeue >>$FAKE/calls; cat $FAKE/rows\\n' >squeue\n"
	    "cat >sacct <<'EOF'\n"
	    "#!/bin/bash\n"
	    "for word; do [[ $word != --jobs=* ]] || wanted=,${word#--jobs=},; done\n"
	    "while IFS= read -r row; do [[ $wanted != *,${row%%%%[!0-9]*},* ]] || echo \"$row\"; done <$FAKE/sacct\n"
	    "EOF\n"
	    "cat >scontrol <<'EOF'\n"
	    "#!/bin/bash\n"
	    "grep \"^JobId=${@: -1} \" $FAKE/scontrol\n"
	    "EOF\n"
	    "chmod +x squeue sacct scontrol",
	    version, kept);
}

static char *observe(const struct recording *r, bool use_sacct)
{
	CLEANUP(observe_reply_done) struct observe_reply reply = {0};
	struct nel_err err = {0};
	if (slurm_observe(NULL, r->orders, r->count, (struct observe_wants){.sacct = use_sacct}, 60000, NULL, &reply,
			  &err) != 0)
		fail_msg("%s", err.msg);
	if (reply.slurm_failed || reply.sacct_failed)
		fail_msg("%s", reply.message);
	return tell(r, &reply);
}

/* NEL_GOLDEN=write makes it anew. */
static void compare(const char *version, const char *told)
{
	const char *mode = getenv("NEL_GOLDEN");
	if (mode != NULL && strcmp(mode, "write") == 0) {
		CLEANUP(mem_freep) char *path = mem_printf(VERSIONS_DIR "/%s/expected", version);
		CLEANUP(file_closep) FILE *file = fopen(path, "we");
		assert_non_null(file);
		fputs(told, file);
	}
	CLEANUP(mem_freep) char *command = mem_printf("cat " VERSIONS_DIR "/%s/expected; echo", version);
	CLEANUP(mem_freep) char *expected = output_of(command);
	if (strcmp(told, expected) != 0)
		fail_msg("%s:\n%s", version, told);
}

/* The first words of each line, with the state. */
static char *states_of(const char *told)
{
	struct str s = {0};
	for (const char *at = told; *at != '\0';) {
		str_append_n(&s, at, strcspn(at, ","));
		str_append_c(&s, '\n');
		at += strcspn(at, "\n") + 1;
	}
	return str_take(&s);
}

static void check_version(const char *version)
{
	CLEANUP(recording_done) struct recording r = {0};
	read_recording(version, &r);
	assert_true(r.count > 0);
	play(version, "'^q|'");
	CLEANUP(mem_freep) char *told = observe(&r, true);
	compare(version, told);
	/* slurmctld has forgotten what has ended. */
	play(version, "-E -v '^q[|][^|]*[|](BOOT_FAIL|CANCELLED|COMPLETED|DEADLINE|FAILED|NODE_FAIL|OUT_OF_MEMORY|"
		      "PREEMPTED|TIMEOUT)[|]'");
	CLEANUP(mem_freep) char *forgotten = observe(&r, true);
	if (strcmp(told, forgotten) != 0)
		fail_msg("%s, from sacct:\n%s", version, forgotten);
	/* There is no accounting: no exit codes, but the same states. */
	play(version, "'^q|'");
	CLEANUP(mem_freep) char *alone = observe(&r, false);
	CLEANUP(mem_freep) char *states = states_of(told);
	CLEANUP(mem_freep) char *states_alone = states_of(alone);
	if (strcmp(states, states_alone) != 0)
		fail_msg("%s, from squeue alone:\n%s", version, states_alone);
}

static void test_observe_of_each_version_of_slurm(void **state)
{
	(void)state;
	int count = 0;
	DIR *versions = opendir(VERSIONS_DIR);
	assert_non_null(versions);
	for (const struct dirent *entry = NULL; (entry = readdir(versions)) != NULL;) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		check_version(entry->d_name);
		count++;
	}
	closedir(versions);
	assert_true(count >= 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_observe_of_each_version_of_slurm, local_setup, local_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

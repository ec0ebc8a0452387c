/* For the tests of slurm/submit.h: run directories that are sent with remote_submit.sh, which runs here under stand-ins
 * for Slurm (slurm_local.h). */
#ifndef NEL_TESTS_SUBMIT_LOCAL_H
#define NEL_TESTS_SUBMIT_LOCAL_H

#include "slurm/submit.h"
#include "slurm_local.h"

static const char *const no_sources[] = {NULL};

struct sent {
	struct submit_reply reply;
	struct nel_err err;
	int status;
};

static inline void sent_done(struct sent *sent)
{
	submit_reply_done(&sent->reply);
}

/* For the next submissions: their attempts are looked up only. */
static bool adopt_only;
/* People share the account. */
static bool shared;
/* Below the test's directory; and the fingerprints with which tasks are not submitted, NULL: none. */
static const char *checkpoint;
static const char *reuse;
/* Of their tasks: from which the time limit is chosen. */
static struct walltime_range walltimes[8];
/* The number of their first task. */
static size_t first_task;

/* The run directory as an earlier try has left it. */
#define OWN_RUNDIR "mkdir -p $FAKE/out; mkdir -m 700 $FAKE/out/run; echo run >$FAKE/out/run/.claim; "

/* Makes the files of count tasks named t0, t1, ... and sends them. */
static inline struct sent send_with(size_t count, const char *const *sources, const char *rundir, int number,
				    bool in_job)
{
	CLEANUP(mem_freep) char *dir = mem_printf("%s/%s", local_dir, rundir);
	struct submit_task tasks[8] = {0};
	char names[8][2][96];
	CLEANUP(str_done) struct str make = {0};
	str_appendf(&make, "rm -rf %s/tar.$$; mkdir %s/tar.$$; cd %s/tar.$$;", local_dir, local_dir, local_dir);
	for (size_t i = 0; i < count; i++) {
		snprintf(names[i][0], 96, "t%zu.%zu", first_task + i, first_task + i);
		snprintf(names[i][1], 96, "a-n.t%zu.%zu-e.%d", first_task + i, first_task + i, number);
		str_appendf(&make,
			    "mkdir -p '%s/logs'; printf '#!/bin/bash\\n#SBATCH --job-name=%%s\\n' '%s' >'%s/run.sub';",
			    names[i][0], names[i][1], names[i][0]);
		tasks[i] = (struct submit_task){.folder = names[i][0],
						.job_name = names[i][1],
						.number = number,
						.adopt_only = adopt_only,
						.reuse = reuse,
						.walltime = walltimes[i],
						.sources = i == 1 ? sources : no_sources};
	}
	str_append(&make, "tar -c *; rm -rf \"$PWD\"");
	FILE *pipe = popen(str_text(&make), "r");
	struct str tar = {0};
	char buf[65536];
	size_t size = 0;
	while ((size = fread(buf, 1, sizeof buf, pipe)) > 0)
		str_append_n(&tar, buf, size);
	pclose(pipe);
	CLEANUP(mem_freep) char *weights = mem_printf("%s/%s", local_dir, checkpoint != NULL ? checkpoint : "");
	const char *const weights_list[] = {checkpoint != NULL ? weights : NULL, NULL};
	struct submit_package package = {.rundir = dir,
					 .checkpoints = weights_list,
					 .partition = "p",
					 .sources = no_sources,
					 .tasks = tasks,
					 .task_count = count,
					 .shared = shared,
					 .in_job = in_job,
					 .tar = str_text(&tar),
					 .tar_size = tar.len};
	struct sent sent = {0};
	bool reached = false;
	sent.status = submit_send(NULL, &package, 60000, &sent.reply, &reached, &sent.err);
	str_done(&tar);
	return sent;
}

static inline struct sent send_tasks(size_t count)
{
	return send_with(count, no_sources, "out/run", 1, false);
}

static inline void assert_outcome(const struct sent *sent, size_t task, enum submit_outcome outcome, const char *text)
{
	if (sent->status != 0)
		fail_msg("%s", sent->err.msg);
	assert_true(task < sent->reply.count);
	const struct submit_result *result = &sent->reply.items[task];
	if (result->outcome != outcome)
		fail_msg("outcome %d: %s", (int)result->outcome, result->message);
	if (outcome == SUBMIT_ACCEPTED)
		assert_string_equal(result->slurm_job_id, text);
	else if (strstr(result->message, text) == NULL)
		fail_msg("'%s' lacks '%s'", result->message, text);
}

static inline void write_control(const char *name, const char *text)
{
	CLEANUP(mem_freep) char *path = mem_printf("%s/%s", local_dir, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static inline void remove_control(const char *name)
{
	run("rm %s/%s", local_dir, name);
}

#define SCRIPT_TEST(f) cmocka_unit_test_setup_teardown(f, local_setup, local_teardown)

#endif

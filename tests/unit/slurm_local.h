/* For the tests of daemon/slurm: an ssh_pool_exec() that runs commands on this host, with stand-ins for Slurm's
 * commands on the PATH. A test's directory holds bin/ (the stand-ins), jobs (what they know, one line a job:
 * id|state|submitted|name) and files that tell them to fail: fail_sbatch, fail_squeue, fail_sacct, fail_scancel (the
 * text that they print). calls has one line for each call. */
#ifndef NEL_TESTS_SLURM_LOCAL_H
#define NEL_TESTS_SLURM_LOCAL_H

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "ssh/pool.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <setjmp.h>

#include <cmocka.h>

static char local_dir[64];
static size_t local_cut;        /* of the input, only that many bytes arrive; 0: all */
static const char *local_shell; /* the login shell; NULL: /bin/sh */
static const char *const *local_environment;

static const char stand_ins[] =
    "mkdir -p \"$FAKE/bin\" && cd \"$FAKE/bin\" || exit 1\n"
    "cat >sbatch <<'EOF'\n"
    "#!/bin/bash\n"
    "echo \"sbatch $*\" >>\"$FAKE/calls\"\n"
    "minutes=''; for word; do [[ $word != --time=* ]] || minutes=${word#--time=}; done\n"
    "if [[ $* == *--test-only* ]]; then\n" /* holes: minutes and a delay a line, the shortest first */
    "  while read -r longest delay; do ((minutes > longest)) || break; done <\"$FAKE/holes\"\n"
    "  ((minutes <= longest)) || { echo 'allocation failure: Requested time limit is invalid' >&2; exit 1; }\n"
    "  [[ $delay != silent ]] || { echo 'sbatch: error: no answer' >&2; exit 1; }\n"
    "  echo \"sbatch: Job 7 to start at $(($(date +%s) + delay)) using 1 processors on nodes n1 in partition p\" >&2\n"
    "  exit 0; fi\n"
    "name=$(sed -n 's/^#SBATCH --job-name=//p' \"${@: -1}\")\n"
    "if [[ -e $FAKE/fail_sbatch ]]; then cat \"$FAKE/fail_sbatch\" >&2; exit 1; fi\n"
    "if [[ -e $FAKE/fail_sbatch.$name ]]; then cat \"$FAKE/fail_sbatch.$name\" >&2; exit 1; fi\n"
    "if [[ -e $FAKE/dependency_problem && $* != *--dependency=0* ]]; then\n"
    "  echo 'sbatch: error: Batch job submission failed: Job dependency problem' >&2; exit 1; fi\n"
    "exec 7>>\"$FAKE/jobs.lock\"; /usr/bin/flock 7\n"
    "id=$((100 + $(wc -l <\"$FAKE/jobs\")))\n"
    "echo \"$id|PENDING|$(cat \"$FAKE/clock\")|$name\" >>\"$FAKE/jobs\"\n"
    "ulimit -S -t >\"$FAKE/limit.sbatch\"; echo \"${minutes:-10}\" >\"$FAKE/limit.$id\"\n"
    "[[ ! -e $FAKE/kill_after_sbatch ]] || kill -9 0\n"
    "[[ ! -e $FAKE/timeout_after_sbatch ]] || { cat \"$FAKE/timeout_after_sbatch\" >&2; exit 1; }\n"
    "{ umask; printenv | grep -E '^(SBATCH|SLURM|NEL_UMASK|LC_ALL)' | sort; } >\"$FAKE/environment\"\n"
    "echo 'sbatch: warning: it is late' >&2\n"
    "if [[ -e $FAKE/sbatch_says ]]; then sed \"s/ID/$id/\" \"$FAKE/sbatch_says\"; else echo \"$id\"; fi\n"
    "[[ ! -e $FAKE/sbatch_status ]] || exit \"$(cat \"$FAKE/sbatch_status\")\"\n"
    "EOF\n"
    "cat >squeue <<'EOF'\n"
    "#!/bin/bash\n"
    "echo \"squeue $*\" >>\"$FAKE/calls\"; ulimit -S -t >\"$FAKE/limit.squeue\"\n"
    "if [[ -e $FAKE/fail_squeue ]]; then cat \"$FAKE/fail_squeue\" >&2; exit 1; fi\n"
    "for word; do [[ $word != --format=* ]] || format=${word#--format=}; [[ $word != --jobs=* ]] || "
    "wanted=,${word#--jobs=},; done\n"
    "while IFS='|' read -r id state submitted name; do\n"
    "  [[ -z $wanted || $wanted == *,${id%%[!0-9]*},* ]] || continue\n"
    "  row=${format//%i/$id} row=${row//%T/$state} row=${row//%V/$submitted} row=${row//%j/$name}\n"
    "  limit=$(cat \"$FAKE/limit.$id\" 2>/dev/null || echo 10); row=${row//%l/$((limit / 60)):$((limit % 60)):00}\n"
    "  row=${row//%S/1000} row=${row//%e/2000} row=${row//%M/1:05} row=${row//%r/Resources} row=${row//%N/n[1-2]}\n"
    "  echo \"$row\"\n"
    "done <\"$FAKE/jobs\"\n"
    "EOF\n"
    "cat >sacct <<'EOF'\n"
    "#!/bin/bash\n"
    "echo \"sacct $*\" >>\"$FAKE/calls\"\n"
    "if [[ -e $FAKE/fail_sacct ]]; then cat \"$FAKE/fail_sacct\" >&2; exit 1; fi\n"
    "[[ ! -e $FAKE/acct ]] || cat \"$FAKE/acct\"\n"
    "EOF\n"
    "cat >scancel <<'EOF'\n"
    "#!/bin/bash\n"
    "echo \"scancel $*\" >>\"$FAKE/calls\"\n"
    "if [[ -e $FAKE/fail_scancel ]]; then cat \"$FAKE/fail_scancel\" >&2; exit 1; fi\n"
    "exit 0\n"
    "EOF\n"
    "cat >sinfo <<'EOF'\n"
    "#!/bin/bash\n"
    "echo \"sinfo $*\" >>\"$FAKE/calls\"; cat \"$FAKE/partition_limit\" 2>/dev/null || echo infinite\n"
    "EOF\n"
    "cat >scontrol <<'EOF'\n"
    "#!/bin/bash\n"
    "if [[ -e $FAKE/fail_scontrol ]]; then cat \"$FAKE/fail_scontrol\" >&2; exit 1; fi\n"
    "echo \"AccountingStorageType   = $(cat \"$FAKE/accounting\")\"\n"
    "EOF\n"
    "chmod +x *; : >\"$FAKE/jobs\"; : >\"$FAKE/calls\"; date +%s >\"$FAKE/clock\"\n";

/* Runs a shell command of the test's own; printf's rules. */
static inline void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline void run(const char *fmt, ...)
{
	char *command = NULL;
	va_list ap;
	va_start(ap, fmt);
	assert_true(vasprintf(&command, fmt, ap) >= 0);
	va_end(ap);
	pid_t child = fork();
	if (child == 0) {
		execl("/bin/bash", "bash", "-c", command, (char *)NULL);
		_exit(127);
	}
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	if (status != 0)
		fail_msg("%s: status %d", command, status);
	free(command);
}

/* What a shell command prints, without its last newline; free() it. */
static inline char *output_of(const char *command)
{
	FILE *pipe = popen(command, "r");
	struct str s = {0};
	char buf[65536];
	size_t size = 0;
	assert_non_null(pipe);
	while ((size = fread(buf, 1, sizeof buf, pipe)) > 0)
		str_append_n(&s, buf, size);
	pclose(pipe);
	if (s.len > 0 && s.data[s.len - 1] == '\n')
		s.data[--s.len] = '\0';
	return str_take(&s);
}

static inline void assert_output(const char *command, const char *expected)
{
	CLEANUP(mem_freep) char *output = output_of(command);
	assert_string_equal(output, expected);
}

static inline int local_setup(void **state)
{
	(void)state;
	static char original_path[4096];
	if (original_path[0] == '\0')
		snprintf(original_path, sizeof original_path, "%s", getenv("PATH"));
	snprintf(local_dir, sizeof local_dir, "/tmp/nel-test-XXXXXX");
	assert_non_null(mkdtemp(local_dir));
	setenv("FAKE", local_dir, 1);
	char *path = mem_printf("%s/bin:%s", local_dir, original_path);
	setenv("PATH", path, 1);
	free(path);
	local_cut = 0;
	local_shell = NULL;
	local_environment = NULL;
	run("%s", stand_ins);
	return 0;
}

static inline int local_teardown(void **state)
{
	(void)state;
	assert_int_equal(chdir("/"), 0);
	run("chmod -R u+rwx %s; rm -rf %s", local_dir, local_dir);
	return 0;
}

static inline int read_all(int fd, struct str *s)
{
	char buf[65536];
	ssize_t size = 0;
	while ((size = read(fd, buf, sizeof buf)) > 0)
		str_append_n(s, buf, (size_t)size);
	return 0;
}

static inline pid_t start_writer(int fd, int unused, const char *data, size_t size)
{
	pid_t child = fork();
	if (child != 0)
		return child;
	close(unused);
	signal(SIGPIPE, SIG_DFL);
	while (size > 0) {
		ssize_t written = write(fd, data, size);
		if (written <= 0)
			break;
		data += written;
		size -= (size_t)written;
	}
	_exit(0);
}

static inline pid_t start_command(const char *command, const int in[2], const int out[2], FILE *errors)
{
	pid_t child = fork();
	if (child != 0)
		return child;
	setpgid(0, 0);
	dup2(in[0], 0);
	dup2(out[1], 1);
	dup2(fileno(errors), 2);
	for (int fd = 3; fd < 64; fd++)
		close(fd);
	const char *shell = local_shell == NULL ? "/bin/sh" : local_shell;
	execl(shell, shell, "-c", command, (char *)NULL);
	_exit(127);
}

const char *const *ssh_pool_environment(const struct ssh_pool *pool)
{
	static const char *const none[] = {NULL};
	(void)pool;
	return local_environment == NULL ? none : local_environment;
}

void ssh_result_done(struct ssh_result *result)
{
	free(result->output);
	free(result->errors);
	*result = (struct ssh_result){0};
}

int ssh_pool_exec(struct ssh_pool *pool, const struct ssh_exec *exec, struct ssh_result *ret_result, bool *ret_sent,
		  struct nel_err *err)
{
	(void)pool;
	(void)err;
	int in[2];
	int out[2];
	struct str output = {0};
	struct str said = {0};
	int status = 0;
	CLEANUP(file_closep) FILE *errors = tmpfile();
	assert_non_null(errors);
	assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
	*ret_sent = true;
	pid_t command = start_command(exec->command, in, out, errors);
	close(in[0]);
	close(out[1]);
	size_t size = local_cut != 0 && local_cut < exec->input_size ? local_cut : exec->input_size;
	pid_t writer = start_writer(in[1], out[0], exec->input, size);
	close(in[1]);
	read_all(out[0], &output);
	close(out[0]);
	waitpid(writer, NULL, 0);
	waitpid(command, &status, 0);
	rewind(errors);
	read_all(fileno(errors), &said);
	if (exec->on_output != NULL) {
		assert_int_equal(exec->on_output(output.data, output.len, exec->arg), 0);
		str_clear(&output);
	}
	size_t output_size = output.len;
	size_t errors_size = said.len;
	*ret_result = (struct ssh_result){.output = str_take(&output),
					  .output_size = output_size,
					  .errors = str_take(&said),
					  .errors_size = errors_size,
					  .exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1};
	assert_true(exec->output_max == 0 || ret_result->output_size <= exec->output_max);
	return 0;
}

#endif

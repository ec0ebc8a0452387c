#include "slurm/check.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "slurm/records.h"
#include "slurm/remote.h"
#include "slurm/sources.h"

#include <inttypes.h>
#include <string.h>

#define OUTPUT_MAX (64 * 1024)
#define OUTPUT_MAX_PER_ITEM 1024
#define TEXT_SIZE 512

/* One thing that is asked. */
struct item {
	enum check_kind kind;
	char *subject; /* what the message begins with; "" for none */
};

struct check_question {
	struct item *items; /* as the script answers: by their index */
	size_t count;
	size_t scripts_left_out;
	struct str data;
};

const char *check_kind_name(enum check_kind kind)
{
	switch (kind) {
	case CHECK_LOGIN: return "login";
	case CHECK_ACCOUNT: return "account";
	case CHECK_PARTITION: return "partition";
	case CHECK_OUTPUT_DIR: return "output_dir";
	case CHECK_PATH: return "path";
	case CHECK_SBATCH:
	case CHECK_VERSION: return "sbatch";
	case CHECK_SLURMCTLD: return "slurmctld";
	case CHECK_ACCOUNTING: return "accounting";
	case CHECK_PYXIS: return "pyxis";
	case CHECK_APPTAINER: return "apptainer";
	case CHECK_CURL: return "curl";
	case CHECK_CLOCK: return "clock";
	}
	return "";
}

const char *check_hint(enum check_kind kind)
{
	switch (kind) {
	case CHECK_LOGIN:
		return "compare address, port, known_hosts and the account's authorized_keys with what the message "
		       "says";
	case CHECK_ACCOUNT:
		return "sacctmgr add user <account on the cluster> account=<account>, or another execution.account";
	case CHECK_PARTITION: return "sinfo lists the partitions";
	case CHECK_OUTPUT_DIR: return "make the directory on the shared filesystem, writable for the account there";
	case CHECK_PATH: return "put it on a filesystem that login and compute nodes share";
	case CHECK_SBATCH: return "the message is sbatch's own";
	case CHECK_SLURMCTLD:
		return "put Slurm's commands on the PATH of non-interactive logins, or set environment.SLURM_CONF; is "
		       "slurmctld "
		       "up?";
	case CHECK_VERSION:
		return "put Slurm's commands on the PATH of non-interactive logins (~/.bashrc, /etc/profile), or set "
		       "environment.PATH";
	case CHECK_ACCOUNTING: return "is slurmdbd up? Where there is none for good, set accounting: none";
	case CHECK_PYXIS: return "install Pyxis and name it in plugstack.conf, also on the login node";
	case CHECK_APPTAINER:
		return "install Apptainer on the compute nodes, or set environment.PATH to one that has it";
	case CHECK_CURL: return "install curl on the compute nodes: jobs wait for their model servers with it";
	case CHECK_CLOCK: return "let both hosts follow NTP: times of jobs and back-offs go by their clocks";
	}
	return "";
}

void check_reply_done(struct check_reply *reply)
{
	for (size_t i = 0; i < reply->count; i++)
		free(reply->items[i].message);
	free(reply->items);
	*reply = (struct check_reply){0};
}

void check_question_free(struct check_question *question)
{
	if (question == NULL)
		return;
	for (size_t i = 0; i < question->count; i++)
		free(question->items[i].subject);
	free(question->items);
	str_done(&question->data);
	free(question);
}

/* ---- the question ---- */

/* Takes over subject. */
static void add_item(struct check_question *question, enum check_kind kind, char *subject)
{
	question->items = mem_realloc(question->items, question->count + 1, sizeof *question->items);
	question->items[question->count++] = (struct item){.kind = kind, .subject = subject};
}

/* Slurm takes a list of partitions where one is wanted (sbatch(1), --partition). */
static void add_partition(struct check_question *question, const char *partition, const char *of)
{
	remote_array_add(&question->data, partition);
	add_item(question, CHECK_PARTITION, mem_printf("%s%s", partition, of));
}

static void add_partitions(struct check_question *question, const struct eval_plan *plan)
{
	remote_array_begin(&question->data, "NEL_PARTITIONS");
	add_partition(question, plan->partition, "");
	if (plan->export_ != NULL && strcmp(plan->export_->partition, plan->partition) != 0)
		add_partition(question, plan->export_->partition, " (of the export)");
	remote_array_end(&question->data);
}

static void add_path(struct check_question *question, const char *path, const char *of)
{
	remote_array_add(&question->data, path);
	add_item(question, CHECK_PATH, *of != '\0' ? mem_printf("%s (of %s)", path, of) : mem_strdup(path));
}

/* Each path once, although several jobs may need it: what is said of it names the first. */
static void add_paths(struct check_question *question, const struct eval_plan *plan)
{
	CLEANUP(sources_done) struct sources sources = {0};
	sources_init(&sources);
	sources_add_plan(&sources, plan);
	remote_array_begin(&question->data, "NEL_PATHS");
	size_t told = 0;
	for (; told < sources.count; told++)
		add_path(question, sources.items[told], "");
	for (size_t i = 0; i < plan->job_count; i++) {
		sources_add_job(&sources, &plan->jobs[i]);
		for (; told < sources.count; told++)
			add_path(question, sources.items[told], plan->jobs[i].task);
	}
	remote_array_end(&question->data);
}

/* The script puts the body behind each header: that is run.sub. */
static int add_scripts(struct check_question *question, const struct check_input *in, struct nel_err *err)
{
	size_t count = in->order_count < CHECK_SCRIPTS_MAX ? in->order_count : CHECK_SCRIPTS_MAX;
	question->scripts_left_out = in->order_count - count;
	remote_set(&question->data, "NEL_BODY", script_body());
	remote_array_begin(&question->data, "NEL_HEADERS");
	for (size_t i = 0; i < count; i++) {
		const struct plan_job *job = eval_plan_job(in->plan, in->orders[i].job_index);
		if (job == NULL)
			return err_set(err, NEL_INTERNAL, "the plan has no job %d", in->orders[i].job_index);
		CLEANUP(mem_freep) char *job_dir = script_job_dir(in->rundir, job);
		CLEANUP(str_done) struct str header = {0};
		if (script_render_header(in->plan, &in->orders[i], in->evaluation, job_dir, &header, err) != 0)
			return -1;
		remote_array_add(&question->data, str_text(&header));
		add_item(question, CHECK_SBATCH, mem_strdup(job_dir + strlen(in->rundir) + 1));
	}
	remote_array_end(&question->data);
	return 0;
}

/* Subjects become parts of one-line messages. */
static int check_items(const struct check_question *question, struct nel_err *err)
{
	for (size_t i = 0; i < question->count; i++)
		if (str_has_control(question->items[i].subject))
			return err_set(err, NEL_INVALID, "a %s has control characters",
				       check_kind_name(question->items[i].kind));
	return 0;
}

static void add_checks(struct check_question *question, const char *const *names)
{
	remote_array_begin(&question->data, "NEL_CHECKS");
	for (; *names != NULL; names++)
		remote_array_add(&question->data, *names);
	remote_array_end(&question->data);
}

static void add_output_dirs(struct check_question *question, const char *const *dirs)
{
	remote_array_begin(&question->data, "NEL_OUTPUT_DIRS");
	for (; *dirs != NULL; dirs++) {
		remote_array_add(&question->data, *dirs);
		add_item(question, CHECK_OUTPUT_DIR, mem_strdup(*dirs));
	}
	remote_array_end(&question->data);
}

int check_question_new(const struct check_input *in, struct check_question **ret_question, struct nel_err *err)
{
	CLEANUP(check_question_freep) struct check_question *question = mem_calloc(1, sizeof *question);
	static const char *const checks[] = {"login", "account", "partitions", "output_dirs", "paths", "scripts", NULL};
	add_checks(question, checks);
	add_item(question, CHECK_LOGIN, mem_strdup(""));
	remote_set(&question->data, "NEL_ACCOUNT", in->plan->account);
	remote_set_number(&question->data, "NEL_HAS_ACCOUNTS", in->has_accounts ? 1 : 0);
	remote_set_number(&question->data, "NEL_SHARED", in->shared ? 1 : 0);
	remote_array_begin(&question->data, "NEL_USED_OUTPUT_DIRS");
	for (const char *const *dir = in->used_output_dirs; dir != NULL && *dir != NULL; dir++)
		remote_array_add(&question->data, *dir);
	remote_array_end(&question->data);
	add_item(question, CHECK_ACCOUNT, mem_strdup(in->plan->account));
	add_partitions(question, in->plan);
	const char *const dirs[] = {in->plan->output_dir, NULL};
	add_output_dirs(question, dirs);
	add_paths(question, in->plan);
	if (add_scripts(question, in, err) != 0 || check_items(question, err) != 0)
		return -1;
	*ret_question = TAKE(question);
	return 0;
}

struct check_question *check_login_new(void)
{
	static const char *const checks[] = {"login", NULL};
	struct check_question *question = mem_calloc(1, sizeof *question);
	add_checks(question, checks);
	add_item(question, CHECK_LOGIN, mem_strdup(""));
	return question;
}

static const char *accounting_name(enum accounting_mode mode)
{
	switch (mode) {
	case ACCOUNTING_AUTO: return "auto";
	case ACCOUNTING_SACCT: return "sacct";
	case ACCOUNTING_NONE: return "none";
	}
	return "auto";
}

int check_preflight_new(const struct preflight_input *in, struct check_question **ret_question, struct nel_err *err)
{
	/* The names for the script, and its items in the same order; one for each output directory. */
	bool apptainer = in->containers == CONTAINERS_APPTAINER;
	const char *const checks[] = {
	    "login", "slurmctld", "sbatch", "accounting",  containers_name(in->containers),
	    "clock", "account",   "curl",   "output_dirs", in->partition != NULL ? "partitions" : NULL,
	    NULL};
	const enum check_kind kinds[] = {
	    CHECK_LOGIN, CHECK_SLURMCTLD, CHECK_VERSION, CHECK_ACCOUNTING, apptainer ? CHECK_APPTAINER : CHECK_PYXIS,
	    CHECK_CLOCK};
	CLEANUP(check_question_freep) struct check_question *question = mem_calloc(1, sizeof *question);
	add_checks(question, checks);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		add_item(question, kinds[i], mem_strdup(""));
	add_item(question, CHECK_ACCOUNT, mem_strdup(in->account != NULL ? in->account : ""));
	add_item(question, CHECK_CURL, mem_strdup(""));
	add_output_dirs(question, in->output_dirs);
	remote_set(&question->data, "NEL_ACCOUNTING", accounting_name(in->accounting));
	remote_set_number(&question->data, "NEL_HAS_ACCOUNTS", in->accounting != ACCOUNTING_NONE ? 1 : 0);
	remote_set_number(&question->data, "NEL_JOB", in->job ? 1 : 0);
	remote_set(&question->data, "NEL_ACCOUNT", in->account != NULL ? in->account : "");
	remote_array_begin(&question->data, "NEL_PARTITIONS");
	if (in->partition != NULL)
		add_partition(question, in->partition, "");
	remote_array_end(&question->data);
	if (check_items(question, err) != 0)
		return -1;
	*ret_question = TAKE(question);
	return 0;
}

/* ---- the answer ---- */

static bool read_verdict(const char *text, enum check_verdict *ret_verdict)
{
	static const struct {
		const char *name;
		enum check_verdict verdict;
	} verdicts[] = {{"ok", CHECK_GOOD}, {"bad", CHECK_BAD}, {"silent", CHECK_BAD}, {"unknown", CHECK_UNKNOWN}};
	for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
		if (strcmp(text, verdicts[i].name) == 0) {
			*ret_verdict = verdicts[i].verdict;
			return true;
		}
	}
	return false;
}

/* "check|<index>|<verdict>|<start>|<text>"; false when it is none that was awaited. */
static bool read_answer(const struct check_question *question, struct record *record, struct check_reply *reply)
{
	char text[TEXT_SIZE];
	char at[CLOCK_RFC3339_SIZE];
	enum check_verdict verdict = CHECK_UNKNOWN;
	if (!record_split(record, 5, 5) || !read_verdict(record->fields[2], &verdict))
		return false;
	int64_t index = record_number(record->fields[1], INT32_MAX, -1);
	if (index < 0 || (size_t)index >= question->count || reply->items[index].message != NULL)
		return false;
	const struct item *item = &question->items[index];
	int64_t at_s = record_time(record->fields[3]);
	int64_t start = item->kind == CHECK_SBATCH ? at_s : 0;
	record_text(record->fields[4], text, sizeof text);
	reply->items[index] = (struct check_result){
	    .kind = item->kind,
	    .verdict = verdict,
	    .silent = strcmp(record->fields[2], "silent") == 0,
	    .clock = item->kind == CHECK_CLOCK ? at_s : 0,
	    .message = mem_printf("%s%s%s%s%s%s", item->subject, item->subject[0] != '\0' ? ": " : "",
				  start > 0 ? "would start at " : "", start > 0 ? clock_rfc3339(start, at) : "",
				  start > 0 && text[0] != '\0' ? " " : "", text)};
	if (start > 0 && (reply->start_estimate == 0 || start < reply->start_estimate))
		reply->start_estimate = start;
	return true;
}

/* The jobs beyond CHECK_SCRIPTS_MAX share one item. */
static void add_left_out(const struct check_question *question, struct check_reply *reply)
{
	if (question->scripts_left_out == 0)
		return;
	reply->items[reply->count++] = (struct check_result){
	    .kind = CHECK_SBATCH,
	    .verdict = CHECK_UNKNOWN,
	    .message = mem_printf("%zu further jobs: not checked: only the first %d are", question->scripts_left_out,
				  CHECK_SCRIPTS_MAX),
	};
}

int check_parse(const struct check_question *question, const char *text, size_t size, struct check_reply *ret_reply,
		struct nel_err *err)
{
	struct records records;
	struct record record;
	if (records_begin(text, size, &records, err) != 0)
		return -1;
	CLEANUP(check_reply_done)
	struct check_reply reply = {.items = mem_calloc(question->count + 1, sizeof *reply.items),
				    .count = question->count};
	size_t found = 0;
	while (records_next(&records, &record)) {
		if (record_is(&record, "error"))
			return record_error(&record, err);
		if (record_is(&record, "end") && found == question->count) {
			add_left_out(question, &reply);
			*ret_reply = reply;
			reply = (struct check_reply){0};
			return 0;
		}
		if (record_is(&record, "check") && read_answer(question, &record, &reply))
			found++;
	}
	return records_truncated(err);
}

/* The answer was on its way between the two times here. */
static void judge_clock(struct check_result *result, int64_t before_s, int64_t after_s)
{
	int64_t ahead_s = result->clock > after_s ? result->clock - after_s : 0;
	int64_t behind_s = result->clock < before_s ? before_s - result->clock : 0;
	int64_t off_s = ahead_s + behind_s;
	free(result->message);
	result->verdict = off_s > CHECK_CLOCK_MAX_S ? CHECK_BAD : CHECK_GOOD;
	result->message = off_s > 0 ? mem_printf("the cluster's clock is %" PRId64 " s %s this host's", off_s,
						 ahead_s > 0 ? "ahead of" : "behind")
				    : mem_strdup("the cluster's clock and this host's agree");
}

int slurm_check(struct ssh_pool *pool, const struct check_question *question, int64_t timeout_ms,
		struct check_reply *ret_reply, struct nel_err *err)
{
	struct remote_call call = {.script = "check",
				   .asks_mounts = true,
				   .data = str_text(&question->data),
				   .output_max = OUTPUT_MAX + question->count * OUTPUT_MAX_PER_ITEM,
				   .timeout_ms = timeout_ms};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	int64_t before_s = clock_now_s();
	if (remote_run(pool, &call, &result, err) != 0)
		return -1;
	int64_t after_s = clock_now_s();
	if (check_parse(question, result.output, result.output_size, ret_reply, err) != 0)
		return -1;
	for (size_t i = 0; i < ret_reply->count; i++)
		if (ret_reply->items[i].kind == CHECK_CLOCK && ret_reply->items[i].clock > 0)
			judge_clock(&ret_reply->items[i], before_s, after_s);
	return 0;
}

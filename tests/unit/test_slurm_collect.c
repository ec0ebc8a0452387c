/* Collecting: the answer's parser, and remote_collect.sh run here. */
#include "slurm/collect.h"
#include "slurm_local.h"

#define BEGIN "nel|begin|1\n"

static void test_parse_blocks_are_read(void **state)
{
	(void)state;
	const char *text =
	    BEGIN "results|9|\na\nend\nb|c\nprogress|12\nsamples|1\nlog|6|client-1.log\nx\x1b\xff\ty\n\nend\n";
	CLEANUP(collect_reply_done) struct collect_reply reply = {0};
	struct nel_err err;
	assert_int_equal(collect_parse(text, strlen(text), &reply, &err), 0);
	assert_string_equal(reply.results, "a\nend\nb|c");
	assert_int_equal(reply.results_size, 9);
	assert_int_equal(reply.progress, 12);
	assert_true(reply.has_samples);
	assert_string_equal(reply.log_tail, "x ?\ty\n");
	assert_string_equal(reply.log_name, "client-1.log");
}

static void test_mask_texts_of_the_job_are_masked(void **state)
{
	(void)state;
	const char *text =
	    BEGIN "results|9|\ns3cret: 1\nlog|15|client-1.log\nit is s3cret ok\n"
		  "kept|9|20|5|11|a.log\n3cret abc\nexport|refused||no s3cret\ndestination|1|s3cret\nend\n";
	CLEANUP(collect_reply_done) struct collect_reply reply = {0};
	CLEANUP(json_freep) json_t *env = json_pack("{s:s}", "A", "s3cret");
	CLEANUP(mask_freep) struct mask *mask = mask_new(env);
	struct nel_err err;
	assert_int_equal(collect_parse(text, strlen(text), &reply, &err), 0);
	collect_reply_mask(&reply, mask);
	assert_string_equal(reply.results, "s3cret: 1"); /* its scores are masked, or stars would spoil the YAML */
	assert_string_equal(reply.log_tail, "it is **** ok");
	assert_string_equal(reply.export_.text, "no ****");
	assert_string_equal(reply.export_.destinations[0].name, "****");
	assert_int_equal(reply.kept[0].data_size, 9);
	assert_memory_equal(reply.kept[0].data, "***** abc", 9); /* cut within the value */
}

static void test_parse_exports_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum collect_export_kind kind;
		const char *id;
		const char *said;
		int exit_code;
	} cases[] = {
	    {"", COLLECT_EXPORT_NONE, "", "", 0},
	    {"export|none||\n", COLLECT_EXPORT_NONE, "", "", 255},
	    {"export|refused||sbatch: a|b\n", COLLECT_EXPORT_REFUSED, "", "sbatch: a|b", 255},
	    {"export|pending|77|\n", COLLECT_EXPORT_PENDING, "77", "", 255},
	    {"export|running|77|\n", COLLECT_EXPORT_RUNNING, "77", "", 255},
	    {"export|unseen|77|\n", COLLECT_EXPORT_UNSEEN, "77", "", 255},
	    {"export|gone|77|CANCELLED\n", COLLECT_EXPORT_GONE, "77", "CANCELLED", 255},
	    {"export|ended|77|0\n", COLLECT_EXPORT_ENDED, "77", "0", 0},
	    {"export|ended|77|3\n", COLLECT_EXPORT_ENDED, "77", "3", 3},
	    {"export|ended|77|\n", COLLECT_EXPORT_ENDED, "77", "", 255},
	    {"export|ended|77|999\n", COLLECT_EXPORT_ENDED, "77", "999", 255},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(collect_reply_done) struct collect_reply reply = {0};
		CLEANUP(mem_freep)
		char *text = mem_printf(BEGIN "%sdestination|0|mlflow\ndestination||b\n"
					      "destination|0|b|\x1b\ndestination|0|-----BEGIN KEY\nend\n",
					cases[i].text);
		struct nel_err err;
		assert_int_equal(collect_parse(text, strlen(text), &reply, &err), 0);
		assert_int_equal(reply.export_.kind, cases[i].kind);
		assert_string_equal(reply.export_.slurm_job_id, cases[i].id);
		assert_string_equal(reply.export_.text, cases[i].said);
		assert_int_equal(reply.export_.exit_code, cases[i].exit_code);
		assert_int_equal(reply.export_.destination_count, 2);
		assert_string_equal(reply.export_.destinations[0].name, "mlflow");
		assert_int_equal(reply.export_.destinations[0].exit_code, 0);
		assert_string_equal(reply.export_.destinations[1].name, "b");
		assert_int_equal(reply.export_.destinations[1].exit_code, 255);
	}
}

static void test_parse_keeps_so_many_destinations(void **state)
{
	(void)state;
	CLEANUP(collect_reply_done) struct collect_reply reply = {0};
	CLEANUP(str_done) struct str text = {0};
	struct nel_err err;
	str_append(&text, BEGIN "export|ended|7|0\n");
	for (int i = 0; i < COLLECT_DESTINATIONS_MAX + 5; i++)
		str_appendf(&text, "destination|0|d%d\n", i);
	str_append(&text, "end\n");
	assert_int_equal(collect_parse(str_text(&text), strlen(str_text(&text)), &reply, &err), 0);
	assert_int_equal(reply.export_.destination_count, COLLECT_DESTINATIONS_MAX);
}

static void test_parse_bad_answers_are_remote(void **state)
{
	(void)state;
	static const char *const cases[] = {
	    "",
	    BEGIN,
	    BEGIN "results|9|\nabc\nend\n",
	    BEGIN "results|2|\nabc\nend\n",
	    BEGIN "results|-1|\n\nend\n",
	    BEGIN "results|99999999999999999999|\nend\n",
	    BEGIN "log|1\nx\nend\n",
	    BEGIN "export|pending\nend\n",
	    BEGIN "export|lost|1|\nend\n",
	    BEGIN "destination|1\nend\n",
	    BEGIN "error|remote|the secrets cannot be removed\nend\n",
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct collect_reply reply = {0};
		struct nel_err err = {0};
		assert_int_equal(collect_parse(cases[i], strlen(cases[i]), &reply, &err), -1);
		assert_int_equal(err.kind, NEL_REMOTE);
	}
}

static char *job_dir(void)
{
	return mem_printf("%s/job", local_dir);
}

static void test_collect_reads_then_removes_secrets(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	CLEANUP(collect_reply_done) struct collect_reply reply = {0};
	struct nel_err err;
	run("mkdir -p $FAKE/job/logs $FAKE/job/artifacts; cd $FAKE/job; echo k=v >.secrets.env; printf 'results: "
	    "{}\\n\\nx: \xc3\xa4' "
	    ">artifacts/results.yml; echo 541 >artifacts/progress; seq 1 3000 >logs/client-2.log; echo old "
	    ">logs/client-1.log; "
	    "touch -d '1 hour ago' logs/client-1.log; echo s >logs/server-0-1-0.log");
	assert_int_equal(
	    slurm_collect(NULL, &(struct collect_order){.job_dir = dir, .slurm_job_id = NULL}, 20000, &reply, &err), 0);
	assert_string_equal(reply.results, "results: {}\n\nx: \xc3\xa4");
	assert_output("sha256sum $FAKE/job/artifacts/results.yml | cut -d ' ' -f 1", reply.results_hash);
	assert_string_equal(reply.sealed_hash, "");
	assert_false(reply.results_older);
	assert_int_equal(reply.progress, 541);
	assert_false(reply.has_samples);
	run("mkdir $FAKE/job/artifacts/m; : >$FAKE/job/artifacts/m/samples_t.jsonl");
	assert_string_equal(reply.log_name, "client-2.log");
	assert_true(strlen(reply.log_tail) > 4080 && strlen(reply.log_tail) <= 4096);
	assert_memory_equal(reply.log_tail, "218", 3); /* begins with a whole line */
	assert_output("ls -A $FAKE/job", "artifacts\nlogs");
	/* Once more changes nothing. */
	CLEANUP(collect_reply_done) struct collect_reply again = {0};
	assert_int_equal(
	    slurm_collect(NULL, &(struct collect_order){.job_dir = dir, .slurm_job_id = NULL}, 20000, &again, &err), 0);
	assert_true(again.has_samples);
	assert_string_equal(again.results, reply.results);
}

/* What the finished attempt said of its scores, and whether they are older than it. */
static void test_collect_reads_the_seal_of_its_attempt(void **state)
{
	(void)state;
	static const struct {
		const char *make;
		const char *sealed;
		bool older;
	} cases[] = {
	    {"sha256sum <artifacts/results.yml >.attempts/2/results", "=", false},
	    {"echo none 0 0 >.attempts/2/results", "none", false},
	    {"echo nonsense >.attempts/2/results", "", false},
	    {"echo none 0 0 >.attempts/1/results", "", false},
	    {"ln -s ../1/results .attempts/2/results; echo none 0 0 >.attempts/1/results", "", false},
	    {"touch -d '1 hour ago' artifacts/results.yml", "", true},
	};
	CLEANUP(mem_freep) char *dir = job_dir();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(collect_reply_done) struct collect_reply reply = {0};
		struct nel_err err;
		run("rm -rf $FAKE/job; mkdir -p $FAKE/job/artifacts $FAKE/job/.attempts/1 $FAKE/job/.attempts/2; cd "
		    "$FAKE/job; "
		    "echo 5 >.attempts/2/started; echo 'results: {}' >artifacts/results.yml; %s",
		    cases[i].make);
		const struct collect_order order = {.job_dir = dir, .attempt = 2};
		assert_int_equal(slurm_collect(NULL, &order, 20000, &reply, &err), 0);
		assert_string_equal(reply.sealed_hash,
				    cases[i].sealed[0] == '=' ? reply.results_hash : cases[i].sealed);
		assert_int_equal(reply.results_older, cases[i].older);
	}
}

/* Of a job on a shared deployment it is in the chain's directory. */
static void test_collect_of_a_shared_job_reads_the_seal_in_its_record(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	CLEANUP(mem_freep) char *chain = mem_printf("%s/shared.1", local_dir);
	CLEANUP(collect_reply_done) struct collect_reply reply = {0};
	struct nel_err err;
	run("mkdir -p $FAKE/job/artifacts $FAKE/job/.attempts/2 $FAKE/shared.1/.jobs/job/.attempts/2; cd $FAKE/job; "
	    "echo none 0 0 >.attempts/2/results; echo 'results: {}' >artifacts/results.yml; touch .secrets.env; "
	    "cd $FAKE/shared.1/.jobs/job/.attempts/2; echo 5 >started; touch -d '1 minute ago' started; touch "
	    "../../../../.secrets.env; "
	    "sha256sum <$FAKE/job/artifacts/results.yml >results");
	const struct collect_order order = {.job_dir = dir, .chain_dir = chain, .attempt = 2};
	assert_int_equal(slurm_collect(NULL, &order, 20000, &reply, &err), 0);
	assert_string_equal(reply.sealed_hash, reply.results_hash);
	assert_false(reply.results_older);
	/* The servers still need theirs. */
	assert_output("cd $FAKE && find job shared.1 -name .secrets.env", "shared.1/.secrets.env");
	run("touch -d '1 hour ago' $FAKE/job/artifacts/results.yml");
	CLEANUP(collect_reply_done) struct collect_reply older = {0};
	assert_int_equal(slurm_collect(NULL, &order, 20000, &older, &err), 0);
	assert_true(older.results_older);
}

static void test_collect_falls_back_to_other_logs(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	static const char *const names[] = {"slurm-7.log", "server-model-7-0.log", "client-7.log"};
	run("mkdir -p $FAKE/job/logs");
	for (size_t i = 0; i < 3; i++) {
		CLEANUP(collect_reply_done) struct collect_reply reply = {0};
		struct nel_err err;
		run("echo %zu >$FAKE/job/logs/%s; touch -d '%zu hours ago' $FAKE/job/logs/%s", i, names[i], i,
		    names[i]);
		assert_int_equal(slurm_collect(NULL, &(struct collect_order){.job_dir = dir, .slurm_job_id = NULL},
					       20000, &reply, &err),
				 0);
		assert_string_equal(reply.log_name, names[i]);
		assert_null(reply.results);
		assert_int_equal(reply.progress, -1);
	}
}

static void test_collect_takes_the_jobs_own_log_when_it_says_why(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	CLEANUP(collect_reply_done) struct collect_reply reply = {0};
	struct nel_err err;
	run("mkdir -p $FAKE/job/logs; cd $FAKE/job/logs; echo cancelled >server-0-7-0.log; "
	    "printf 'ended with exit code 1\\nnow gave up: not ready\\n' >slurm-7.log; echo gave up: old >slurm-6.log");
	assert_int_equal(
	    slurm_collect(NULL, &(struct collect_order){.job_dir = dir, .slurm_job_id = "7"}, 20000, &reply, &err), 0);
	assert_string_equal(reply.log_name, "slurm-7.log");
	assert_non_null(strstr(reply.log_tail, "not ready"));
}

static void test_collect_takes_the_log_of_a_server_that_died_under_the_evaluation(void **state)
{
	(void)state;
	static const struct {
		const char *line; /* of the job's own log */
		const char *name;
	} cases[] = {
	    {"x a server died during the evaluation: logs/server-0-7-*.log", "server-0-7-1.log"},
	    {"x a server died during the evaluation: logs/server-9-7-*.log", "client-7.log"}, /* it is gone */
	    {"x a server died during the evaluation: logs/../../other.log", "client-7.log"},
	    {"x a server died during the evaluation: logs/$(touch $FAKE/bad)", "client-7.log"},
	    {"x the evaluation ended with exit code 3", "client-7.log"},
	};
	CLEANUP(mem_freep) char *dir = job_dir();
	run("mkdir -p $FAKE/job/logs; cd $FAKE/job/logs; echo refused >client-7.log; echo CUDA >server-0-7-1.log; "
	    "echo x >$FAKE/other.log");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(collect_reply_done) struct collect_reply reply = {0};
		struct nel_err err;
		run("printf '%%s\\nended with exit code 3\\n' '%s' >$FAKE/job/logs/slurm-7.log", cases[i].line);
		const struct collect_order order = {.job_dir = dir, .slurm_job_id = "7"};
		assert_int_equal(slurm_collect(NULL, &order, 20000, &reply, &err), 0);
		assert_string_equal(reply.log_name, cases[i].name);
		assert_output("ls $FAKE/bad 2>/dev/null || echo none", "none");
	}
}

/* The answer stays whole when a log that was announced cannot be read after all, as on a file system that is away. */
static void test_collect_of_a_log_that_cannot_be_read_keeps_the_rest(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	CLEANUP(collect_reply_done) struct collect_reply reply = {0};
	struct nel_err err = {0};
	run("mkdir -p $FAKE/job/logs $FAKE/job/artifacts; cd $FAKE/job; echo text >logs/a.log; echo x "
	    ">artifacts/results.yml; "
	    "printf '%%s\n' '#!/bin/bash' '[[ $* == *+* ]] || exec /usr/bin/tail \"$@\"' 'echo stale >&2; exit 1' "
	    ">$FAKE/bin/tail; chmod +x $FAKE/bin/tail");
	int rc = slurm_collect(NULL, &(struct collect_order){.job_dir = dir, .keep_bytes = 100}, 20000, &reply, &err);
	run("rm $FAKE/bin/tail");
	if (rc != 0)
		fail_msg("%s", err.msg);
	assert_string_equal(reply.results, "x");
	assert_int_equal(reply.kept_count, 1);
	assert_int_equal(reply.kept[0].data_size, 5);
}

static void test_parse_kept_logs_are_read_and_wrong_ones_left_out(void **state)
{
	(void)state;
	const char *text = BEGIN "kept|3|10|77|7|a.log\nx\ny\nkept|0|0|77|0|b.log\n\n"
				 "kept|1|1|77|0|a.log\nz\n"     /* once more */
				 "kept|5|4|77|0|c.log\n12345\n" /* more than it has */
				 "kept|1|1|77|0|d\x1b.log\nz\nend\n";
	CLEANUP(collect_reply_done) struct collect_reply reply = {0};
	struct nel_err err;
	assert_int_equal(collect_parse(text, strlen(text), &reply, &err), 0);
	assert_int_equal(reply.kept_count, 2);
	assert_string_equal(reply.kept[0].name, "a.log");
	assert_int_equal(reply.kept[0].size, 10);
	assert_int_equal(reply.kept[0].from, 7);
	assert_int_equal(reply.kept[0].modified_at, 77);
	assert_int_equal(reply.kept[0].data_size, 3);
	assert_memory_equal(reply.kept[0].data, "x\ny", 3);
	assert_int_equal(reply.kept[1].data_size, 0);
	struct collect_reply none = {0};
	text = BEGIN "kept|30|30|77|0|a.log\nx\nend\n";
	assert_int_equal(collect_parse(text, strlen(text), &none, &err), -1);
	assert_int_equal(err.kind, NEL_REMOTE);
}

static void test_collect_keeps_the_ends_of_the_newest_logs(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	CLEANUP(collect_reply_done) struct collect_reply reply = {0};
	CLEANUP(collect_reply_done) struct collect_reply nothing = {0};
	struct nel_err err;
	run("mkdir -p $FAKE/job/logs; cd $FAKE/job/logs; printf 'a\\0b\\377\\n' >client-7.log; seq 1 100 >slurm-7.log; "
	    "touch -d '1 hour ago' slurm-7.log; : >server-0-7.log; touch -d '2 hours ago' server-0-7.log; "
	    "ln -s /etc/passwd link-7.log; echo x >'odd name.log'");
	const struct collect_order order = {.job_dir = dir, .slurm_job_id = "7", .keep_bytes = 10};
	assert_int_equal(slurm_collect(NULL, &order, 20000, &reply, &err), 0);
	assert_int_equal(reply.kept_count, 3);
	assert_string_equal(reply.kept[0].name, "client-7.log");
	assert_int_equal(reply.kept[0].data_size, 5);
	assert_memory_equal(reply.kept[0].data, "a\0b\377\n", 5);
	assert_string_equal(reply.kept[1].name, "slurm-7.log");
	assert_int_equal(reply.kept[1].size, 292);
	assert_int_equal(reply.kept[1].from, 282);
	assert_memory_equal(reply.kept[1].data, "98\n99\n100\n", 10);
	assert_string_equal(reply.kept[2].name, "server-0-7.log");
	assert_int_equal(reply.kept[2].data_size, 0);
	const struct collect_order none = {.job_dir = dir, .slurm_job_id = "7"};
	assert_int_equal(slurm_collect(NULL, &none, 20000, &nothing, &err), 0);
	assert_int_equal(nothing.kept_count, 0);
}

/* The secrets are removed after all else: what is made of them is unknown then, and what is made of others is not. */
static void test_collect_takes_the_fingerprint_last(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	static const struct {
		const char *name;
		size_t size;
	} cases[] = {{".secrets.env", 0}, {".export.env", 0}, {"model", 64}};
	run("mkdir -p $FAKE/job/logs");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(collect_reply_done) struct collect_reply reply = {0};
		CLEANUP(mem_freep) char *path = mem_printf("%s/%s", dir, cases[i].name);
		const struct collect_order order = {.job_dir = dir, .checkpoints = (const char *const[]){path, NULL}};
		struct nel_err err;
		run("cd $FAKE/job; echo a=b >.secrets.env; echo a=b >.export.env; echo w >model");
		assert_int_equal(slurm_collect(NULL, &order, 20000, &reply, &err), 0);
		assert_int_equal(strlen(reply.fingerprint), cases[i].size);
	}
}

static void test_collect_of_gone_directory_is_empty(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	CLEANUP(collect_reply_done) struct collect_reply reply = {0};
	struct nel_err err;
	assert_int_equal(
	    slurm_collect(NULL, &(struct collect_order){.job_dir = dir, .slurm_job_id = NULL}, 20000, &reply, &err), 0);
	assert_null(reply.results);
	assert_string_equal(reply.log_tail, "");
	assert_string_equal(reply.log_name, "");
}

static void test_collect_of_huge_results_leaves_them(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	CLEANUP(collect_reply_done) struct collect_reply reply = {0};
	struct nel_err err;
	run("mkdir -p $FAKE/job/artifacts; head -c 5000000 /dev/zero | tr '\\0' x >$FAKE/job/artifacts/results.yml; "
	    "echo k=v >$FAKE/job/.secrets.env");
	assert_int_equal(
	    slurm_collect(NULL, &(struct collect_order){.job_dir = dir, .slurm_job_id = NULL}, 20000, &reply, &err), 0);
	assert_null(reply.results);
	assert_output("ls -A $FAKE/job", "artifacts");
}

/* jobs: what the stand-in squeue knows. */
static void test_collect_tells_of_the_export(void **state)
{
	(void)state;
	static const struct {
		const char *job;  /* .export/job */
		const char *jobs; /* what Slurm knows: id|state|submitted|name */
		enum collect_export_request wanted;
		enum collect_export_kind kind;
		const char *said;
		const char *left; /* of the secrets */
	} cases[] = {
	    {"", "", COLLECT_EXPORT_FOLLOW, COLLECT_EXPORT_NONE, "", ""},
	    {"refused sbatch: no", "", COLLECT_EXPORT_FOLLOW, COLLECT_EXPORT_REFUSED, "sbatch: no", ""},
	    {"77", "77|PENDING|1|nel-export-job", COLLECT_EXPORT_FOLLOW, COLLECT_EXPORT_PENDING, "", ".export.env"},
	    {"77", "77|RUNNING|1|nel-export-job", COLLECT_EXPORT_FOLLOW, COLLECT_EXPORT_RUNNING, "", ".export.env"},
	    {"77", "77|PENDING|1|nel-export-job", COLLECT_EXPORT_DROP, COLLECT_EXPORT_PENDING, "", ""},
	    {"77", "77|PENDING|1|nel-export-job", COLLECT_EXPORT_CANCEL, COLLECT_EXPORT_GONE, "CANCELLED", ""},
	    {"77", "77|TIMEOUT|1|nel-export-job", COLLECT_EXPORT_FOLLOW, COLLECT_EXPORT_GONE, "TIMEOUT", ""},
	    {"77", "77|SOMETHING_NEW|1|nel-export-job", COLLECT_EXPORT_FOLLOW, COLLECT_EXPORT_RUNNING, "",
	     ".export.env"},
	    {"77", "77|?|1|nel-export-job", COLLECT_EXPORT_FOLLOW, COLLECT_EXPORT_RUNNING, "", ".export.env"},
	    {"77", "77|RUNNING|1|another", COLLECT_EXPORT_CANCEL, COLLECT_EXPORT_GONE, "", ""},
	};
	CLEANUP(mem_freep) char *dir = job_dir();
	run("mkdir -p $FAKE/job/artifacts $FAKE/job/.export; echo a=b >$FAKE/job/artifacts/results.yml");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(collect_reply_done) struct collect_reply reply = {0};
		struct nel_err err = {0};
		struct collect_order order = {.job_dir = dir, .wanted = cases[i].wanted, .export_only = true};
		run("cd $FAKE/job; echo k >.export.env; echo k >.secrets.env; rm -f .export/job $FAKE/calls; "
		    "[ -z '%s' ] || echo '%s' >.export/job; echo '%s' >$FAKE/jobs",
		    cases[i].job, cases[i].job, cases[i].jobs);
		assert_int_equal(slurm_collect(NULL, &order, 20000, &reply, &err), 0);
		assert_int_equal(reply.export_.kind, cases[i].kind);
		assert_string_equal(reply.export_.text, cases[i].said);
		assert_null(reply.results);
		assert_output("cd $FAKE/job; ls .export.env 2>/dev/null || true", cases[i].left);
		assert_output("grep -c '^scancel 77$' $FAKE/calls 2>/dev/null | grep 1 || true",
			      strcmp(cases[i].said, "CANCELLED") == 0 ? "1" : "");
	}
}

static void test_collect_tells_how_the_export_ended(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	CLEANUP(collect_reply_done) struct collect_reply reply = {0};
	struct nel_err err;
	run("mkdir -p $FAKE/job/artifacts $FAKE/job/.export; cd $FAKE/job; echo 77 >.export/job; echo 1 >.export/end; "
	    "echo k >.export.env; printf 'mlflow\\t0\\nwandb\\t5\\n' >artifacts/export.tsv");
	assert_int_equal(slurm_collect(NULL, &(struct collect_order){.job_dir = dir}, 20000, &reply, &err), 0);
	assert_int_equal(reply.export_.kind, COLLECT_EXPORT_ENDED);
	assert_int_equal(reply.export_.exit_code, 1);
	assert_int_equal(reply.export_.destination_count, 2);
	assert_string_equal(reply.export_.destinations[1].name, "wandb");
	assert_int_equal(reply.export_.destinations[1].exit_code, 5);
	assert_output("ls -A $FAKE/job", ".export\nartifacts");
}

static void test_collect_when_slurm_cannot_be_asked_keeps_the_secrets(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	CLEANUP(collect_reply_done) struct collect_reply reply = {0};
	struct nel_err err;
	run("mkdir -p $FAKE/job/.export; cd $FAKE/job; echo 77 >.export/job; echo k >.export.env; "
	    "echo 'slurm_load_jobs error: Unable to contact slurm controller' >$FAKE/fail_squeue");
	assert_int_equal(slurm_collect(NULL, &(struct collect_order){.job_dir = dir}, 20000, &reply, &err), 0);
	assert_int_equal(reply.export_.kind, COLLECT_EXPORT_UNSEEN);
	assert_output("ls -A $FAKE/job", ".export\n.export.env");
}

/* A container writes artifacts/, and the container of an export all of the directory: what they plant is not read, and
 * nothing of the account's goes where a viewer sees it. */
static void test_collect_of_planted_files_reads_none(void **state)
{
	(void)state;
	static const char *const plants[] = {
	    "cd artifacts; for f in results.yml progress export.tsv; do ln -s $FAKE/key $f; done",
	    "cd artifacts; for f in results.yml progress export.tsv; do ln $FAKE/key $f; done",
	    "cd artifacts; mkfifo results.yml progress export.tsv; mkdir ../x",
	    "rmdir artifacts; mkdir $FAKE/else; for f in results.yml progress export.tsv; do cp $FAKE/key "
	    "$FAKE/else/$f; "
	    "done; ln -s $FAKE/else artifacts",
	    "rmdir logs; mkdir $FAKE/else; cp $FAKE/key $FAKE/else/client-7.log; ln -s $FAKE/else logs",
	    "ln -s $FAKE/key logs/client-7.log; ln $FAKE/key logs/slurm-7.log",
	    "rm .export/*; ln -s $FAKE/key .export/job; ln -s $FAKE/key .export/end",
	};
	CLEANUP(mem_freep) char *dir = job_dir();
	for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++) {
		CLEANUP(collect_reply_done) struct collect_reply reply = {0};
		struct nel_err err = {0};
		const struct collect_order order = {.job_dir = dir, .slurm_job_id = "7", .keep_bytes = 100};
		run("rm -rf $FAKE/job $FAKE/else; mkdir -p $FAKE/job/artifacts $FAKE/job/logs $FAKE/job/.export; cd "
		    "$FAKE/job; "
		    "printf '77\t0\nresults: {a: {}}\n' >$FAKE/key; echo 77 >.export/job; echo 0 >.export/end; %s",
		    plants[i]);
		if (slurm_collect(NULL, &order, 20000, &reply, &err) != 0)
			fail_msg("%zu: %s", i, err.msg);
		assert_null(reply.results);
		assert_int_equal(reply.progress, -1);
		assert_int_equal(reply.export_.destination_count, 0);
		assert_int_equal(reply.kept_count, 0);
		assert_string_equal(reply.log_tail, "");
		assert_true(reply.export_.exit_code == 0 || i == 6);
	}
}

static void test_collect_of_a_directory_that_is_a_link_is_refused(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = mem_printf("%s/run/job", local_dir);
	static const char *const plants[] = {"ln -s ../else run/job", "rmdir run; mkdir -p else/job; ln -s else run"};
	for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++) {
		CLEANUP(collect_reply_done) struct collect_reply reply = {0};
		struct nel_err err = {0};
		run("cd $FAKE; rm -rf run else; mkdir -p run else; echo k >else/.secrets.env; %s", plants[i]);
		assert_int_equal(slurm_collect(NULL, &(struct collect_order){.job_dir = dir}, 20000, &reply, &err), -1);
		assert_int_equal(err.kind, NEL_INVALID);
		assert_output("cat $FAKE/else/.secrets.env", "k");
	}
}

#define SCRIPT_TEST(f) cmocka_unit_test_setup_teardown(f, local_setup, local_teardown)

static void test_collect_telling_line_skips_what_every_failure_says(void **state)
{
	(void)state;
	static const struct {
		const char *tail;
		const char *want;
	} cases[] = {
	    {"", ""},
	    {"one\ntwo\n\n", "two"},
	    {"no newline", "no newline"},
	    {"a\tb\x1b[0m", "a b [0m"},
	    {"Traceback\nValueError: bad\nsrun: error: a1: task 0: Exited with exit code 1\n", "ValueError: bad"},
	    {"slurmstepd: error: pyxis:     [ERROR] URL https://x returned error code: 404\n"
	     "slurmstepd: error: pyxis: couldn't start container\n"
	     "slurmstepd: error: spank: required plugin spank_pyxis.so: task_init() failed with rc=-1\n"
	     "slurmstepd: error: Failed to invoke spank plugin stack\n",
	     "slurmstepd: error: pyxis:     [ERROR] URL https://x returned error code: 404"},
	    {"srun: Terminating\nsrun: error: only noise\n\n", "srun: error: only noise"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char line[100];
		collect_telling_line(cases[i].tail, line, sizeof line);
		assert_string_equal(line, cases[i].want);
	}
	char small[4];
	collect_telling_line("abcdef", small, sizeof small);
	assert_string_equal(small, "abc");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_collect_telling_line_skips_what_every_failure_says),
	    cmocka_unit_test(test_parse_blocks_are_read),
	    cmocka_unit_test(test_mask_texts_of_the_job_are_masked),
	    cmocka_unit_test(test_parse_exports_are_read),
	    cmocka_unit_test(test_parse_keeps_so_many_destinations),
	    cmocka_unit_test(test_parse_bad_answers_are_remote),
	    SCRIPT_TEST(test_collect_tells_of_the_export),
	    SCRIPT_TEST(test_collect_tells_how_the_export_ended),
	    SCRIPT_TEST(test_collect_when_slurm_cannot_be_asked_keeps_the_secrets),
	    SCRIPT_TEST(test_collect_reads_then_removes_secrets),
	    SCRIPT_TEST(test_collect_reads_the_seal_of_its_attempt),
	    SCRIPT_TEST(test_collect_of_a_shared_job_reads_the_seal_in_its_record),
	    SCRIPT_TEST(test_collect_falls_back_to_other_logs),
	    SCRIPT_TEST(test_collect_takes_the_jobs_own_log_when_it_says_why),
	    SCRIPT_TEST(test_collect_takes_the_log_of_a_server_that_died_under_the_evaluation),
	    cmocka_unit_test(test_parse_kept_logs_are_read_and_wrong_ones_left_out),
	    SCRIPT_TEST(test_collect_keeps_the_ends_of_the_newest_logs),
	    SCRIPT_TEST(test_collect_takes_the_fingerprint_last),
	    SCRIPT_TEST(test_collect_of_gone_directory_is_empty),
	    SCRIPT_TEST(test_collect_of_huge_results_leaves_them),
	    SCRIPT_TEST(test_collect_of_planted_files_reads_none),
	    SCRIPT_TEST(test_collect_of_a_directory_that_is_a_link_is_refused),
	    SCRIPT_TEST(test_collect_of_a_log_that_cannot_be_read_keeps_the_rest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

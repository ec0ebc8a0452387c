/* Observation: the parser of the answer. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "observe_fixture.h"

#include <string.h>

#define BEGIN "nel|begin|1\n"

static void take_record(struct record *record, void *arg)
{
	observe_parser_take(arg, record);
}

/* The answer as it comes, in pieces of that many bytes. */
static int parse(const char *text, size_t size, size_t piece, struct observe_reply *ret_reply, struct nel_err *err)
{
	struct record_stream stream = {0};
	struct observe_parser *parser = observe_parser_new(&one, 1);
	for (size_t at = 0; at < size; at += piece)
		record_stream_feed(&stream, text + at, size - at < piece ? size - at : piece, take_record, parser);
	int rc = observe_parser_end(parser, ret_reply, err);
	observe_parser_free(parser);
	return rc;
}

/* Its texts are good until the next call. */
static struct observation parse_one(const char *lines)
{
	static char nodes[512];
	static char reason[512];
	CLEANUP(mem_freep) char *text = mem_printf(BEGIN "now|5000\n%send\n", lines);
	struct observation told = {0};
	for (size_t piece = 1; piece < 100; piece += 13) {
		CLEANUP(observe_reply_done) struct observe_reply reply = {0};
		struct nel_err err = {0};
		assert_int_equal(parse(text, strlen(text), piece, &reply, &err), 0);
		assert_int_equal(reply.cluster_now, 5000);
		told = reply.items[0];
		snprintf(nodes, sizeof nodes, "%s", told.nodes != NULL ? told.nodes : "");
		snprintf(reason, sizeof reason, "%s", told.reason != NULL ? told.reason : "");
	}
	told.nodes = nodes;
	told.reason = reason;
	return told;
}

#define Q(job, state, submitted, name) "q|" job "|" state "|" submitted "|1010|2000|1:05|Resources|" name "|n1\n"
#define A(job, state, submitted, elapsed, name) \
	"a|" job "|" state "|0:0|" submitted "|1010|1400|" elapsed "|" name "|n1\n"

static void test_parse_sightings_and_states(void **state)
{
	(void)state;
	static const struct {
		const char *lines;
		enum sighting squeue;
		enum sighting sacct;
		const char *state;
	} cases[] = {
	    {"", SIGHT_ABSENT, SIGHT_UNOBSERVABLE, ""},
	    {"w|12\n", SIGHT_ABSENT, SIGHT_ABSENT, ""},
	    {"w|13\n", SIGHT_ABSENT, SIGHT_UNOBSERVABLE, ""},
	    {Q("12", "RUNNING", "1000", "ours-e.1"), SIGHT_SEEN, SIGHT_UNOBSERVABLE, "RUNNING"},
	    /* The controller was not asked, or did not answer. */
	    {"m|squeue|down\n", SIGHT_UNOBSERVABLE, SIGHT_UNOBSERVABLE, ""},
	    {Q("12", "RUNNING", "1000", "ours-e.1") "m|squeue|down\n", SIGHT_UNOBSERVABLE, SIGHT_UNOBSERVABLE, ""},
	    {"w|12\nm|sacct|down\n", SIGHT_ABSENT, SIGHT_UNOBSERVABLE, ""},
	    /* Ids are reused: the unique name decides, whatever the clocks of login node and slurmctld say. */
	    {"w|12\n" Q("12", "RUNNING", "1000", "other"), SIGHT_ABSENT, SIGHT_ABSENT, ""},
	    {"w|12\n" Q("12", "RUNNING", "1000", "ours-e.2"), SIGHT_ABSENT, SIGHT_ABSENT, ""},
	    {"w|12\n" Q("12", "RUNNING", "900", "other"), SIGHT_ABSENT, SIGHT_ABSENT, ""},
	    {Q("12", "RUNNING", "900", "ours-e.1"), SIGHT_SEEN, SIGHT_UNOBSERVABLE, "RUNNING"},
	    {Q("12", "RUNNING", "1400", "ours-e.1"), SIGHT_SEEN, SIGHT_UNOBSERVABLE, "RUNNING"},
	    {"w|12\n" A("12", "FAILED", "900", "5", "ours-e.1"), SIGHT_ABSENT, SIGHT_SEEN, "FAILED"},
	    {"w|12\n" A("12", "FAILED", "1000", "5", "ours-e.10"), SIGHT_ABSENT, SIGHT_ABSENT, ""},
	    {Q("12", "RUNNING", "998", "ours-e.1"), SIGHT_SEEN, SIGHT_UNOBSERVABLE, "RUNNING"},
	    {Q("112", "RUNNING", "1000", "ours-e.1"), SIGHT_ABSENT, SIGHT_UNOBSERVABLE, ""},
	    /* Elements of an array. */
	    {Q("12_0", "RUNNING", "1000", "ours-e.1"), SIGHT_SEEN, SIGHT_UNOBSERVABLE, "RUNNING"},
	    {Q("12_[1-10]", "PENDING", "1000", "ours-e.1"), SIGHT_SEEN, SIGHT_UNOBSERVABLE, "PENDING"},
	    {Q("12[1-10]", "PENDING", "1000", "ours-e.1"), SIGHT_SEEN, SIGHT_UNOBSERVABLE, "PENDING"},
	    {Q("12_1", "RUNNING", "1000", "ours-e.1") Q("12_0", "COMPLETED", "1000", "ours-e.1"), SIGHT_SEEN,
	     SIGHT_UNOBSERVABLE, "RUNNING"},
	    /* squeue and sacct differ: the ended one is newer, a live one in sacct lags. */
	    {Q("12", "COMPLETED", "1000", "ours-e.1") A("12", "RUNNING", "1000", "5", "ours-e.1"), SIGHT_SEEN,
	     SIGHT_SEEN, "COMPLETED"},
	    {Q("12", "RUNNING", "1000", "ours-e.1") A("12", "NODE_FAIL", "1000", "5", "ours-e.1"), SIGHT_SEEN,
	     SIGHT_SEEN, "RUNNING"},
	    {"w|12\n" A("12", "RUNNING", "1000", "5", "ours-e.1"), SIGHT_ABSENT, SIGHT_SEEN, "RUNNING"},
	    {A("12", "CANCELLED by 1001", "1000", "5", "ours-e.1"), SIGHT_ABSENT, SIGHT_SEEN, "CANCELLED"},
	    {A("12", "PENDING", "1001", "0", "allocation"), SIGHT_ABSENT, SIGHT_SEEN, "PENDING"},
	    {A("12", "PENDING", "1003", "0", "allocation"), SIGHT_ABSENT, SIGHT_UNOBSERVABLE, ""},
	    /* Requeued: the record submitted last counts, in any order. */
	    {A("12", "RUNNING", "1500", "5", "ours-e.1") A("12", "NODE_FAIL", "1000", "5", "ours-e.1"), SIGHT_ABSENT,
	     SIGHT_SEEN, "RUNNING"},
	    {A("12", "PREEMPTED", "1000", "5", "ours-e.1") A("12", "COMPLETED", "1500", "5", "ours-e.1"), SIGHT_ABSENT,
	     SIGHT_SEEN, "COMPLETED"},
	    /* Requeued in the second in which it was submitted. */
	    {A("12", "REQUEUED", "1000", "0", "ours-e.1") A("12", "PREEMPTED", "1000", "5", "ours-e.1"), SIGHT_ABSENT,
	     SIGHT_SEEN, "PREEMPTED"},
	    {A("12", "PREEMPTED", "1000", "5", "ours-e.1") A("12", "REQUEUED", "1000", "0", "ours-e.1"), SIGHT_ABSENT,
	     SIGHT_SEEN, "PREEMPTED"},
	    /* What cannot be read is left out. */
	    {"q|12|RUNNING\nq\nf|7|1|1|1|1\nf|x\nzzz|1\n|||\na|12|||||||\n", SIGHT_ABSENT, SIGHT_UNOBSERVABLE, ""},
	    /* A state that Slurm's own commands have no word for: the job is there. */
	    {Q("12", "", "1000", "ours-e.1"), SIGHT_SEEN, SIGHT_UNOBSERVABLE, "?"},
	    {Q("12", "?", "1000", "ours-e.1"), SIGHT_SEEN, SIGHT_UNOBSERVABLE, "?"},
	    {"w|12\n" A("12", "?", "1000", "5", "ours-e.1"), SIGHT_ABSENT, SIGHT_SEEN, "?"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct observation o = parse_one(cases[i].lines);
		if (o.squeue != cases[i].squeue || o.sacct != cases[i].sacct || strcmp(o.state, cases[i].state) != 0)
			fail_msg("case %zu: squeue %d sacct %d state '%s'", i, (int)o.squeue, (int)o.sacct, o.state);
	}
}

struct early {
	struct observe_parser *parser;
	bool now;
};

static void take_early(struct record *record, void *arg)
{
	struct early *early = arg;
	early->now = observe_parser_take(early->parser, record);
}

/* While sacct is asked, what squeue says is good already, of what is alive. */
static void test_parse_early_takes_what_is_alive_once(void **state)
{
	(void)state;
	static const struct observe_order orders[] = {{"11", "ours-e.0", "/d/0", 1000, 1},
						      {"12", "ours-e.1", "/d/1", 1000, 1},
						      {"13", "ours-e.2", "/d/2", 1000, 1}};
	static const char text[] = "motd\nnel|begin|1\nnow|5000\n" Q("11", "RUNNING", "1000", "ours-e.0")
	    Q("12", "COMPLETED", "1000", "ours-e.1") "w|12\nw|13\np\na|12|COMPL";
	const char *end = strstr(text, "\np\n") + 3;
	struct record_stream stream = {0};
	struct early early = {.parser = observe_parser_new(orders, 3)};
	for (const char *at = text; at < text + sizeof text; at++) {
		early.now = false;
		record_stream_feed(&stream, at, 1, take_early, &early);
		assert_true(early.now == (at + 1 == end));
		if (!early.now)
			continue;
		CLEANUP(observe_reply_done) struct observe_reply reply = {0};
		observe_parser_early(early.parser, &reply);
		assert_int_equal(reply.count, 3);
		assert_string_equal(reply.items[0].state, "RUNNING");
		for (size_t i = 1; i < 3; i++) {
			assert_int_equal(reply.items[i].squeue, SIGHT_UNOBSERVABLE);
			assert_string_equal(reply.items[i].state, "");
		}
	}
	struct observe_reply reply = {0};
	struct nel_err err = {0};
	assert_int_equal(observe_parser_end(early.parser, &reply, &err), -1); /* it was cut off */
	observe_parser_free(early.parser);
}

static void test_parse_squeue_fields(void **state)
{
	(void)state;
	struct observation o = parse_one("q|12|PENDING|1000|3000|N/A|0:00|Priority|ours-e.1|\n");
	assert_string_equal(o.reason, "Priority");
	assert_int_equal(o.start_estimate, 3000);
	assert_int_equal(o.started_at, 0);
	o = parse_one("q|12|PENDING|1000|N/A|N/A|0:00|None|ours-e.1|\n");
	assert_string_equal(o.reason, "");
	assert_int_equal(o.start_estimate, 0);
	o = parse_one("q|12|RUNNING|1000|1010|2000|1-00:00:05|None|ours-e.1|n[1-3],m|5\n");
	assert_int_equal(o.started_at, 1010);
	assert_int_equal(o.ended_at, 0);
	assert_int_equal(o.elapsed_s, 86405);
	assert_int_equal(o.exit_code, -1);
	assert_string_equal(o.nodes, "n[1-3],m|5");
	o = parse_one("q|12|TIMEOUT|1000|1010|2000|16:30|TimeLimit|ours-e.1|n1\n");
	assert_int_equal(o.ended_at, 2000);
	assert_int_equal(o.elapsed_s, 990);
}

static void test_parse_who_cancelled_and_whether_it_was_preempted(void **state)
{
	(void)state;
	struct observation o = parse_one(A("12", "CANCELLED by 0", "1000", "5", "ours-e.1"));
	assert_string_equal(o.cancelled_by, "0");
	assert_false(o.preempted);
	o = parse_one(A("12", "CANCELLED by root", "1000", "5", "ours-e.1") "e|12\ne|13\ne\n");
	assert_string_equal(o.cancelled_by, "root");
	assert_true(o.preempted);
	o = parse_one(A("12", "CANCELLED", "1000", "5", "ours-e.1") "e|13\n");
	assert_string_equal(o.cancelled_by, "");
	assert_false(o.preempted);
	/* What was started again since is not cancelled. */
	o = parse_one(A("12", "CANCELLED by 0", "1000", "5", "ours-e.1") A("12", "COMPLETED", "1500", "5", "ours-e.1"));
	assert_string_equal(o.cancelled_by, "");
	/* Of a federation the cluster that runs it speaks. */
	o = parse_one(Q("12", "RUNNING", "1000", "ours-e.1") Q("12", "REVOKED", "1000", "ours-e.1"));
	assert_string_equal(o.state, "RUNNING");
	o = parse_one(Q("12", "REVOKED", "1000", "ours-e.1") A("12", "COMPLETED", "1000", "5", "ours-e.1"));
	assert_string_equal(o.state, "COMPLETED");
}

static void test_parse_sacct_fields(void **state)
{
	(void)state;
	struct observation o = parse_one("a|12|NODE_FAIL|1:0|1000|1010|1400|390|ours-e.1|n1\n"
					 "a|12|OUT_OF_MEMORY|0:9|1500|1510|1600|90|ours-e.1|n2\n");
	assert_string_equal(o.state, "OUT_OF_MEMORY");
	assert_int_equal(o.exit_code, 0);
	assert_int_equal(o.signal, 9);
	assert_int_equal(o.elapsed_s, 480);
	assert_int_equal(o.restarts, 1);
	assert_int_equal(o.started_at, 1510);
	assert_int_equal(o.ended_at, 1600);
	assert_string_equal(o.nodes, "n2");
	o = parse_one("a|12|CANCELLED by 7|0:0|1000|Unknown|1020|0|ours-e.1|None assigned\n");
	assert_string_equal(o.nodes, "");
	assert_int_equal(o.started_at, 0);
	assert_int_equal(o.elapsed_s, 0);
}

static void test_parse_stamps_are_added_up(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		int64_t started;
		int64_t ended;
		int exit_code;
		int64_t elapsed;
		int64_t progress;
		int restarts;
	} cases[] = {
	    {"f|0|||||\n", 0, 0, -1, -1, -1, 0},
	    {"f|0|17||||\n", 0, 0, -1, -1, 17, 0},
	    {"f|0|x||100|250:3|\n", 100, 250, 3, 150, -1, 0},
	    {"f|0|5|190|100||\n", 100, 0, -1, 90, 5, 0},
	    {"f|0|5||100||\n", 100, 0, -1, -1, 5, 0},
	    {"f|0||290|100,200|150:-1|\n", 100, 0, -1, 140, -1, 1},
	    {"f|0|||100,200|150:-1,260:0|\n", 100, 260, 0, 110, -1, 1},
	    {"f|0|||200|100:0|\n", 200, 100, 0, 0, -1, 0},
	    {"f|0|||100|250|\n", 100, 250, -1, 150, -1, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct observation o = parse_one(cases[i].line);
		assert_int_equal(o.stamp_started, cases[i].started);
		assert_int_equal(o.stamp_ended, cases[i].ended);
		assert_int_equal(o.stamp_exit, cases[i].exit_code);
		assert_int_equal(o.stamp_elapsed_s, cases[i].elapsed);
		assert_int_equal(o.progress, cases[i].progress);
		assert_int_equal(o.restarts, cases[i].restarts);
	}
	static const struct {
		const char *line;
		int64_t requests, total;
	} counts[] = {
	    {"f|0|17/40||||\n", 17, 40},
	    {"f|0|/40||||\n", -1, 40},
	    {"f|0|17/||||\n", 17, 0},
	    {"f|0|17/-3||||\n", 17, 0},
	    {"f|0|-1/x||||\n", -1, 0},
	    {"f|0|1000000000000/1000000000001||||\n", PROGRESS_MAX, 0},
	    {"f|0|1000000000001/0||||\n", -1, 0},
	};
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		struct observation o = parse_one(counts[i].line);
		assert_int_equal(o.progress, counts[i].requests);
		assert_int_equal(o.progress_total, counts[i].total);
	}
	static const struct {
		const char *line;
		struct gpu_use use;
	} uses[] = {
	    {"f|0|||||||4:100:3:20\n", {4, 100, 3, 20}},
	    {"f|0||||||4:100:3:20\n", {0}},
	    {"f|0|||||||4:100:3\n", {0}},
	    {"f|0|||||||4:401:3:20\n", {0}},
	    {"f|0|||||||4:100:5:20\n", {0}},
	    {"f|0|||||||-4:100:3:20\n", {0}},
	    {"f|0|||||||:::\n", {0}},
	    {"f|0|||||||9999999999:1:1:1\n", {0}},
	};
	for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++) {
		struct observation o = parse_one(uses[i].line);
		assert_memory_equal(&o.use, &uses[i].use, sizeof o.use);
	}
	static const char *const fates[][2] = {{"f|0|||||TIMEOUT\n", "TIMEOUT"},
					       {"f|0|||||WITHDRAWN\n", "WITHDRAWN"},
					       {"f|0|||||no\n", ""},
					       {"f|0|||||\n", ""},
					       {"f|0||||\n", ""}};
	for (size_t i = 0; i < sizeof fates / sizeof fates[0]; i++)
		assert_string_equal(parse_one(fates[i][0]).fate, fates[i][1]);
	/* squeue knows of the present run only. */
	struct observation o = parse_one("f|0||290|100,200|150:-1|\n" Q("12", "RUNNING", "1000", "ours-e.1"));
	assert_int_equal(o.elapsed_s, 140);
}

static void test_parse_cut_anywhere_is_remote(void **state)
{
	(void)state;
	static const char text[] =
	    "hello\n" BEGIN "now|5\n" Q("12", "RUNNING", "1000", "ours-e.1") "f|0|1|2|3|4:5|\nend\n";
	for (size_t size = 0; size < sizeof text - 1; size++) {
		struct observe_reply reply = {0};
		struct nel_err err = {0};
		CLEANUP(mem_freep) char *part = mem_dup(text, size);
		assert_int_equal(parse(part, size, 7, &reply, &err), -1);
		assert_int_equal(err.kind, NEL_REMOTE);
	}
}

static void test_parse_of_noise_does_not_crash(void **state)
{
	(void)state;
	static const char alphabet[] = "qawfm|12,:\n\0_[]ours-e.1end\xc3\xff";
	unsigned seed = 1;
	for (int round = 0; round < 2000; round++) {
		char text[400] = BEGIN;
		size_t size = strlen(BEGIN);
		while (size < sizeof text - 5) {
			seed = seed * 1103515245U + 12345U;
			text[size++] = alphabet[(seed >> 16) % (sizeof alphabet - 1)];
		}
		memcpy(text + size, "\nend\n", 5);
		CLEANUP(observe_reply_done) struct observe_reply reply = {0};
		struct nel_err err;
		parse(text, sizeof text, 11, &reply, &err);
	}
}

static void test_parse_elapsed_forms(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t expected;
	} cases[] = {{"0:00", 0},        {"1:05", 65},
		     {"01:02:03", 3723}, {"2-01:02:03", 176523},
		     {"", -1},           {"5", -1},
		     {"INVALID", -1},    {"1:2:3:4", -1},
		     {"1:", -1},         {"1-", -1},
		     {"a:b", -1},        {"1-2-3:04", -1},
		     {":5", -1},         {"99999999999:00", -1}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(observe_parse_elapsed(cases[i].text), cases[i].expected);
}

static void test_parse_counts_that_cannot_be_are_none(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		int64_t nodes;
	} cases[] = {{"n|4|1|32|8\n", 4}, {"n|4|5|32|8\n", 0}, {"n|4|1|32|33\n", 0},         {"n|4|-1|32|8\n", 0},
		     {"n|x|0|0|0\n", 0},  {"n|4|1|32\n", 0},   {"n|99999999999|1|2|1\n", 0}, {"n|4|1|32|8|9\n", 0}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(mem_freep) char *text = mem_printf(BEGIN "now|5000\n%send\n", cases[i].line);
		CLEANUP(observe_reply_done) struct observe_reply reply = {0};
		struct nel_err err = {0};
		assert_int_equal(parse(text, strlen(text), 7, &reply, &err), 0);
		if (reply.counts.nodes != cases[i].nodes)
			fail_msg("%s: %d nodes", cases[i].line, (int)reply.counts.nodes);
	}
}

static void test_parse_jobs_of_a_shared_chain(void **state)
{
	(void)state;
	static const struct {
		const char *lines;
		size_t count;
		struct job_sighting first;
	} cases[] = {
	    {"j|0|3|100,150|7|\n", 1, {.job_index = 3, .started_at = 100, .progress = 7}},
	    {"j|0|3|100|7/9|\n", 1, {.job_index = 3, .started_at = 100, .progress = 7, .progress_total = 9}},
	    {"j|0|3|||0|90|120|1|ended\n",
	     1,
	     {.job_index = 3,
	      .progress = -1,
	      .has_end = true,
	      .end_started_at = 90,
	      .ended_at = 120,
	      .end_attempt = 1}},
	    {"j|0|5|100||\nj|0|0|100||143|100|120|2|cancelled\n",
	     2,
	     {.started_at = 100,
	      .progress = -1,
	      .has_end = true,
	      .exit_code = 143,
	      .end_started_at = 100,
	      .ended_at = 120,
	      .end_attempt = 2,
	      .cancelled = true}},
	    /* The first counts. */
	    {"j|0|3|100||\nj|0|7|100||\nj|0|3|200|9|\n", 2, {.job_index = 3, .started_at = 100, .progress = -1}},
	    {"j|0|3|100||\nj|0|3|200|9|\n", 1, {.job_index = 3, .started_at = 100, .progress = -1}},
	    /* What is no end is none. */
	    {"j|0|3|100||x|90|120|1|ended\n", 1, {.job_index = 3, .started_at = 100, .progress = -1}},
	    {"j|0|3|100||0|90|120|1|fine\n", 1, {.job_index = 3, .started_at = 100, .progress = -1}},
	    {"j|0|3|100||0|90|x|1|ended\n", 1, {.job_index = 3, .started_at = 100, .progress = -1}},
	    {"j|0|3|100||0|90\n", 1, {.job_index = 3, .started_at = 100, .progress = -1}},
	    {"j|0|3|100|\nj\nj|1|3|100||\nj|0|-1|100||\nj|0|1000|100||\nj|0|3|||\n", 0, {0}},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(mem_freep) char *text = mem_printf(BEGIN "now|5000\n%send\n", cases[i].lines);
		CLEANUP(observe_reply_done) struct observe_reply reply = {0};
		struct nel_err err = {0};
		assert_int_equal(parse(text, strlen(text), 11, &reply, &err), 0);
		if (reply.items[0].job_count != cases[i].count)
			fail_msg("case %zu has %zu jobs", i, reply.items[0].job_count);
		if (cases[i].count > 0)
			assert_job(&reply.items[0].jobs[0], cases[i].first);
	}
}

/* Each start until its servers were ready, or, where they never were, until its end; -1: a job without servers. */
static void test_parse_readiness_gives_the_time_of_start_up(void **state)
{
	static const struct {
		const char *line;
		int64_t start_up_s;
	} cases[] = {
	    {"f|0|5||100|200:0||1:0,1:140\n", 40},  {"f|0|5||100|200:1||1:0\n", 100},
	    {"f|0|5|150|100|||1:0\n", 50},          {"f|0|5|390|100,300|200:-1||1:0,1:130,2:0\n", 120},
	    {"f|0|5||100|200:0||\n", -1},           {"f|0|5||100|200:0|\n", -1},
	    {"f|0|5||100|200:0||x,99:3,1:\n", 100},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(parse_one(cases[i].line).start_up_s, cases[i].start_up_s);
}

static void test_parse_gpus_are_those_of_all_types(void **state)
{
	(void)state;
	assert_int_equal(observe_parse_gpus("billing=4,cpu=4,gres/gpu:a100=8,gres/gpu=8,node=1"), 8);
	assert_int_equal(observe_parse_gpus("gres/gpu=0"), 0);
	assert_int_equal(observe_parse_gpus("cpu=4,node=1"), -1);
	assert_int_equal(observe_parse_gpus(""), -1);
	assert_int_equal(observe_parse_gpus("gres/gpu=x,cpu=1"), -1);
	assert_int_equal(observe_parse_gpus("gres/gpu=99999999999"), -1);
	assert_int_equal(observe_parse_gpus("gres/gpu:a100=8,cpu=1,"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse_readiness_gives_the_time_of_start_up),
	    cmocka_unit_test(test_parse_gpus_are_those_of_all_types),
	    cmocka_unit_test(test_parse_sightings_and_states),
	    cmocka_unit_test(test_parse_early_takes_what_is_alive_once),
	    cmocka_unit_test(test_parse_squeue_fields),
	    cmocka_unit_test(test_parse_sacct_fields),
	    cmocka_unit_test(test_parse_who_cancelled_and_whether_it_was_preempted),
	    cmocka_unit_test(test_parse_stamps_are_added_up),
	    cmocka_unit_test(test_parse_cut_anywhere_is_remote),
	    cmocka_unit_test(test_parse_of_noise_does_not_crash),
	    cmocka_unit_test(test_parse_elapsed_forms),
	    cmocka_unit_test(test_parse_counts_that_cannot_be_are_none),
	    cmocka_unit_test(test_parse_jobs_of_a_shared_chain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

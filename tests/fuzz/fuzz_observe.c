/* slurm/observe_parse: whatever a cluster prints, each order has an observation that the rest of the daemon can take.
 */
#include "chain/progress.h"
#include "fuzz.h"
#include "slurm/observe.h"
#include "slurm/records.h"
#include "slurm/slurm_state.h"

static const struct observe_order orders[] = {
    {"12", "acct-sub.mmlu.0-e.1", "/shared/out/mmlu.0", 1000, 1},
    {"13", "acct-sub.ifeval.1-e.1", "/shared/out/ifeval.1", 1000, 1},
    {"120", "acct-sub.arc.2-e.3", "/shared/out/arc.2", 2000, 3},
    {NULL, "acct-sub.gsm.3-e.1", "/shared/out/gsm.3", 1000, 1},
    {"12", "acct-sub.mmlu.0-f.1", "/shared/out2/mmlu.0", 90000, 1},
};

#define ORDERS (sizeof orders / sizeof orders[0])

static void check_text(const char *text)
{
	FUZZ_CHECK(fuzz_is_utf8(text) && !str_has_control(text));
}

static void check_item(const struct observation *o, const struct observe_order *order, bool slurm_failed)
{
	bool seen = o->squeue == SIGHT_SEEN || o->sacct == SIGHT_SEEN;
	check_text(o->state);
	check_text(o->nodes != NULL ? o->nodes : "");
	check_text(o->reason != NULL ? o->reason : "");
	check_text(o->fate);
	FUZZ_CHECK(strchr(o->state, ' ') == NULL);
	FUZZ_CHECK(seen == (o->state[0] != '\0'));
	FUZZ_CHECK(!slurm_failed || o->squeue == SIGHT_UNOBSERVABLE);
	FUZZ_CHECK(order->slurm_job_id != NULL || !seen);
	FUZZ_CHECK(order->slurm_job_id != NULL || o->squeue == SIGHT_UNOBSERVABLE);
	FUZZ_CHECK(o->started_at >= 0 && o->ended_at >= 0 && o->start_estimate >= 0 && o->restarts >= 0);
	FUZZ_CHECK(o->elapsed_s >= -1 && o->progress >= -1 && o->stamp_elapsed_s >= -1);
	FUZZ_CHECK(o->progress <= PROGRESS_MAX && o->progress_total >= 0 && o->progress_total <= PROGRESS_MAX);
	FUZZ_CHECK(o->use.samples == 0 || gpu_use_is_sound(&o->use));
	FUZZ_CHECK(o->stamp_started >= 0 && o->stamp_ended >= 0);
	FUZZ_CHECK(o->exit_code >= -1 && o->signal >= 0);
	(void)slurm_state_class(o->state);
}

static void take_record(struct record *record, void *arg)
{
	struct observe_reply early = {0};
	if (!observe_parser_take(arg, record))
		return;
	observe_parser_early(arg, &early);
	for (size_t i = 0; i < ORDERS; i++)
		check_item(&early.items[i], &orders[i], early.slurm_failed);
	observe_reply_done(&early);
}

/* The input in pieces of the size that its first byte says. */
static int parse(const char *data, size_t size, struct observe_reply *ret_reply, struct nel_err *err)
{
	struct record_stream stream = {0};
	struct observe_parser *parser = observe_parser_new(orders, ORDERS);
	size_t piece = size > 0 ? 1 + (unsigned char)data[0] : 1;
	for (size_t at = 0; at < size; at += piece)
		record_stream_feed(&stream, data + at, size - at < piece ? size - at : piece, take_record, parser);
	int rc = observe_parser_end(parser, ret_reply, err);
	observe_parser_free(parser);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nel_err err = {0};
	CLEANUP(observe_reply_done) struct observe_reply reply = {0};
	if (parse((const char *)data, size, &reply, &err) != 0) {
		FUZZ_CHECK(err.kind != NEL_OK && err.kind != NEL_INTERNAL && reply.items == NULL);
		fuzz_check_error(&err, err.kind);
		FUZZ_CHECK(fuzz_is_utf8(err.msg));
		return 0;
	}
	FUZZ_CHECK(reply.count == ORDERS);
	check_text(reply.message);
	for (size_t i = 0; i < ORDERS; i++)
		check_item(&reply.items[i], &orders[i], reply.slurm_failed);
	return 0;
}

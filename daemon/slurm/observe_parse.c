/* Reads the answer of remote_observe.sh: finds the order of each row, and weighs squeue against sacct. Pure. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "slurm/observe.h"
#include "slurm/observe_files.h"
#include "slurm/records.h"
#include "slurm/slurm_state.h"

#include <stdio.h>
#include <string.h>

#define GPUS_MAX 1000000
#define NODES_MAX 1000000
#define SUBMIT_SLACK_S 2
#define ID_SIZE 21
#define NODES_SIZE 512
#define REASON_SIZE 256

struct by_id {
	uint64_t number; /* of the id's digits; two may share one where it overflows */
	size_t index;
};

/* What was heard of one order. */
struct heard {
	bool queue_seen;
	char queue_state[24];
	int64_t queue_start;
	int64_t queue_end;
	int64_t queue_elapsed;
	char *queue_nodes;
	char *queue_reason;
	bool asked; /* sacct was, about this one */
	bool acct_seen;
	char acct_state[24]; /* of the record submitted last, and so are the following */
	int64_t acct_submit;
	int64_t acct_start;
	int64_t acct_end;
	int acct_exit;
	int acct_signal;
	char *acct_nodes;
	char cancelled_by[33];
	bool preempted;
	int64_t acct_elapsed;       /* of all records together */
	int64_t acct_gpu_s;         /* of those that name their GPUs */
	int64_t acct_gpus_untold_s; /* elapsed time of the others */
	int acct_records;
};

struct observe_parser {
	const struct observe_order *orders;
	size_t count;
	struct by_id *ids; /* sorted */
	size_t id_count;
	struct heard *heard; /* one per order */
	struct observe_reply reply;
	bool queue_done; /* squeue's part is complete */
	bool ended;      /* and so is the whole answer, or it is an error */
	struct nel_err err;
};

static uint64_t number_of(const char *id)
{
	uint64_t number = 0;
	for (; *id != '\0'; id++)
		number = number * 10 + (uint64_t)(*id - '0');
	return number;
}

static int compare_ids(const void *a, const void *b)
{
	const struct by_id *left = a;
	const struct by_id *right = b;
	return (left->number > right->number) - (left->number < right->number);
}

static struct observation *new_items(size_t count)
{
	struct observation *items = mem_calloc(count, sizeof *items);
	for (size_t i = 0; i < count; i++)
		items[i] = (struct observation){.squeue = SIGHT_UNOBSERVABLE,
						.sacct = SIGHT_UNOBSERVABLE,
						.exit_code = -1,
						.elapsed_s = -1,
						.progress = -1,
						.stamp_exit = -1,
						.stamp_elapsed_s = -1,
						.start_up_s = -1,
						.acct_elapsed_s = -1};
	return items;
}

struct observe_parser *observe_parser_new(const struct observe_order *orders, size_t count)
{
	struct observe_parser *p = mem_calloc(1, sizeof *p);
	p->orders = orders;
	p->count = count;
	p->ids = mem_calloc(count, sizeof *p->ids);
	p->heard = mem_calloc(count, sizeof *p->heard);
	p->reply = (struct observe_reply){.items = new_items(count), .count = count};
	for (size_t i = 0; i < count; i++)
		if (observe_is_job_id(orders[i].slurm_job_id))
			p->ids[p->id_count++] = (struct by_id){.number = number_of(orders[i].slurm_job_id), .index = i};
	qsort(p->ids, p->id_count, sizeof *p->ids, compare_ids);
	return p;
}

void observe_parser_free(struct observe_parser *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->count; i++) {
		free(p->heard[i].queue_nodes);
		free(p->heard[i].queue_reason);
		free(p->heard[i].acct_nodes);
	}
	free(p->ids);
	free(p->heard);
	observe_reply_done(&p->reply);
	free(p);
}

/* The job that "12", "12_3", "12_[1-10]", "12[1-10]" or "12+1" belongs to: its leading digits. */
static void leading_digits(const char *text, char ret_id[ID_SIZE])
{
	size_t length = strspn(text, "0123456789");
	if (length >= ID_SIZE)
		length = 0;
	memcpy(ret_id, text, length);
	ret_id[length] = '\0';
}

/* The first in p->ids that may have that id, or id_count. */
static size_t first_id(const struct observe_parser *p, uint64_t number)
{
	size_t low = 0;
	size_t high = p->id_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (p->ids[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The next order from *at on (first NULL) with that id; NULL: there is none. */
static struct heard *next_heard(const struct observe_parser *p, const char *id, const struct by_id **at)
{
	uint64_t number = number_of(id);
	const struct by_id *end = p->ids + p->id_count;
	const struct by_id *next = *at == NULL ? p->ids + first_id(p, number) : *at + 1;
	for (; next < end && next->number == number; next++) {
		if (strcmp(p->orders[next->index].slurm_job_id, id) != 0)
			continue;
		*at = next;
		return &p->heard[next->index];
	}
	return NULL;
}

/* Is the row, whose name and nodes are `rest` ("<name>|<nodes>"; a name may hold '|'), about this order? The unique
 * name decides, whatever the clocks say: a job under a reused id has another one. NULL: it is not; else where the nodes
 * begin. */
static const char *match_order(const struct observe_order *order, const char *rest, int64_t submitted)
{
	bool timed = submitted != 0 && order->submitted_at != 0;
	size_t length = strlen(order->job_name);
	if (strncmp(rest, order->job_name, length) == 0 && rest[length] == '|')
		return rest + length + 1;
	/* Seen in Slurm 22.05: slurmdbd has a new job's record under this name until its own arrives. */
	if (str_starts_with(rest, "allocation|") && timed && submitted >= order->submitted_at - SUBMIT_SLACK_S &&
	    submitted <= order->submitted_at + SUBMIT_SLACK_S)
		return strchr(rest, '|') + 1;
	return NULL;
}

/* NULL when the row is another job's, under a reused id or one not asked for. */
static struct heard *find_heard(struct observe_parser *p, const char *job, int64_t submitted, char *rest,
				char **ret_nodes)
{
	char id[ID_SIZE];
	const struct by_id *at = NULL;
	struct heard *heard = NULL;
	leading_digits(job, id);
	while ((heard = next_heard(p, id, &at)) != NULL) {
		const char *nodes = match_order(&p->orders[at->index], rest, submitted);
		if (nodes == NULL)
			continue;
		*ret_nodes = rest + (nodes - rest);
		return heard;
	}
	return NULL;
}

int64_t observe_parse_elapsed(const char *text)
{
	int64_t days = 0;
	int64_t parts[3] = {0};
	size_t count = 0;
	const char *at = text;
	while (count < 3) {
		size_t length = strspn(at, "0123456789");
		char number[10];
		if (length == 0 || length >= sizeof number)
			return -1;
		memcpy(number, at, length);
		number[length] = '\0';
		int64_t value = record_number(number, INT32_MAX, -1);
		at += length;
		if (*at == '-' && count == 0 && days == 0) {
			days = value;
			at++;
			continue;
		}
		parts[count++] = value;
		if (*at == '\0')
			break;
		if (*at++ != ':')
			return -1;
	}
	if (at[0] != '\0' || at == text || at[-1] == ':' || count < 2)
		return -1;
	int64_t clock = count == 3 ? parts[0] * 3600 + parts[1] * 60 + parts[2] : parts[0] * 60 + parts[1];
	return days * 86400 + clock;
}

static bool is_live(const char *state)
{
	switch (slurm_state_class(state)) {
	case SLURM_PENDING:
	case SLURM_RUNNING:
	case SLURM_REVOKED:
	case SLURM_UNKNOWN: return true;
	case SLURM_SUCCEEDED:
	case SLURM_RESUMABLE:
	case SLURM_CANCELLED:
	case SLURM_FAILED: return false;
	}
	return true;
}

/* Of several elements of a job array, which one speaks for the job: a running one, else a waiting one. What accounting
 * calls REQUEUED is a run that another one has followed. */
static int rank(const char *state)
{
	if (strcmp(state, "REQUEUED") == 0)
		return -1;
	switch (slurm_state_class(state)) {
	case SLURM_RUNNING: return 3;
	case SLURM_PENDING:
	case SLURM_UNKNOWN: return 2;
	case SLURM_RESUMABLE:
	case SLURM_CANCELLED:
	case SLURM_FAILED: return 1;
	case SLURM_SUCCEEDED: return 0;
	case SLURM_REVOKED: return -1;
	}
	return 0;
}

/* "?" is what Slurm's commands print for a state that they do not know themselves: the job is there. */
static void read_state(const char *text, char ret_state[24])
{
	slurm_state_word(text, ret_state);
	if (ret_state[0] == '\0')
		memcpy(ret_state, "?", 2);
}

/* Keeps a text, cut where it is longer than any that is shown; NULL where there is none. */
static void keep_text(char **kept, const char *text, size_t size_max)
{
	free(*kept);
	*kept = NULL;
	if (text[0] == '\0')
		return;
	size_t size = strlen(text) + 1;
	*kept = mem_calloc(1, size < size_max ? size : size_max);
	record_text(text, *kept, size < size_max ? size : size_max);
}

static void read_nodes(const char *text, char **ret_nodes)
{
	bool none = strcmp(text, "None assigned") == 0 || strcmp(text, "(null)") == 0;
	keep_text(ret_nodes, none ? "" : text, NODES_SIZE);
}

/* q|id|state|submitted|start|end|time used|reason|name|nodes */
static void read_queue_row(struct observe_parser *p, struct record *record)
{
	char *nodes = NULL;
	if (!record_split(record, 9, 9))
		return;
	char **f = record->fields;
	struct heard *heard = find_heard(p, f[1], record_time(f[3]), f[8], &nodes);
	char state[24];
	read_state(f[2], state);
	if (heard == NULL || (heard->queue_seen && rank(state) < rank(heard->queue_state)))
		return;
	heard->queue_seen = true;
	memcpy(heard->queue_state, state, sizeof state);
	heard->queue_start = record_time(f[4]);
	heard->queue_end = record_time(f[5]);
	heard->queue_elapsed = observe_parse_elapsed(f[6]);
	keep_text(&heard->queue_reason, strcmp(f[7], "None") == 0 ? "" : f[7], REASON_SIZE);
	read_nodes(nodes, &heard->queue_nodes);
}

/* "exit:signal" */
static void read_exit_code(char *text, int *ret_exit, int *ret_signal)
{
	char *signal_text = strchr(text, ':');
	if (signal_text != NULL)
		*signal_text++ = '\0';
	*ret_exit = (int)record_number(text, 255, -1);
	*ret_signal = signal_text == NULL ? 0 : (int)record_number(signal_text, 255, 0);
}

int64_t observe_parse_gpus(const char *tres)
{
	static const char name[] = "gres/gpu=";
	for (const char *at = tres; *at != '\0'; at += strcspn(at, ","), at += *at == ',') {
		char number[10];
		if (strncmp(at, name, sizeof name - 1) != 0)
			continue;
		const char *digits = at + sizeof name - 1;
		size_t length = strspn(digits, "0123456789");
		if (length == 0 || length >= sizeof number || (digits[length] != ',' && digits[length] != '\0'))
			return -1;
		memcpy(number, digits, length);
		number[length] = '\0';
		return record_number(number, GPUS_MAX, -1);
	}
	return -1;
}

/* What the record says that the job had: nothing, where Slurm's AccountingStorageTRES lacks gres/gpu. */
static void add_gpus(struct heard *heard, int64_t elapsed, const char *tres)
{
	int64_t gpus = observe_parse_gpus(tres);
	if (gpus < 0)
		heard->acct_gpus_untold_s = observe_add_capped(heard->acct_gpus_untold_s, elapsed);
	else if (gpus > 0)
		heard->acct_gpu_s = observe_add_capped(
		    heard->acct_gpu_s, elapsed > OBSERVE_ELAPSED_MAX / gpus ? OBSERVE_ELAPSED_MAX : elapsed * gpus);
}

/* a|id|state|exit:signal|submitted|start|end|elapsed|name|nodes|tres: with --duplicates, one for each time that Slurm
 * started or requeued the job. */
static void read_acct_row(struct observe_parser *p, struct record *record)
{
	char *nodes = NULL;
	if (!record_split(record, 9, 9))
		return;
	char **f = record->fields;
	int64_t submitted = record_time(f[4]);
	struct heard *heard = find_heard(p, f[1], submitted, f[8], &nodes);
	char state[24];
	read_state(f[2], state);
	if (heard == NULL)
		return;
	char *tres = strchr(nodes, '|');
	if (tres != NULL)
		*tres++ = '\0';
	int64_t elapsed = record_number(f[7], OBSERVE_ELAPSED_MAX, 0);
	heard->acct_elapsed = observe_add_capped(heard->acct_elapsed, elapsed);
	add_gpus(heard, elapsed, tres != NULL ? tres : "");
	if (strspn(f[1], "0123456789") == strlen(f[1]) && heard->acct_records < INT32_MAX)
		heard->acct_records++;
	if (heard->acct_seen && (submitted < heard->acct_submit ||
				 (submitted == heard->acct_submit && rank(state) < rank(heard->acct_state))))
		return;
	heard->acct_seen = true;
	heard->acct_submit = submitted;
	memcpy(heard->acct_state, state, sizeof state);
	const char *by = strstr(f[2], "CANCELLED by ");
	record_text(by == f[2] ? by + strlen("CANCELLED by ") : "", heard->cancelled_by, sizeof heard->cancelled_by);
	read_exit_code(f[3], &heard->acct_exit, &heard->acct_signal);
	heard->acct_start = record_time(f[5]);
	heard->acct_end = record_time(f[6]);
	read_nodes(nodes, &heard->acct_nodes);
}

/* e|id: the job was preempted, as slurmctld has it. */
static void read_preempted(struct observe_parser *p, struct record *record)
{
	const struct by_id *at = NULL;
	struct heard *heard = NULL;
	if (!record_split(record, 2, 2) || !observe_is_job_id(record->fields[1]))
		return;
	while ((heard = next_heard(p, record->fields[1], &at)) != NULL)
		heard->preempted = true;
}

/* w|id */
static void read_asked(struct observe_parser *p, struct record *record)
{
	const struct by_id *at = NULL;
	struct heard *heard = NULL;
	if (!record_split(record, 2, 2))
		return;
	p->reply.sacct_asked = true;
	if (!observe_is_job_id(record->fields[1]))
		return;
	while ((heard = next_heard(p, record->fields[1], &at)) != NULL)
		heard->asked = true;
}

static void read_message(struct observe_parser *p, struct record *record)
{
	char text[400];
	if (!record_split(record, 3, 3))
		return;
	bool queue = strcmp(record->fields[1], "squeue") == 0;
	p->reply.slurm_failed |= queue;
	p->reply.sacct_failed |= !queue;
	if (!queue && p->reply.slurm_failed)
		return;
	record_text(record->fields[2], text, sizeof text);
	snprintf(p->reply.message, sizeof p->reply.message, "%s: %s", queue ? "squeue" : "sacct", text);
}

static void use_queue(const struct heard *heard, struct observation *o)
{
	enum slurm_class class = slurm_state_class(heard->queue_state);
	memcpy(o->state, heard->queue_state, sizeof o->state);
	o->nodes = mem_strdup(heard->queue_nodes);
	if (class == SLURM_PENDING) {
		o->reason = mem_strdup(heard->queue_reason);
		o->start_estimate = heard->queue_start;
	} else if (class != SLURM_UNKNOWN) { /* then it might be an estimate */
		o->started_at = heard->queue_start;
	}
	/* Of a live job, squeue's end is what its time limit allows. */
	o->ended_at = is_live(heard->queue_state) ? 0 : heard->queue_end;
	/* squeue and a sacct that lags know of the latest start and of the earlier ones; neither is too much. */
	o->elapsed_s =
	    heard->acct_seen && heard->acct_elapsed > heard->queue_elapsed ? heard->acct_elapsed : heard->queue_elapsed;
}

static void use_acct(const struct heard *heard, struct observation *o)
{
	memcpy(o->state, heard->acct_state, sizeof o->state);
	o->nodes = mem_strdup(heard->acct_nodes);
	o->started_at = heard->acct_start;
	o->elapsed_s = heard->acct_elapsed;
	if (!is_live(heard->acct_state)) {
		o->ended_at = heard->acct_end;
		o->exit_code = heard->acct_exit;
		o->signal = heard->acct_signal;
		memcpy(o->cancelled_by, heard->cancelled_by, sizeof o->cancelled_by);
	}
}

/* From what was heard to what it comes to. */
static void conclude(const struct observe_parser *p, struct observe_reply *reply)
{
	for (size_t i = 0; i < p->id_count; i++) {
		const struct heard *heard = &p->heard[p->ids[i].index];
		struct observation *o = &reply->items[p->ids[i].index];
		/* Rows of an squeue that failed afterwards count for nothing. */
		bool queue_seen = heard->queue_seen && !reply->slurm_failed;
		if (!reply->slurm_failed)
			o->squeue = queue_seen ? SIGHT_SEEN : SIGHT_ABSENT;
		if (heard->acct_seen) {
			o->sacct = SIGHT_SEEN;
			o->acct_ended = !is_live(heard->acct_state);
			o->acct_elapsed_s = heard->acct_elapsed;
			o->gpu_s = heard->acct_gpu_s;
			o->gpus_untold_s = heard->acct_gpus_untold_s;
		} else if (heard->asked && !reply->sacct_failed)
			o->sacct = SIGHT_ABSENT;
		bool acct_ended = heard->acct_seen && !is_live(heard->acct_state);
		bool elsewhere = queue_seen && slurm_state_class(heard->queue_state) == SLURM_REVOKED;
		if (queue_seen && (is_live(heard->queue_state) || !acct_ended) && !(elsewhere && acct_ended))
			use_queue(heard, o);
		else if (heard->acct_seen)
			use_acct(heard, o);
		o->preempted = heard->preempted;
		if (heard->acct_records - 1 > o->restarts)
			o->restarts = heard->acct_records - 1;
		/* squeue counts the present run only. */
		if (o->restarts > 0 && o->state[0] != '\0' && o->stamp_elapsed_s > o->elapsed_s)
			o->elapsed_s = o->stamp_elapsed_s;
	}
}

/* n|nodes|free nodes|GPUs|free GPUs */
static void read_counts(struct observe_parser *p, struct record *record)
{
	if (!record_split(record, 5, 5))
		return;
	char **f = record->fields;
	struct node_counts counts = {.nodes = record_number(f[1], NODES_MAX, -1),
				     .free_nodes = record_number(f[2], NODES_MAX, -1),
				     .gpus = record_number(f[3], GPUS_MAX, -1),
				     .free_gpus = record_number(f[4], GPUS_MAX, -1)};
	if (counts.free_nodes >= 0 && counts.free_nodes <= counts.nodes && counts.free_gpus >= 0 &&
	    counts.free_gpus <= counts.gpus)
		p->reply.counts = counts;
}

static void read_record(struct observe_parser *p, struct record *record)
{
	if (record_is(record, "q"))
		read_queue_row(p, record);
	else if (record_is(record, "a"))
		read_acct_row(p, record);
	else if (record_is(record, "w"))
		read_asked(p, record);
	else if (record_is(record, "e"))
		read_preempted(p, record);
	else if (record_is(record, "f"))
		observe_files_take_files(&p->reply, record);
	else if (record_is(record, "j"))
		observe_files_take_job(&p->reply, record);
	else if (record_is(record, "m"))
		read_message(p, record);
	else if (record_is(record, "n"))
		read_counts(p, record);
	else if (record_is(record, "now") && record_split(record, 2, 2))
		p->reply.cluster_now = record_time(record->fields[1]);
}

bool observe_parser_take(struct observe_parser *p, struct record *record)
{
	if (p->ended)
		return false;
	if (record_is(record, "end")) {
		p->ended = true;
	} else if (record_is(record, "error")) {
		p->ended = true;
		record_error(record, &p->err);
	} else if (record_is(record, "p") && !p->queue_done) {
		p->queue_done = true;
		return true;
	} else {
		read_record(p, record);
	}
	return false;
}

void observe_parser_early(const struct observe_parser *p, struct observe_reply *ret_reply)
{
	struct observe_reply reply = p->reply;
	reply.items = new_items(p->count);
	conclude(p, &reply);
	for (size_t i = 0; i < reply.count; i++) {
		struct observation *o = &reply.items[i];
		if (o->squeue == SIGHT_SEEN && is_live(o->state))
			continue;
		o->squeue = SIGHT_UNOBSERVABLE;
		o->state[0] = '\0';
	}
	*ret_reply = reply;
}

int observe_parser_end(struct observe_parser *p, struct observe_reply *ret_reply, struct nel_err *err)
{
	if (!p->ended)
		return records_truncated(err);
	if (p->err.kind != NEL_OK) {
		if (err != NULL)
			*err = p->err;
		return -1;
	}
	conclude(p, &p->reply);
	*ret_reply = p->reply;
	p->reply = (struct observe_reply){0};
	return 0;
}

#include "slurm/samples_fetch.h"

#include "base/cleanup.h"
#include "base/secret.h"
#include "base/str.h"
#include "slurm/records.h"
#include "slurm/remote.h"

#include <string.h>
#define ZLIB_CONST /* input that is not written to */
#include <zlib.h>

#define HEAD_MAX (64 * 1024) /* with what a login shell prints */
#define PIECE_SIZE (64 * 1024)
#define INFLATE_DETECT 32 /* zlib.h: looks for gzip's header */

enum part {
	PART_HEAD,   /* plain text: a login shell's, then ours, up to "gzip" */
	PART_RECORD, /* within gzip: a line that says what follows */
	PART_FILE,
	PART_END,
};

struct fetch {
	enum part part;
	struct str line; /* or the head */
	z_stream gzip;
	bool gzip_open, gzip_ended;
	struct samples_reader *reader;
	size_t file_left; /* bytes of the file that are still to come */
	size_t total;
	size_t short_;
	struct nel_err err; /* the first that went wrong; the rest is passed over */
};

static void fetch_done(struct fetch *fetch)
{
	str_done(&fetch->line);
	samples_reader_free(fetch->reader);
	if (fetch->gzip_open)
		inflateEnd(&fetch->gzip);
}

static void take_record(struct fetch *fetch)
{
	struct records records = {fetch->line.data, fetch->line.data + fetch->line.len};
	struct record record;
	bool ok = records_next(&records, &record);
	if (ok && record_is(&record, "file") && record_split(&record, 3, 3)) {
		int64_t size = record_number(record.fields[1], SAMPLES_BYTES_MAX, -1);
		fetch->file_left = size < 0 ? 0 : (size_t)size;
		samples_reader_begin(fetch->reader, record_is_clean(record.fields[2]) ? record.fields[2] : "");
		fetch->part = fetch->file_left > 0 ? PART_FILE : PART_RECORD;
	} else if (ok && record_is(&record, "over") && record_split(&record, 2, 2)) {
		fetch->short_ = (size_t)record_number(record.fields[1], INT32_MAX, 0);
		fetch->part = PART_END;
	} else {
		err_set(&fetch->err, NEL_REMOTE, "the stream of samples is damaged");
	}
	str_clear(&fetch->line);
}

/* What the cluster packed. */
static void take_plain(struct fetch *fetch, const char *data, size_t size)
{
	while (size > 0 && fetch->err.kind == NEL_OK && fetch->part != PART_END) {
		size_t part = size;
		if (fetch->part == PART_FILE) {
			part = size < fetch->file_left ? size : fetch->file_left;
			samples_reader_feed(fetch->reader, data, part);
			fetch->file_left -= part;
			if (fetch->file_left == 0)
				fetch->part = PART_RECORD;
		} else {
			const char *newline = memchr(data, '\n', size);
			part = newline == NULL ? size : (size_t)(newline + 1 - data);
			if (fetch->line.len + part > RECORD_LINE_MAX)
				err_set(&fetch->err, NEL_REMOTE, "the stream of samples is damaged");
			else
				str_append_n(&fetch->line, data, part);
			if (newline != NULL && fetch->err.kind == NEL_OK)
				take_record(fetch);
		}
		data += part;
		size -= part;
	}
}

static void take_gzip(struct fetch *fetch, const char *data, size_t size)
{
	unsigned char piece[PIECE_SIZE];
	fetch->gzip.next_in = (const Bytef *)data;
	fetch->gzip.avail_in = (uInt)size;
	do {
		fetch->gzip.next_out = piece;
		fetch->gzip.avail_out = sizeof piece;
		int status = inflate(&fetch->gzip, Z_NO_FLUSH);
		size_t got = sizeof piece - fetch->gzip.avail_out;
		fetch->total += got;
		if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
			err_set(&fetch->err, NEL_REMOTE, "the stream of samples is damaged: %s",
				fetch->gzip.msg != NULL ? fetch->gzip.msg : "it is not gzip");
		else if (fetch->total > (size_t)SAMPLES_BYTES_MAX + SAMPLES_FILES_MAX * RECORD_LINE_MAX)
			err_set(&fetch->err, NEL_REMOTE, "the stream of samples is larger than was asked for");
		else
			take_plain(fetch, (const char *)piece, got);
		fetch->gzip_ended = status == Z_STREAM_END;
	} while (fetch->err.kind == NEL_OK && !fetch->gzip_ended && fetch->gzip.avail_out == 0);
}

/* Of the plain text that has come so far: is it all, is it an error? Returns where gzip begins. */
static const char *end_of_head(struct fetch *fetch)
{
	struct records records;
	struct record record;
	struct nel_err none;
	if (records_begin(fetch->line.data, fetch->line.len, &records, &none) != 0 || !records_next(&records, &record))
		return NULL;
	if (record_is(&record, "gzip"))
		return records.at;
	if (record_is(&record, "error"))
		record_error(&record, &fetch->err);
	else
		err_set(&fetch->err, NEL_REMOTE, "the login node answered no stream of samples");
	return NULL;
}

static int take_output(const char *data, size_t size, void *arg)
{
	struct fetch *fetch = arg;
	if (fetch->err.kind != NEL_OK || fetch->gzip_ended || size == 0)
		return 0;
	if (fetch->part != PART_HEAD) {
		take_gzip(fetch, data, size);
		return 0;
	}
	str_append_n(&fetch->line, data, size);
	const char *begin = end_of_head(fetch);
	if (begin != NULL) {
		CLEANUP(str_done) struct str head = fetch->line;
		fetch->line = (struct str){0};
		fetch->part = PART_RECORD;
		if (begin < head.data + head.len)
			take_gzip(fetch, begin, (size_t)(head.data + head.len - begin));
	} else if (fetch->err.kind == NEL_OK && fetch->line.len > HEAD_MAX) {
		err_set(&fetch->err, NEL_REMOTE, "the login node answered no stream of samples");
	}
	return 0;
}

static int run(struct ssh_pool *pool, const struct remote_call *call, struct fetch *fetch, struct nel_err *err)
{
	char command[REMOTE_COMMAND_SIZE];
	char *input = NULL;
	size_t size = 0;
	bool sent = false;
	remote_render(call, ssh_pool_environment(pool), command, &input, &size);
	struct ssh_exec exec = {.command = command,
				.input = input,
				.input_size = size,
				.output_max = call->output_max,
				.timeout_ms = call->timeout_ms,
				.on_output = take_output,
				.arg = fetch};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	int status = ssh_pool_exec(pool, &exec, &result, &sent, err);
	secret_free(input, size);
	return status;
}

int samples_fetch(struct ssh_pool *pool, const char *job_dir, size_t keep_rows, int64_t timeout_ms,
		  struct samples *ret_samples, size_t *ret_short, struct nel_err *err)
{
	CLEANUP(str_done) struct str data = {0};
	CLEANUP(fetch_done) struct fetch fetch = {.reader = samples_reader_new(keep_rows)};
	if (job_dir[0] != '/' || str_has_control(job_dir))
		return err_set(err, NEL_INVALID, "the job's directory must be an absolute path");
	if (inflateInit2(&fetch.gzip, MAX_WBITS + INFLATE_DETECT) != Z_OK)
		return err_set(err, NEL_INTERNAL, "zlib cannot be used");
	fetch.gzip_open = true;
	remote_set(&data, "NEL_JOB_DIR", job_dir);
	remote_set_number(&data, "NEL_FILES_MAX", SAMPLES_FILES_MAX);
	remote_set_number(&data, "NEL_BYTES_MAX", SAMPLES_BYTES_MAX);
	struct remote_call call = {
	    .script = "samples", .data = str_text(&data), .output_max = SAMPLES_BYTES_MAX, .timeout_ms = timeout_ms};
	if (run(pool, &call, &fetch, err) != 0)
		return -1;
	if (fetch.err.kind != NEL_OK) {
		*err = fetch.err;
		return -1;
	}
	if (fetch.part != PART_END || !fetch.gzip_ended)
		return records_truncated(err);
	samples_reader_take(fetch.reader, ret_samples);
	*ret_short = fetch.short_;
	return 0;
}

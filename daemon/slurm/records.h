/* The answers of remote scripts: lines of fields separated by '|', the record's kind first, between "nel|begin|1" and
 * "end". They come from a cluster and are untrusted: everything here is bounded and copes with any bytes. Pure. */
#ifndef NEL_SLURM_RECORDS_H
#define NEL_SLURM_RECORDS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_LINE_MAX 8192 /* what is longer is cut */
#define RECORD_FIELDS_MAX 16

/* Where a reader stands in the text, which it borrows. */
struct records {
	const char *at;
	const char *end;
};

/* One line. fields[0] is its kind. */
struct record {
	char line[RECORD_LINE_MAX];
	char *fields[RECORD_FIELDS_MAX];
	size_t count;
};

/* An answer that is read as it comes; zeroed it is at its beginning. It keeps the line that is not complete yet. */
struct record_stream {
	bool begun; /* "nel|begin|1" has come; what a login shell printed before it is skipped */
	size_t used;
	struct record record;
};

/* Takes in a piece of it: each line that is complete now, as records_next() gives it, goes to take(). */
void record_stream_feed(struct record_stream *stream, const char *data, size_t size,
			void (*take)(struct record *record, void *arg), void *arg);

/* Sets the reader behind "nel|begin|1"; what a login shell printed before it is skipped. REMOTE when it is missing. */
int records_begin(const char *text, size_t size, struct records *ret_records, struct nel_err *err);

/* The next line, whole in fields[0]; false at the end of the text or when only a part of a line is left. */
bool records_next(struct records *records, struct record *ret_record);

/* Splits the line into at most max fields; the last takes the rest. False when there are fewer than min. */
bool record_split(struct record *record, size_t min, size_t max);

/* Is the record's line of that kind: `kind`, or `kind` and a '|'? Of an unsplit record. */
bool record_is(const struct record *record, const char *kind);

/* Takes size raw bytes and the newline behind them; false when there are not as many. */
bool records_take(struct records *records, size_t size, const char **ret_data);

/* An "error|<kind>|<text>" record as an error: fills *err, returns -1. */
int record_error(struct record *record, struct nel_err *err);

/* The answer had no end: it was cut off. Fills *err (REMOTE), returns -1. */
int records_truncated(struct nel_err *err);

/* A decimal number within [0, max]; otherwise the fallback. */
int64_t record_number(const char *text, int64_t max, int64_t fallback);

/* Seconds since the epoch, before the year 5138; 0 for whatever else it is. */
int64_t record_time(const char *text);

/* Copies text into buf of that size as one line of valid UTF-8 (RFC 3629): control characters become spaces, wrong
 * bytes '?', and it is cut between characters. */
void record_text(const char *text, char *buf, size_t size);

/* A copy of data as valid UTF-8 that keeps newlines and tabs; NUL-terminated, free() it. */
char *record_text_block(const char *data, size_t size);

/* Is it valid UTF-8 without control characters? */
bool record_is_clean(const char *text);

#endif

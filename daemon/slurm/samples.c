#include "slurm/samples.h"

#include "base/mem.h"
#include "base/str.h"

#include <math.h>
#include <sodium.h>
#include <string.h>

#define FIRST_ROWS 64

struct samples_reader {
	size_t keep_rows;
	struct samples samples;
	bool open;
	enum sample_format format;
	char *file;
	char *task;
	size_t first_set; /* of the file */
	size_t spoilt_before;
	bool recognised; /* it has had a sample */
	struct str line;
	bool too_long;
	uint32_t line_number;
	int64_t stride; /* of BYOB's ids from repeat to repeat; see end_repeats() */
};

static void set_done(struct sample_set *set)
{
	free(set->file);
	free(set->task);
	free(set->filter);
	free(set->rows);
	for (size_t i = 0; i < set->metric_count; i++) {
		free(set->metrics[i]);
		free(set->values[i]);
	}
}

void samples_done(struct samples *samples)
{
	for (size_t i = 0; i < samples->set_count; i++)
		set_done(&samples->sets[i]);
	free(samples->sets);
	*samples = (struct samples){0};
}

void samples_mask(struct samples *samples, const struct mask *mask)
{
	for (size_t i = 0; i < samples->set_count; i++) {
		struct sample_set *set = &samples->sets[i];
		mask_bytes(mask, set->task, strlen(set->task), false);
		mask_bytes(mask, set->filter, strlen(set->filter), false);
		for (size_t k = 0; k < set->metric_count; k++)
			mask_bytes(mask, set->metrics[k], strlen(set->metrics[k]), false);
	}
}

uint64_t samples_item(const struct sample *sample)
{
	static const unsigned char key[crypto_shorthash_KEYBYTES] = {0};
	unsigned char said[sizeof sample->id + sizeof sample->hash];
	uint64_t item;
	memcpy(said, &sample->id, sizeof sample->id);
	memcpy(said + sizeof sample->id, &sample->hash, sizeof sample->hash);
	crypto_shorthash((unsigned char *)&item, said, sizeof said, key);
	return item;
}

/* "samples_<task>_2026-01-02T03-04-05.678901.jsonl", or without the time. */
static void task_of_name(const char *name, const char **ret_task, size_t *ret_size)
{
	static const char time_form[] = "_dddd-dd-ddT";
	size_t size = strlen(name) - strlen(".jsonl");
	for (size_t at = 0; at + sizeof time_form - 1 <= size; at++) {
		size_t i = 0;
		while (time_form[i] != '\0' && (time_form[i] == 'd' ? name[at + i] >= '0' && name[at + i] <= '9'
								    : name[at + i] == time_form[i]))
			i++;
		if (time_form[i] == '\0')
			size = at;
	}
	*ret_task = name;
	*ret_size = size;
}

bool samples_file(const char *path, enum sample_format *ret_format, const char **ret_task, size_t *ret_task_size)
{
	static const char lm_eval[] = "samples_";
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	if (strlen(path) > SAMPLES_FILE_MAX)
		return false;
	*ret_task = "";
	*ret_task_size = 0;
	if (str_starts_with(name, lm_eval) && str_ends_with(name, ".jsonl") &&
	    strlen(name) > strlen(lm_eval) + strlen(".jsonl")) {
		*ret_format = SAMPLE_LM_EVAL;
		task_of_name(name + strlen(lm_eval), ret_task, ret_task_size);
		return true;
	}
	*ret_format = strcmp(name, "results.jsonl") == 0 ? SAMPLE_N5 : SAMPLE_BYOB;
	return *ret_format == SAMPLE_N5 || strcmp(name, "byob_predictions.jsonl") == 0;
}

struct samples_reader *samples_reader_new(size_t keep_rows)
{
	struct samples_reader *reader = mem_calloc(1, sizeof *reader);
	reader->keep_rows = keep_rows < SAMPLES_KEEP_ROWS_MAX ? keep_rows : SAMPLES_KEEP_ROWS_MAX;
	return reader;
}

void samples_reader_free(struct samples_reader *reader)
{
	if (reader == NULL)
		return;
	samples_done(&reader->samples);
	str_done(&reader->line);
	free(reader->file);
	free(reader->task);
	free(reader);
}

static bool is_text(const char *text, struct sample_span span)
{
	return strlen(text) == span.size && (span.size == 0 || memcmp(text, span.data, span.size) == 0);
}

static struct sample_set *find_set(struct samples_reader *reader, struct sample_span filter)
{
	struct samples *samples = &reader->samples;
	for (size_t i = samples->set_count; i-- > reader->first_set;)
		if (is_text(samples->sets[i].filter, filter))
			return &samples->sets[i];
	if (samples->set_count == SAMPLES_SETS_MAX)
		return NULL;
	samples->sets = mem_realloc(samples->sets, samples->set_count + 1, sizeof *samples->sets);
	struct sample_set *set = &samples->sets[samples->set_count++];
	*set = (struct sample_set){
	    .file = mem_strdup(reader->file),
	    .task = mem_strdup(reader->task),
	    .filter = filter.size == 0 ? mem_strdup("") : mem_dup(filter.data, filter.size),
	};
	return set;
}

static double *find_column(struct sample_set *set, struct sample_span metric)
{
	for (size_t i = 0; i < set->metric_count; i++)
		if (is_text(set->metrics[i], metric))
			return set->values[i];
	if (set->metric_count == SAMPLE_METRICS_MAX)
		return NULL;
	double *column = mem_calloc(set->capacity, sizeof *column);
	for (size_t i = 0; i < set->count; i++)
		column[i] = NAN;
	set->metrics[set->metric_count] = mem_dup(metric.data, metric.size);
	set->values[set->metric_count++] = column;
	return column;
}

static void grow(struct sample_set *set)
{
	if (set->count < set->capacity)
		return;
	set->capacity = set->capacity == 0 ? FIRST_ROWS : 2 * set->capacity;
	set->rows = mem_realloc(set->rows, set->capacity, sizeof *set->rows);
	for (size_t i = 0; i < set->metric_count; i++)
		set->values[i] = mem_realloc(set->values[i], set->capacity, sizeof *set->values[i]);
}

static void add_row(struct samples_reader *reader, const struct sample_line *line)
{
	struct sample_set *set = reader->samples.count < reader->keep_rows ? find_set(reader, line->filter) : NULL;
	if (set == NULL) {
		reader->samples.left_out++;
		return;
	}
	grow(set);
	set->named = set->named || line->named;
	set->rows[set->count] = (struct sample){line->id, line->hash, line->repeat, reader->line_number};
	set->count++;
	reader->samples.count++;
	for (size_t i = 0; i < set->metric_count; i++)
		set->values[i][set->count - 1] = NAN;
	for (size_t i = 0; i < line->metric_count; i++) {
		double *column = find_column(set, line->metrics[i].name);
		if (column != NULL)
			column[set->count - 1] = line->metrics[i].value;
	}
}

static void end_line(struct samples_reader *reader)
{
	struct sample_line line;
	const char *text = str_text(&reader->line);
	bool empty = !reader->too_long && strspn(text, " \t\r") == reader->line.len;
	reader->line_number += reader->line_number < UINT32_MAX;
	if (!empty && (reader->too_long || !sample_line_read(reader->format, text, reader->line.len, &line))) {
		reader->samples.spoilt++;
	} else if (!empty) {
		if (line.repeat > 0 && !line.named && line.id / line.repeat < reader->stride)
			reader->stride = line.id / line.repeat;
		reader->recognised = true;
		add_row(reader, &line);
	}
	str_clear(&reader->line);
	reader->too_long = false;
}

/* BYOB adds the size of the data set to an item's id with each repeat (nemo_evaluator/contrib/byob/runner.py), so that
 * the first id of a repeat is a multiple of it: items get their own ids back. */
static void end_repeats(struct samples_reader *reader)
{
	for (size_t i = reader->first_set; i < reader->samples.set_count; i++) {
		struct sample_set *set = &reader->samples.sets[i];
		for (size_t k = 0; k < set->count && !set->named; k++)
			set->rows[k].id -= (int64_t)set->rows[k].repeat * reader->stride;
	}
}

static void end_file(struct samples_reader *reader)
{
	if (!reader->open)
		return;
	if (reader->line.len > 0 || reader->too_long)
		end_line(reader);
	if (reader->format == SAMPLE_N5 && !reader->recognised) /* another program's results.jsonl */
		reader->samples.spoilt = reader->spoilt_before;
	if (reader->format == SAMPLE_BYOB && reader->stride < INT64_MAX)
		end_repeats(reader);
	free(reader->file);
	free(reader->task);
	reader->file = NULL;
	reader->task = NULL;
	reader->open = false;
}

bool samples_reader_begin(struct samples_reader *reader, const char *path)
{
	const char *task = NULL;
	size_t task_size = 0;
	end_file(reader);
	if (!samples_file(path, &reader->format, &task, &task_size))
		return false;
	reader->open = true;
	reader->recognised = false;
	reader->file = mem_strdup(path);
	reader->task = mem_strndup(task, task_size);
	reader->first_set = reader->samples.set_count;
	reader->spoilt_before = reader->samples.spoilt;
	reader->line_number = 0;
	reader->stride = INT64_MAX;
	return true;
}

void samples_reader_feed(struct samples_reader *reader, const char *data, size_t size)
{
	while (reader->open && size > 0) {
		const char *newline = memchr(data, '\n', size);
		size_t part = newline == NULL ? size : (size_t)(newline - data);
		if (reader->too_long || part > SAMPLES_LINE_MAX - reader->line.len) {
			reader->too_long = true;
			str_clear(&reader->line);
		} else {
			str_append_n(&reader->line, data, part);
		}
		if (newline == NULL)
			return;
		end_line(reader);
		data += part + 1;
		size -= part + 1;
	}
}

void samples_reader_take(struct samples_reader *reader, struct samples *ret_samples)
{
	end_file(reader);
	*ret_samples = reader->samples;
	reader->samples = (struct samples){0};
}

/* What a job's samples came to, read from the files that evaluators write (sample_line.h), line by line as they come
 * from a cluster. No text is kept. PURE. */
#ifndef NEL_SLURM_SAMPLES_H
#define NEL_SLURM_SAMPLES_H

#include "base/cleanup.h"
#include "base/mask.h"
#include "slurm/sample_line.h"

#define SAMPLES_LINE_MAX (16 * 1024 * 1024) /* bytes; a longer line costs itself */
#define SAMPLES_SETS_MAX 2048               /* tasks and filters of a job */
#define SAMPLES_FILE_MAX 512                /* bytes of a file's path */
#define SAMPLES_KEEP_ROWS_DEFAULT 200000
#define SAMPLES_KEEP_ROWS_MAX 1000000

struct sample {
	int64_t id;    /* as the evaluator counts, or the hash of its name */
	uint32_t hash; /* sample_line.h */
	uint32_t repeat;
	uint32_t line; /* of the file, from 1 */
};

/* Those of one file, task and filter, in the file's order. */
struct sample_set {
	char *file;   /* below the artifacts */
	char *task;   /* as the file's name has it; "": the job's own */
	char *filter; /* "": the evaluator has none */
	bool named;   /* ids are hashes of names */
	char *metrics[SAMPLE_METRICS_MAX];
	double *values[SAMPLE_METRICS_MAX]; /* a column a metric, `count` long; NAN: no value */
	size_t metric_count;
	struct sample *rows;
	size_t count, capacity;
};

struct samples {
	struct sample_set *sets;
	size_t set_count;
	size_t count;    /* rows of all sets */
	size_t left_out; /* samples beyond what is kept */
	size_t spoilt;   /* lines that cannot be read: cut, overwritten, too long */
};

void samples_done(struct samples *samples);

/* Takes secrets out of the names; each keeps its length. */
void samples_mask(struct samples *samples, const struct mask *mask);

/* One number for a sample's id and content (struct outcome, stats/outcomes.h). */
uint64_t samples_item(const struct sample *sample);

/* Is that the path of a file of samples? ret_task: the part of its name that is the task's, of ret_task_size bytes. */
bool samples_file(const char *path, enum sample_format *ret_format, const char **ret_task, size_t *ret_task_size);

struct samples_reader;

/* keep_rows: samples that are kept, at most SAMPLES_KEEP_ROWS_MAX. */
struct samples_reader *samples_reader_new(size_t keep_rows);
void samples_reader_free(struct samples_reader *reader); /* accepts NULL */
DEFINE_FREEP(struct samples_reader, samples_reader, samples_reader_free)

/* The next file. False: it is none of samples, and what is fed is passed over. Ends the one before. */
bool samples_reader_begin(struct samples_reader *reader, const char *path);

/* Its bytes, in pieces of any size. */
void samples_reader_feed(struct samples_reader *reader, const char *data, size_t size);

/* Ends the file, and gives all that was read; the reader is as new. */
void samples_reader_take(struct samples_reader *reader, struct samples *ret_samples);

#endif

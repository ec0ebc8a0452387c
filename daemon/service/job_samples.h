/* The samples of one job, as they are stored. HTTP threads. */
#ifndef NEL_SERVICE_JOB_SAMPLES_H
#define NEL_SERVICE_JOB_SAMPLES_H

#include "db/jobs.h"
#include "db/samples.h"
#include "slurm/samples.h"

/* By the first metric of the sample's task. */
enum sample_outcome {
	SAMPLE_RIGHT,   /* 1, or more */
	SAMPLE_WRONG,   /* 0, or less */
	SAMPLE_PARTIAL, /* between */
	SAMPLE_UNSCORED,
};
extern const char *const sample_outcome_names[];

struct job_samples {
	struct samples samples;
	struct samples_row row; /* without its data */
};

/* One of them. */
struct sample_place {
	const struct sample_set *set;
	size_t row;
};

void job_samples_done(struct job_samples *samples);

/* NOTFOUND: nothing is stored of the job's samples. */
int job_samples_load(struct db *db, const struct job_row *job, struct job_samples *ret_samples, struct nel_err *err);

/* The sample with that number, of all sets. False: there are not as many. */
bool job_samples_at(const struct job_samples *samples, size_t number, struct sample_place *ret_place);

enum sample_outcome sample_outcome(const struct sample_place *place);

/* Is that line of the set's file still the sample's record? */
bool sample_is_record(const struct sample_place *place, const char *line, size_t size);

#endif

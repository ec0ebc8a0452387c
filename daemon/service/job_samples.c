#include "service/job_samples.h"

#include "slurm/samples_pack.h"

#include <math.h>

const char *const sample_outcome_names[] = {"right", "wrong", "partial", "unscored", NULL};

void job_samples_done(struct job_samples *samples)
{
	samples_done(&samples->samples);
	samples_row_done(&samples->row);
}

int job_samples_load(struct db *db, const struct job_row *job, struct job_samples *ret_samples, struct nel_err *err)
{
	CLEANUP(job_samples_done) struct job_samples samples = {0};
	if (samples_get(db, job->seq, &samples.row, err) != 0 ||
	    samples_unpack(samples.row.data, samples.row.data_size, &samples.samples, err) != 0)
		return -1;
	free(TAKE(samples.row.data));
	*ret_samples = samples;
	samples = (struct job_samples){0};
	return 0;
}

bool job_samples_at(const struct job_samples *samples, size_t number, struct sample_place *ret_place)
{
	for (size_t i = 0; i < samples->samples.set_count; i++) {
		const struct sample_set *set = &samples->samples.sets[i];
		if (number < set->count) {
			*ret_place = (struct sample_place){set, number};
			return true;
		}
		number -= set->count;
	}
	return false;
}

enum sample_outcome sample_outcome(const struct sample_place *place)
{
	double value = place->set->metric_count > 0 ? place->set->values[0][place->row] : NAN;
	if (isnan(value))
		return SAMPLE_UNSCORED;
	return value >= 1 ? SAMPLE_RIGHT : value <= 0 ? SAMPLE_WRONG : SAMPLE_PARTIAL;
}

bool sample_is_record(const struct sample_place *place, const char *line, size_t size)
{
	const struct sample *row = &place->set->rows[place->row];
	enum sample_format format;
	struct sample_line found;
	const char *task = NULL;
	size_t task_size = 0;
	if (!samples_file(place->set->file, &format, &task, &task_size) ||
	    !sample_line_read(format, line, size, &found) || found.hash != row->hash || found.repeat != row->repeat)
		return false;
	return found.id == row->id || format == SAMPLE_BYOB; /* whose ids go on from repeat to repeat */
}

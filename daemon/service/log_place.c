#include "service/log_place.h"

#include "base/mem.h"
#include "slurm/script.h"
#include "slurm/shared_log.h"

#include <stdlib.h>

char *log_place_chain_dir(const struct job_row *job)
{
	return job->chain.at_once > 0 ? script_shared_dir_of(job->job_dir, job->chain.number) : NULL;
}

void log_place_done(struct log_place *place)
{
	free(place->dir);
	*place = (struct log_place){0};
}

struct log_place log_place_of(const struct job_row *job, const char *name)
{
	if (job->chain.at_once > 0 && shared_log_is_chains(name))
		return (struct log_place){log_place_chain_dir(job), shared_log_file(name)};
	return (struct log_place){mem_strdup(job->job_dir), name};
}

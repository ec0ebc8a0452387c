/* Owns the words in which a waiting job tells its position. */
#include "base/clock.h"
#include "base/mem.h"
#include "sched/scheduler.h"
#include "service/service.h"

#include <inttypes.h>

static char *describe_quota(const char *whose, const struct queue_position *position)
{
	char until[CLOCK_RFC3339_SIZE];
	return mem_printf("%s used %" PRId64 " of %" PRId64
			  " GPU hours this month, with what their jobs in Slurm take; "
			  "until %s",
			  whose, position->has, position->most, clock_rfc3339(position->until_s, until));
}

/* What holds the job, after its position; NULL: nothing but those before it. */
static char *describe_hold(const struct queue_position *position, const struct job_row *job)
{
	switch (position->hold) {
	case ADMISSION_PERSON_IN_SLURM:
		return mem_printf("%s has %" PRId64 " of %" PRId64 " jobs in Slurm", job->user, position->has,
				  position->most);
	case ADMISSION_PERSON_ACTIVE:
		return mem_printf("%s has %" PRId64 " of %" PRId64 " jobs begun and not ended", job->user,
				  position->has, position->most);
	case ADMISSION_CLUSTER_FULL:
		return mem_printf("%s has %" PRId64 " of %" PRId64 " jobs in Slurm", job->cluster, position->has,
				  position->most);
	case ADMISSION_SLURM_LIMIT:
		return mem_printf("Slurm has refused an earlier job of %s for a limit of its own", job->user);
	case ADMISSION_PERSON_QUOTA: {
		CLEANUP(mem_freep) char *whose = mem_printf("%s has", job->user);
		return describe_quota(whose, position);
	}
	case ADMISSION_LABEL_QUOTA: {
		CLEANUP(mem_freep) char *whose = mem_printf("those with the label %s have", position->label);
		return describe_quota(whose, position);
	}
	case ADMISSION_ALL_QUOTA: return describe_quota("all together have", position);
	case ADMISSION_GO: return NULL;
	}
	return NULL;
}

/* The same, a word for programs. */
static const char *hold_name(enum admission_hold hold)
{
	switch (hold) {
	case ADMISSION_PERSON_IN_SLURM: return "submitted_jobs_of_user";
	case ADMISSION_PERSON_ACTIVE: return "active_jobs_of_user";
	case ADMISSION_CLUSTER_FULL: return "submitted_jobs_on_cluster";
	case ADMISSION_SLURM_LIMIT: return "slurm_limit";
	case ADMISSION_PERSON_QUOTA: return "gpu_hours_of_user";
	case ADMISSION_LABEL_QUOTA: return "gpu_hours_of_label";
	case ADMISSION_ALL_QUOTA: return "gpu_hours_of_all";
	case ADMISSION_GO: return NULL;
	}
	return NULL;
}

void service_show_queue_position(struct service *service, struct job_row *job)
{
	struct queue_position position;
	if ((job->state != CHAIN_QUEUED && job->state != CHAIN_RESUMING) ||
	    !scheduler_queue_position(service->scheduler, job->chain.seq, &position))
		return;
	CLEANUP(mem_freep) char *hold = describe_hold(&position, job);
	bool limited = position.hold != ADMISSION_GO && position.hold != ADMISSION_SLURM_LIMIT;
	job->queue.position = position.position;
	job->queue.of = position.queue;
	job->queue.hold = hold_name(position.hold);
	job->queue.limited = limited;
	job->queue.has = position.has;
	job->queue.most = position.most;
	job->queue.until = position.until_s;
	free(job->waiting_on);
	job->waiting_on = mem_printf("place %" PRId64 " of %" PRId64 " in the queue of %s%s%s", position.position,
				     position.queue, job->cluster, hold != NULL ? ": " : "", hold != NULL ? hold : "");
}

int64_t service_queue_version(struct service *service)
{
	return scheduler_queue_version(service->scheduler);
}

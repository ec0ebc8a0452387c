/* Whose job goes to Slurm next: turns that are fair between people, under limits for each person and each cluster.
 * PURE: no I/O, no clock; the same input gives the same order.
 *
 * Each cluster has a queue. In it chains that have begun go before new ones. Among those of one kind the next turn is
 * always that of the person who has least there, in jobs in that cluster's Slurm divided by the person's weight; on a
 * tie, of the one whose oldest job waits longest. A person's own jobs go by age. Those who have reached a limit are
 * passed over; a cluster that is full takes nobody, so that a job that needs two slots is not overtaken for ever. */
#ifndef NEL_CHAIN_ADMISSION_H
#define NEL_CHAIN_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a job does not go now. */
enum admission_hold {
	ADMISSION_GO,              /* it goes */
	ADMISSION_PERSON_IN_SLURM, /* the person has as many jobs in Slurm as permitted, all clusters together */
	ADMISSION_PERSON_ACTIVE,   /* the person has as many begun jobs as permitted */
	ADMISSION_CLUSTER_FULL,    /* the cluster has as many jobs of everybody as permitted */
	ADMISSION_SLURM_LIMIT,     /* Slurm has just refused a job of the person there for a limit of its own */
	ADMISSION_PERSON_QUOTA,    /* the person has used as many GPU hours as permitted */
	ADMISSION_LABEL_QUOTA,     /* those who share a label have */
	ADMISSION_ALL_QUOTA        /* everybody together has */
};

/* GPU seconds that were used, or may be by what is in Slurm and has not begun. A job goes while they are below `most`,
 * so it is passed by what those that went may still use, and no more. */
struct admission_quota {
	bool limited; /* else the rest means nothing */
	int64_t used_s;
	int64_t most_s;
};

struct admission_person {
	int64_t weight;   /* at least 1 */
	int64_t active;   /* jobs begun and not ended, before the decision */
	int64_t in_slurm; /* slots taken in Slurm, all clusters together */
	int64_t active_max;
	int64_t in_slurm_max;
	struct admission_quota quota;
	bool closed; /* for the decision: somebody waits for more room than there is */
};

struct admission_cluster {
	int64_t in_slurm;
	int64_t in_slurm_max; /* -1: no limit */
	bool closed;
};

/* A person on a cluster. */
struct admission_share {
	int64_t in_slurm;
	bool slurm_limit; /* Slurm has refused: nothing more of this person goes there now */
};

struct admission_job {
	int64_t age; /* the smaller, the older; no two are equal */
	size_t person;
	size_t cluster;
	bool begun;    /* the chain had an attempt: it is active already */
	int64_t slots; /* that it takes in Slurm, at least 1. One that needs more than a limit goes when it is alone. */
	int64_t gpu_s; /* that it may use */
	uint64_t labels; /* with a quota that it has: bit i is admission.labels[i] */

	/* Results */
	enum admission_hold hold;
	size_t label;     /* with ADMISSION_LABEL_QUOTA: which */
	int64_t position; /* in its cluster's queue, from 1, whatever the limits */
	int64_t queue;    /* how many wait in that queue */

	/* For the decision */
	int64_t ahead;    /* slots that the person has, or will have, on the cluster when this turn comes */
	int64_t head_age; /* of the oldest of the person's jobs of this kind there */
};

struct admission {
	struct admission_person *people;
	size_t person_count;
	struct admission_cluster *clusters;
	size_t cluster_count;
	struct admission_share *shares; /* person_count for each cluster: [cluster * person_count + person] */
	struct admission_quota all;
	struct admission_quota *labels; /* 64 at most */
	size_t label_count;
	struct admission_job *jobs;
	size_t job_count;
};

/* Sorts jobs into the order of their turns, and sets their results. The counts of people and clusters are those after
 * the jobs that go have gone. */
void admission_decide(struct admission *a);

#endif

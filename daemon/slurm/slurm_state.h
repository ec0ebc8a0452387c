/* Slurm's job states (squeue(1), sacct(1), JOB STATE CODES) and what each means for a chain. */
#ifndef NEL_SLURM_SLURM_STATE_H
#define NEL_SLURM_SLURM_STATE_H

enum slurm_class {
	SLURM_PENDING,
	SLURM_RUNNING,
	SLURM_SUCCEEDED, /* COMPLETED */
	SLURM_RESUMABLE, /* TIMEOUT PREEMPTED NODE_FAIL BOOT_FAIL */
	SLURM_CANCELLED,
	SLURM_FAILED,  /* FAILED OUT_OF_MEMORY DEADLINE */
	SLURM_REVOKED, /* another cluster of the federation has started the job; this one knows no more of it */
	SLURM_UNKNOWN  /* a word not known here: nothing follows from it */
};

/* Of a state as Slurm prints it: "CANCELLED by 1000" and "COMPLETED+" are understood, and "FAILED,REQUEUED", a state
 * with flags: an end counts when no other word says that the job goes on. */
enum slurm_class slurm_state_class(const char *text);

/* The word that counts, "CANCELLED" of "CANCELLED by 1000", into buf (24 bytes); returns buf. "" when there is none. */
const char *slurm_state_word(const char *text, char buf[24]);

#endif

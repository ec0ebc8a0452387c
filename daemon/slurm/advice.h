/* What to try when a chain ended without success: what is known to lie behind the words of Slurm, container runtimes,
 * model servers and evaluators. Pure. */
#ifndef NEL_SLURM_ADVICE_H
#define NEL_SLURM_ADVICE_H

/* A sentence that names what to change, or NULL when nothing is known. reason: the chain's, or NULL; log: the last
 * lines of the log that matters, or NULL. What the log says goes before what the reason says, and of several faults in
 * the log the one that is further up in the table counts. Static. */
const char *advice_for(const char *reason, const char *log);

#endif

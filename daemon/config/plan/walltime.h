/* Slurm's time limits (sbatch(1), --time). */
#ifndef NEL_CONFIG_PLAN_WALLTIME_H
#define NEL_CONFIG_PLAN_WALLTIME_H

#include <stdint.h>

#define WALLTIME_MAX_S (366LL * 86400)
#define WALLTIME_TEXT_SIZE 32

/* "MM", "MM:SS", "HH:MM:SS", "D-HH", "D-HH:MM", "D-HH:MM:SS" to seconds; 0 or -1 (also for zero and beyond the
 * maximum). */
int walltime_parse(const char *text, int64_t *ret_s);

/* seconds as "HH:MM:SS" (hours may pass 24), which sbatch --time takes; returns buf. */
const char *walltime_format(int64_t walltime_s, char buf[WALLTIME_TEXT_SIZE]);

#endif

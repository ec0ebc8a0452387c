/* How well GPUs were used: what run.sub has sampled of them since the servers were ready, added up. PURE. */
#ifndef NEL_CHAIN_GPU_USE_H
#define NEL_CHAIN_GPU_USE_H

#include <stdbool.h>
#include <stdint.h>

#define GPU_USE_SAMPLES_MAX 1000000000LL
#define GPU_USE_GRAIN 6 /* samples, a minute's: more than that are worth a write */

/* Zeroed: nothing is known. */
struct gpu_use {
	int64_t samples;
	int64_t percents;    /* their sum; each is the mean over the GPUs, 0 to 100 */
	int64_t low_samples; /* those below 10 % */
	int64_t still_s;     /* time in which no GPU worked and no server finished a request */
};

/* Could it have been sampled? */
bool gpu_use_is_sound(const struct gpu_use *use);

/* *total has grown by what *now has more than *before, which *now replaces. False: that is nothing. A sum that is less
 * than before, as when its file was lost, is left out. */
bool gpu_use_add(struct gpu_use *total, struct gpu_use *before, const struct gpu_use *now);

/* 0 to 1; -1: unknown. */
double gpu_use_mean(const struct gpu_use *use);
double gpu_use_low_share(const struct gpu_use *use);

#endif

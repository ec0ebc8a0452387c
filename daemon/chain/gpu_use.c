#include "chain/gpu_use.h"

bool gpu_use_is_sound(const struct gpu_use *use)
{
	return use->samples > 0 && use->samples <= GPU_USE_SAMPLES_MAX && use->percents >= 0 &&
	       use->percents <= 100 * use->samples && use->low_samples >= 0 && use->low_samples <= use->samples &&
	       use->still_s >= 0 && use->still_s <= GPU_USE_SAMPLES_MAX;
}

bool gpu_use_add(struct gpu_use *total, struct gpu_use *before, const struct gpu_use *now)
{
	if (now->samples <= before->samples || now->percents < before->percents ||
	    now->low_samples < before->low_samples || now->still_s < before->still_s)
		return false;
	total->samples += now->samples - before->samples;
	total->percents += now->percents - before->percents;
	total->low_samples += now->low_samples - before->low_samples;
	total->still_s += now->still_s - before->still_s;
	*before = *now;
	return true;
}

double gpu_use_mean(const struct gpu_use *use)
{
	return use->samples > 0 ? (double)use->percents / (double)use->samples / 100 : -1;
}

double gpu_use_low_share(const struct gpu_use *use)
{
	return use->samples > 0 ? (double)use->low_samples / (double)use->samples : -1;
}

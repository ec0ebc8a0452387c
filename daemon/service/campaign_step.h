/* The step of a checkpoint, as its name tells it. Pure. */
#ifndef NEL_SERVICE_CAMPAIGN_STEP_H
#define NEL_SERVICE_CAMPAIGN_STEP_H

#include <stdint.h>

/* The number at the end of a value ("/ckpt/step_1200" and "/ckpt/step-1200/": 1200), CAMPAIGN_NO_STEP when there is
 * none or it is too large. */
int64_t campaign_step_of(const char *value);

#endif

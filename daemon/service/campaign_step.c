#include "service/campaign_step.h"

#include "db/campaigns.h"

#include <stdlib.h>
#include <string.h>

#define STEP_DIGITS_MAX 18 /* of an int64_t */

int64_t campaign_step_of(const char *value)
{
	size_t end = strlen(value);
	while (end > 0 && value[end - 1] == '/')
		end--;
	size_t begin = end;
	while (begin > 0 && value[begin - 1] >= '0' && value[begin - 1] <= '9')
		begin--;
	if (begin == end || end - begin > STEP_DIGITS_MAX)
		return CAMPAIGN_NO_STEP;
	return strtoll(value + begin, NULL, 10);
}

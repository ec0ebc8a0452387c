/* The scores of a campaign's values, as curves over their steps. */
#ifndef NEL_API_V1_CURVES_H
#define NEL_API_V1_CURVES_H

#include "base/json_out.h"
#include "db/campaign_scores.h"

void curves_render(struct json_out *out, const struct campaign_point_list *points); /* schema CampaignCurves */
void curves_render_csv(struct str *s, const struct campaign_point_list *points);    /* a heading, then a line a point */

#endif

-- convert: a JSON object, what makes of a campaign's value something that a server loads; null: nothing.
ALTER TABLE campaigns ADD COLUMN convert TEXT;

-- The evaluation, of one job, that converts the value; the value's own evaluation comes once that has succeeded.
ALTER TABLE campaign_values ADD COLUMN conversion TEXT;
DROP INDEX campaign_values_waiting;
CREATE INDEX campaign_values_waiting ON campaign_values (campaign, step, position)
	WHERE evaluation IS NULL AND error IS NULL AND conversion IS NULL;
CREATE INDEX campaign_values_converting ON campaign_values (campaign, step, position)
	WHERE evaluation IS NULL AND error IS NULL AND conversion IS NOT NULL;

-- What ended is compared while a campaign is paused, too.
DROP INDEX campaigns_active;
CREATE INDEX campaigns_open ON campaigns (seq) WHERE state IN ('active', 'paused');

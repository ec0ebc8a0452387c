-- How often sacct was asked after an end that it did not have when the end was stored.
ALTER TABLE usage ADD COLUMN asks INTEGER NOT NULL DEFAULT 0;
CREATE INDEX usage_unsettled ON usage (cluster, ended_at) WHERE source = 'service' AND asks < 5;

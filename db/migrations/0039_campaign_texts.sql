-- What lists of campaigns do not show, apart, so that they need not read past it. sealed_env: the secrets that came along,
-- sealed with the master key, until the campaign ends.
CREATE TABLE campaign_texts (
	campaign INTEGER PRIMARY KEY REFERENCES campaigns (seq) ON DELETE CASCADE,
	config TEXT NOT NULL,
	sealed_env BLOB
) STRICT;
INSERT INTO campaign_texts (campaign, config) SELECT seq, config FROM campaigns;
ALTER TABLE campaigns DROP COLUMN config;
CREATE INDEX campaigns_over ON campaigns (updated_at) WHERE state IN ('ended', 'cancelled');

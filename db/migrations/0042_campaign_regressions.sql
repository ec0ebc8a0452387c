-- baseline: what each value is held against: an evaluation's or a job's id, or model:NAME; null: the value before it.
ALTER TABLE campaigns ADD COLUMN baseline TEXT;

-- Values whose scores were held against those of another evaluation, which is done once.
CREATE TABLE campaign_judgements (
	campaign INTEGER NOT NULL REFERENCES campaigns (seq) ON DELETE CASCADE,
	position INTEGER NOT NULL,
	judged_at INTEGER NOT NULL,
	PRIMARY KEY (campaign, position)
) STRICT, WITHOUT ROWID;

-- Their scores that were significantly worse.
CREATE TABLE campaign_regressions (
	campaign INTEGER NOT NULL,
	position INTEGER NOT NULL,
	task TEXT NOT NULL,
	is_group INTEGER NOT NULL,
	metric TEXT NOT NULL,
	score TEXT NOT NULL,
	PRIMARY KEY (campaign, position, task, is_group, metric, score),
	FOREIGN KEY (campaign, position) REFERENCES campaign_judgements (campaign, position) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

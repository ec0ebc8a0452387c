-- The directory on a cluster whose checkpoints are a campaign's values. looked_at: when it last could be; reason: what keeps
-- it from being looked at, or from having more values.
CREATE TABLE campaign_watches (
	campaign INTEGER PRIMARY KEY REFERENCES campaigns (seq) ON DELETE CASCADE,
	cluster TEXT NOT NULL,
	directory TEXT NOT NULL,
	pattern TEXT NOT NULL,
	ready_file TEXT,
	quiet_s INTEGER NOT NULL,
	looked_at INTEGER,
	reason TEXT
) STRICT;

-- What lies there and is no value (yet). signature: of one that has its marker, which it has had since then.
CREATE TABLE campaign_entries (
	campaign INTEGER NOT NULL REFERENCES campaigns (seq) ON DELETE CASCADE,
	name TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('incomplete', 'settling', 'left_alone')),
	why TEXT NOT NULL,
	signature TEXT,
	since INTEGER,
	PRIMARY KEY (campaign, name)
) STRICT, WITHOUT ROWID;

-- What a start has to look for on a cluster as an account: what the store may lack since a time (null: nothing), and when
-- that was last done.
CREATE TABLE looks (
	cluster TEXT NOT NULL,
	identity TEXT NOT NULL,
	since INTEGER,
	looked_at INTEGER,
	PRIMARY KEY (cluster, identity)
) STRICT, WITHOUT ROWID;

-- What was found there that the store lacked, an evaluation a row.
CREATE TABLE orphans (
	cluster TEXT NOT NULL,
	evaluation TEXT NOT NULL,
	identity TEXT NOT NULL,
	rundir TEXT,
	slurm_job_ids TEXT NOT NULL, -- a JSON array
	live INTEGER NOT NULL,       -- Slurm has a job of it that has not ended
	user TEXT,                   -- null: not known
	since INTEGER NOT NULL,
	found_at INTEGER NOT NULL,
	outcome TEXT NOT NULL CHECK (outcome IN ('adopted', 'gone', 'no_origin', 'other_service', 'unusable')),
	why TEXT,                    -- it was not adopted
	PRIMARY KEY (cluster, evaluation)
) STRICT, WITHOUT ROWID;
CREATE INDEX orphans_outcome ON orphans (cluster, outcome);

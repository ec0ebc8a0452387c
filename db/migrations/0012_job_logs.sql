-- The last bytes of an ended job's logs, to be read when its run directory is gone.
CREATE TABLE job_logs (
	job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
	name TEXT NOT NULL,
	size INTEGER NOT NULL,
	modified_at INTEGER NOT NULL,
	kept_from INTEGER NOT NULL,
	data BLOB NOT NULL,
	PRIMARY KEY (job, name)
) STRICT;

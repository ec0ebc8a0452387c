-- When Slurm means to start a job that waits; null: it has not said.
ALTER TABLE attempts ADD COLUMN start_estimate INTEGER;

-- Of chains that ended without success: the last lines of the log that matters and what to try.
CREATE TABLE failures (
	job INTEGER PRIMARY KEY REFERENCES jobs (seq) ON DELETE CASCADE,
	log TEXT,
	lines TEXT,
	advice TEXT
) STRICT;

-- May jobs of the evaluation be answered with the scores of equal jobs?
ALTER TABLE evaluations ADD COLUMN reuse INTEGER NOT NULL DEFAULT 0;
ALTER TABLE campaigns ADD COLUMN reuse INTEGER NOT NULL DEFAULT 0;

-- The job whose scores stand for the job's own; it may have been pruned.
ALTER TABLE jobs ADD COLUMN reused_from TEXT;

-- What a job's checkpoints (a JSON array of paths on its cluster) were made of when its first attempt was given to Slurm; '':
-- a later attempt found them changed. settled: were they the same when the job had ended; null: it has not.
CREATE TABLE fingerprints (
	job INTEGER PRIMARY KEY REFERENCES jobs (seq) ON DELETE CASCADE,
	checkpoints TEXT NOT NULL,
	fingerprint TEXT NOT NULL,
	settled INTEGER
) STRICT;

-- How many requests a job has to finish, where its evaluator says so, and two points of its counter from which its rate is
-- worked out (chain/progress.h); epochs, 0: none.
ALTER TABLE jobs ADD COLUMN progress_total INTEGER;
ALTER TABLE jobs ADD COLUMN rate_from_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN rate_from_requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN rate_next_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN rate_next_requests INTEGER NOT NULL DEFAULT 0;

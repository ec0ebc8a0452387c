-- Of a job on a shared deployment: where its counter stood when the attempt was sent, below which there is no rate.
ALTER TABLE jobs ADD COLUMN progress_before INTEGER NOT NULL DEFAULT 0;

-- 1: the log is that of the shared chain, and kept once for all of its jobs.
ALTER TABLE job_logs ADD COLUMN of_chain INTEGER NOT NULL DEFAULT 0;
CREATE INDEX job_logs_of_chain ON job_logs (job, name) WHERE of_chain = 1;

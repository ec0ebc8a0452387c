-- What runs that succeeded used is looked up by their task and model, and the ledger by job.
CREATE INDEX jobs_succeeded ON jobs (task, model, seq) WHERE state = 'succeeded';
CREATE INDEX usage_job ON usage (job, gpu_s, run_s);

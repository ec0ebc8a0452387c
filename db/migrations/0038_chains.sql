-- A chain carries one job, or several that share a deployment: what is of the series of Slurm jobs is the chain's (rules,
-- budget, attempts), what is of one task stays the job's. number: its id is EVALUATION.cNUMBER; that of a chain of one job
-- is the job's idx, those of shared ones count from 1, as their directories shared.NUMBER do.
CREATE TABLE chains (
	seq INTEGER PRIMARY KEY,
	evaluation INTEGER NOT NULL REFERENCES evaluations (seq) ON DELETE CASCADE,
	number INTEGER NOT NULL,
	at_once INTEGER NOT NULL DEFAULT 0, -- so many of its jobs are evaluated at once on the deployment that they share; 0: one job
	walltime_s INTEGER NOT NULL,
	max_attempts INTEGER NOT NULL DEFAULT 0,
	resume_mode TEXT NOT NULL,
	resume_on TEXT NOT NULL,
	budget_limit_s INTEGER,
	budget_used_s INTEGER NOT NULL DEFAULT 0,
	budget_from_attempt INTEGER NOT NULL DEFAULT 1,
	attempt INTEGER NOT NULL DEFAULT 0,
	slurm_job_id TEXT,
	failures INTEGER NOT NULL DEFAULT 0,
	not_before INTEGER NOT NULL DEFAULT 0,
	UNIQUE (evaluation, number)
) STRICT;
INSERT INTO chains SELECT seq, evaluation_seq, idx, 0, walltime_s, max_attempts, resume_mode, resume_on, budget_limit_s,
	budget_used_s, budget_from_attempt, attempt, slurm_job_id, failures, not_before FROM jobs ORDER BY seq;
ALTER TABLE jobs ADD COLUMN chain INTEGER REFERENCES chains (seq);
UPDATE jobs SET chain = seq;
CREATE INDEX jobs_chain ON jobs (chain);
ALTER TABLE jobs ADD COLUMN from_attempt INTEGER NOT NULL DEFAULT 0; -- that a person resumed it for: earlier ends are not its end

CREATE TABLE attempts_of_chains (
	chain INTEGER NOT NULL REFERENCES chains (seq) ON DELETE CASCADE,
	number INTEGER NOT NULL,
	jobs TEXT NOT NULL, -- the ids of those that are evaluated in it: a JSON array, as it is shown
	job_name TEXT NOT NULL UNIQUE,
	script_header TEXT NOT NULL,
	script_body TEXT NOT NULL REFERENCES script_bodies (hash),
	time_limit_s INTEGER NOT NULL,
	after_job TEXT,
	exclude_node TEXT,
	intended_at INTEGER NOT NULL,
	gpus INTEGER NOT NULL DEFAULT 0,
	progress_before INTEGER NOT NULL DEFAULT 0,
	slurm_job_id TEXT,
	slurm_state TEXT,
	submitted_at INTEGER,
	started_at INTEGER,
	ended_at INTEGER,
	elapsed_s INTEGER,
	exit_code INTEGER,
	signal INTEGER,
	nodes TEXT,
	pending_reason TEXT,
	start_estimate INTEGER,
	absent_since INTEGER,
	gpu_samples INTEGER NOT NULL DEFAULT 0,
	gpu_percents INTEGER NOT NULL DEFAULT 0,
	gpu_low_samples INTEGER NOT NULL DEFAULT 0,
	gpu_still_s INTEGER NOT NULL DEFAULT 0,
	idle INTEGER NOT NULL DEFAULT 0,
	idle_before INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (chain, number)
) STRICT;
INSERT INTO attempts_of_chains SELECT j.chain, a.number, json_array(j.id), a.job_name, a.script_header, a.script_body,
	a.time_limit_s, a.after_job, a.exclude_node, a.intended_at, a.gpus, a.progress_before, a.slurm_job_id, a.slurm_state,
	a.submitted_at, a.started_at, a.ended_at, a.elapsed_s, a.exit_code, a.signal, a.nodes, a.pending_reason,
	a.start_estimate, a.absent_since, a.gpu_samples, a.gpu_percents, a.gpu_low_samples, a.gpu_still_s, a.idle, a.idle_before
	FROM attempts a JOIN jobs j ON j.seq = a.job ORDER BY j.seq, a.number;
DROP TABLE attempts;
ALTER TABLE attempts_of_chains RENAME TO attempts;

ALTER TABLE jobs DROP COLUMN walltime_s;
ALTER TABLE jobs DROP COLUMN max_attempts;
ALTER TABLE jobs DROP COLUMN resume_mode;
ALTER TABLE jobs DROP COLUMN resume_on;
ALTER TABLE jobs DROP COLUMN budget_limit_s;
ALTER TABLE jobs DROP COLUMN budget_used_s;
ALTER TABLE jobs DROP COLUMN budget_from_attempt;
ALTER TABLE jobs DROP COLUMN attempt;
ALTER TABLE jobs DROP COLUMN slurm_job_id;
ALTER TABLE jobs DROP COLUMN failures;
ALTER TABLE jobs DROP COLUMN not_before;

-- The text of an evaluation that has ended says what its chains used.
CREATE TRIGGER replies_chain_insert AFTER INSERT ON chains BEGIN
	UPDATE replies SET format = 0, text = '' WHERE evaluation = NEW.evaluation AND format <> 0;
END;
CREATE TRIGGER replies_chain_update AFTER UPDATE ON chains BEGIN
	UPDATE replies SET format = 0, text = '' WHERE evaluation = NEW.evaluation AND format <> 0;
END;
CREATE TRIGGER replies_chain_delete AFTER DELETE ON chains BEGIN
	UPDATE replies SET format = 0, text = '' WHERE evaluation = OLD.evaluation AND format <> 0;
END;

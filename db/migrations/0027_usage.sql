-- The ledger: what each attempt that has ended used, kept when what it was of is pruned. A row for each job that was
-- evaluated in it: where several shared it, the parts add up to what it used once. Times are UTC; run_s is all restarts
-- together. waste is told apart: what is in lost_gpu_s is in neither of the others.
CREATE TABLE usage (
	attempt TEXT NOT NULL,    -- its unique name in Slurm
	job TEXT NOT NULL,
	evaluation TEXT NOT NULL,
	user TEXT NOT NULL,
	cluster TEXT NOT NULL,
	model TEXT NOT NULL,
	task TEXT NOT NULL,
	slurm_job_id TEXT,
	slurm_state TEXT,
	ended_at INTEGER NOT NULL,
	run_s INTEGER NOT NULL,
	queue_s INTEGER NOT NULL,
	gpu_s INTEGER NOT NULL,
	start_up_gpu_s INTEGER NOT NULL,
	idle_gpu_s INTEGER NOT NULL,
	lost_gpu_s INTEGER NOT NULL,
	source TEXT NOT NULL CHECK (source IN ('sacct', 'service')), -- service: squeue, or the script's own stamps
	PRIMARY KEY (attempt, job)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_ended ON usage (ended_at);
CREATE INDEX usage_user ON usage (user, ended_at);
CREATE INDEX usage_evaluation ON usage (evaluation);

CREATE TABLE usage_labels (
	evaluation TEXT NOT NULL,
	key TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (evaluation, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_labels_value ON usage_labels (key, value, evaluation);

-- What the store knows of attempts from before: GPUs are those that were asked for.
INSERT INTO usage
SELECT job_name, id, evaluation, user, cluster, model, task, slurm_job_id, slurm_state, ended_at, run_s,
	CASE WHEN started_at > submitted_at THEN started_at - submitted_at ELSE 0 END, run_s * gpus, 0, 0,
	CASE WHEN coalesce(slurm_state, '') <> 'COMPLETED' AND progress_after <= progress_before THEN run_s * gpus ELSE 0 END,
	'service'
FROM (SELECT a.job_name, j.id, j.evaluation, j.user, j.cluster, j.model, j.task, a.slurm_job_id, a.slurm_state,
		a.submitted_at, a.started_at, a.ended_at, coalesce(a.elapsed_s, 0) AS run_s, a.gpus, a.progress_before,
		coalesce((SELECT n.progress_before FROM attempts n WHERE n.job = a.job AND n.number = a.number + 1),
			j.progress, 0) AS progress_after
	FROM attempts a JOIN jobs j ON j.seq = a.job
	WHERE a.ended_at IS NOT NULL AND a.slurm_job_id IS NOT NULL);
INSERT INTO usage_labels (evaluation, key, value)
	SELECT e.id, l.key, l.value FROM labels l JOIN evaluations e ON e.seq = l.evaluation
	WHERE e.id IN (SELECT evaluation FROM usage);

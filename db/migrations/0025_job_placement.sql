-- Where a job runs, as it was submitted, for lists of jobs: partition, account, and the GPUs of all nodes together (null:
-- not known).
ALTER TABLE jobs ADD COLUMN partition TEXT;
ALTER TABLE jobs ADD COLUMN account TEXT;
ALTER TABLE jobs ADD COLUMN gpus INTEGER;
UPDATE jobs SET
	partition = (SELECT json_extract(t.resolved, '$.execution.partition') FROM evaluation_texts t
		WHERE t.evaluation = jobs.evaluation_seq AND json_valid(t.resolved)
		AND json_type(t.resolved, '$.execution.partition') = 'text'),
	account = (SELECT json_extract(t.resolved, '$.execution.account') FROM evaluation_texts t
		WHERE t.evaluation = jobs.evaluation_seq AND json_valid(t.resolved)
		AND json_type(t.resolved, '$.execution.account') = 'text'),
	gpus = (SELECT a.gpus FROM attempts a WHERE a.job = jobs.seq AND a.number = jobs.attempt);

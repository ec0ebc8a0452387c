-- The same for jobs as 0041 for evaluations: a text a job, with its own task alone. Its rowid is jobs.seq.
CREATE VIRTUAL TABLE job_search USING fts5 (text, tokenize = 'trigram', columnsize = 0);
INSERT INTO job_search (rowid, text) SELECT j.seq,
	j.id || char(10) || j.model || char(10) || j.user || char(10) || j.cluster || char(10) || j.task
	|| coalesce((SELECT char(10) || group_concat(l.key || ':' || l.value, char(10)) FROM labels l WHERE l.evaluation = j.evaluation_seq), '')
	FROM jobs j;

-- For the list of those that changed last.
CREATE INDEX jobs_updated ON jobs (updated_at);

-- What a job's scores are of and how they came to be (config/likeness.h), each once: a JSON object of named parts.
CREATE TABLE likenesses (
	seq INTEGER PRIMARY KEY,
	hash TEXT NOT NULL UNIQUE,
	parts TEXT NOT NULL
) STRICT;

CREATE TABLE job_likenesses (
	job INTEGER PRIMARY KEY REFERENCES jobs (seq) ON DELETE CASCADE,
	subject INTEGER NOT NULL REFERENCES likenesses (seq),
	protocol INTEGER NOT NULL REFERENCES likenesses (seq)
) STRICT;
CREATE INDEX job_likenesses_subject ON job_likenesses (subject);
CREATE INDEX job_likenesses_protocol ON job_likenesses (protocol);
CREATE TRIGGER job_likenesses_gone AFTER DELETE ON job_likenesses BEGIN
	DELETE FROM likenesses WHERE seq IN (OLD.subject, OLD.protocol)
		AND NOT EXISTS (SELECT 1 FROM job_likenesses WHERE subject = likenesses.seq)
		AND NOT EXISTS (SELECT 1 FROM job_likenesses WHERE protocol = likenesses.seq);
END;

-- Evaluations from before: the daemon works these out from their resolved configs, a few at a time.
CREATE TABLE likeness_backlog (
	evaluation INTEGER PRIMARY KEY REFERENCES evaluations (seq) ON DELETE CASCADE
) STRICT;
INSERT INTO likeness_backlog SELECT seq FROM evaluations;

-- The newest scores are those of each likeness; 0: not known (yet).
ALTER TABLE results ADD COLUMN subject INTEGER NOT NULL DEFAULT 0;
ALTER TABLE results ADD COLUMN protocol INTEGER NOT NULL DEFAULT 0;
DROP INDEX results_newest;
CREATE INDEX results_newest ON results (model, subject, task, is_group, metric, protocol, job);

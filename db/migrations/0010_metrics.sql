-- How many jobs there are, kept up by the store itself, so that nobody has to count them.
CREATE TABLE job_counts (
	cluster TEXT NOT NULL,
	state TEXT NOT NULL,
	count INTEGER NOT NULL,
	PRIMARY KEY (cluster, state)
) STRICT, WITHOUT ROWID;
INSERT INTO job_counts (cluster, state, count) SELECT cluster, state, count(*) FROM jobs GROUP BY cluster, state;
CREATE TRIGGER job_counts_insert AFTER INSERT ON jobs BEGIN
	INSERT INTO job_counts (cluster, state, count) VALUES (NEW.cluster, NEW.state, 1)
		ON CONFLICT (cluster, state) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER job_counts_update AFTER UPDATE OF state, cluster ON jobs
	WHEN OLD.state <> NEW.state OR OLD.cluster <> NEW.cluster BEGIN
	UPDATE job_counts SET count = count - 1 WHERE cluster = OLD.cluster AND state = OLD.state;
	INSERT INTO job_counts (cluster, state, count) VALUES (NEW.cluster, NEW.state, 1)
		ON CONFLICT (cluster, state) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER job_counts_delete AFTER DELETE ON jobs BEGIN
	UPDATE job_counts SET count = count - 1 WHERE cluster = OLD.cluster AND state = OLD.state;
END;

-- Sums that only grow, also when what they were counted from is pruned.
CREATE TABLE totals (
	name TEXT NOT NULL,
	cluster TEXT NOT NULL,
	label TEXT NOT NULL,
	value INTEGER NOT NULL,
	PRIMARY KEY (name, cluster, label)
) STRICT, WITHOUT ROWID;

-- Of all nodes together; and the job's progress counter when the attempt was intended.
ALTER TABLE attempts ADD COLUMN gpus INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN progress_before INTEGER NOT NULL DEFAULT 0;

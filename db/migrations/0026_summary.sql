-- How many evaluations and jobs there are by day (of UTC, from 1970-01-01 on), cluster, person and state, kept up by the
-- store itself, so that nobody has to count them. time: the day is that of created_at, or of ended_at (those that have).
CREATE TABLE day_counts (
	time TEXT NOT NULL CHECK (time IN ('created', 'ended')),
	day INTEGER NOT NULL,
	cluster TEXT NOT NULL,
	user TEXT NOT NULL,
	state TEXT NOT NULL,
	evaluations INTEGER NOT NULL DEFAULT 0,
	jobs INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (time, day, cluster, user, state)
) STRICT, WITHOUT ROWID;
INSERT INTO day_counts (time, day, cluster, user, state, evaluations, jobs)
	SELECT time, at / 86400, cluster, user, state, sum(evaluations), sum(jobs) FROM (
		SELECT 'created' AS time, created_at AS at, cluster, user, state, 1 AS evaluations, 0 AS jobs FROM evaluations
		UNION ALL SELECT 'ended', ended_at, cluster, user, state, 1, 0 FROM evaluations WHERE ended_at IS NOT NULL
		UNION ALL SELECT 'created', created_at, cluster, user, state, 0, 1 FROM jobs
		UNION ALL SELECT 'ended', ended_at, cluster, user, state, 0, 1 FROM jobs WHERE ended_at IS NOT NULL
	) GROUP BY 1, 2, 3, 4, 5;

CREATE TRIGGER day_counts_evaluations_insert AFTER INSERT ON evaluations BEGIN
	INSERT INTO day_counts (time, day, cluster, user, state, evaluations)
		SELECT 'created', NEW.created_at / 86400, NEW.cluster, NEW.user, NEW.state, 1 WHERE true
		ON CONFLICT (time, day, cluster, user, state) DO UPDATE SET evaluations = evaluations + 1;
	INSERT INTO day_counts (time, day, cluster, user, state, evaluations)
		SELECT 'ended', NEW.ended_at / 86400, NEW.cluster, NEW.user, NEW.state, 1 WHERE NEW.ended_at IS NOT NULL
		ON CONFLICT (time, day, cluster, user, state) DO UPDATE SET evaluations = evaluations + 1;
END;
CREATE TRIGGER day_counts_evaluations_update AFTER UPDATE OF state, ended_at, created_at, cluster, user ON evaluations
	WHEN OLD.state <> NEW.state OR OLD.ended_at IS NOT NEW.ended_at OR OLD.created_at <> NEW.created_at
	OR OLD.cluster <> NEW.cluster OR OLD.user <> NEW.user BEGIN
	UPDATE day_counts SET evaluations = evaluations - 1
		WHERE time = 'created' AND day = OLD.created_at / 86400 AND cluster = OLD.cluster AND user = OLD.user AND state = OLD.state;
	INSERT INTO day_counts (time, day, cluster, user, state, evaluations)
		SELECT 'created', NEW.created_at / 86400, NEW.cluster, NEW.user, NEW.state, 1 WHERE true
		ON CONFLICT (time, day, cluster, user, state) DO UPDATE SET evaluations = evaluations + 1;
	DELETE FROM day_counts WHERE time = 'created' AND day = OLD.created_at / 86400 AND cluster = OLD.cluster
		AND user = OLD.user AND state = OLD.state AND evaluations = 0 AND jobs = 0;
	UPDATE day_counts SET evaluations = evaluations - 1
		WHERE time = 'ended' AND day = OLD.ended_at / 86400 AND cluster = OLD.cluster AND user = OLD.user AND state = OLD.state;
	INSERT INTO day_counts (time, day, cluster, user, state, evaluations)
		SELECT 'ended', NEW.ended_at / 86400, NEW.cluster, NEW.user, NEW.state, 1 WHERE NEW.ended_at IS NOT NULL
		ON CONFLICT (time, day, cluster, user, state) DO UPDATE SET evaluations = evaluations + 1;
	DELETE FROM day_counts WHERE time = 'ended' AND day = OLD.ended_at / 86400 AND cluster = OLD.cluster
		AND user = OLD.user AND state = OLD.state AND evaluations = 0 AND jobs = 0;
END;
CREATE TRIGGER day_counts_evaluations_delete AFTER DELETE ON evaluations BEGIN
	UPDATE day_counts SET evaluations = evaluations - 1
		WHERE time = 'created' AND day = OLD.created_at / 86400 AND cluster = OLD.cluster AND user = OLD.user AND state = OLD.state;
	DELETE FROM day_counts WHERE time = 'created' AND day = OLD.created_at / 86400 AND cluster = OLD.cluster
		AND user = OLD.user AND state = OLD.state AND evaluations = 0 AND jobs = 0;
	UPDATE day_counts SET evaluations = evaluations - 1
		WHERE time = 'ended' AND day = OLD.ended_at / 86400 AND cluster = OLD.cluster AND user = OLD.user AND state = OLD.state;
	DELETE FROM day_counts WHERE time = 'ended' AND day = OLD.ended_at / 86400 AND cluster = OLD.cluster
		AND user = OLD.user AND state = OLD.state AND evaluations = 0 AND jobs = 0;
END;
CREATE TRIGGER day_counts_jobs_insert AFTER INSERT ON jobs BEGIN
	INSERT INTO day_counts (time, day, cluster, user, state, jobs)
		SELECT 'created', NEW.created_at / 86400, NEW.cluster, NEW.user, NEW.state, 1 WHERE true
		ON CONFLICT (time, day, cluster, user, state) DO UPDATE SET jobs = jobs + 1;
	INSERT INTO day_counts (time, day, cluster, user, state, jobs)
		SELECT 'ended', NEW.ended_at / 86400, NEW.cluster, NEW.user, NEW.state, 1 WHERE NEW.ended_at IS NOT NULL
		ON CONFLICT (time, day, cluster, user, state) DO UPDATE SET jobs = jobs + 1;
END;
CREATE TRIGGER day_counts_jobs_update AFTER UPDATE OF state, ended_at, created_at, cluster, user ON jobs
	WHEN OLD.state <> NEW.state OR OLD.ended_at IS NOT NEW.ended_at OR OLD.created_at <> NEW.created_at
	OR OLD.cluster <> NEW.cluster OR OLD.user <> NEW.user BEGIN
	UPDATE day_counts SET jobs = jobs - 1
		WHERE time = 'created' AND day = OLD.created_at / 86400 AND cluster = OLD.cluster AND user = OLD.user AND state = OLD.state;
	INSERT INTO day_counts (time, day, cluster, user, state, jobs)
		SELECT 'created', NEW.created_at / 86400, NEW.cluster, NEW.user, NEW.state, 1 WHERE true
		ON CONFLICT (time, day, cluster, user, state) DO UPDATE SET jobs = jobs + 1;
	DELETE FROM day_counts WHERE time = 'created' AND day = OLD.created_at / 86400 AND cluster = OLD.cluster
		AND user = OLD.user AND state = OLD.state AND evaluations = 0 AND jobs = 0;
	UPDATE day_counts SET jobs = jobs - 1
		WHERE time = 'ended' AND day = OLD.ended_at / 86400 AND cluster = OLD.cluster AND user = OLD.user AND state = OLD.state;
	INSERT INTO day_counts (time, day, cluster, user, state, jobs)
		SELECT 'ended', NEW.ended_at / 86400, NEW.cluster, NEW.user, NEW.state, 1 WHERE NEW.ended_at IS NOT NULL
		ON CONFLICT (time, day, cluster, user, state) DO UPDATE SET jobs = jobs + 1;
	DELETE FROM day_counts WHERE time = 'ended' AND day = OLD.ended_at / 86400 AND cluster = OLD.cluster
		AND user = OLD.user AND state = OLD.state AND evaluations = 0 AND jobs = 0;
END;
CREATE TRIGGER day_counts_jobs_delete AFTER DELETE ON jobs BEGIN
	UPDATE day_counts SET jobs = jobs - 1
		WHERE time = 'created' AND day = OLD.created_at / 86400 AND cluster = OLD.cluster AND user = OLD.user AND state = OLD.state;
	DELETE FROM day_counts WHERE time = 'created' AND day = OLD.created_at / 86400 AND cluster = OLD.cluster
		AND user = OLD.user AND state = OLD.state AND evaluations = 0 AND jobs = 0;
	UPDATE day_counts SET jobs = jobs - 1
		WHERE time = 'ended' AND day = OLD.ended_at / 86400 AND cluster = OLD.cluster AND user = OLD.user AND state = OLD.state;
	DELETE FROM day_counts WHERE time = 'ended' AND day = OLD.ended_at / 86400 AND cluster = OLD.cluster
		AND user = OLD.user AND state = OLD.state AND evaluations = 0 AND jobs = 0;
END;

-- Those that ended without success, by when: why they did is counted when it is asked.
CREATE INDEX jobs_failed ON jobs (ended_at, seq) WHERE state IN ('failed', 'budget_exhausted');

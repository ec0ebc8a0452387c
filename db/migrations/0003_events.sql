-- An event may be about a cluster, which belongs to no evaluation and to nobody. The numbers go on.
CREATE TABLE events_with_clusters (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	at INTEGER NOT NULL,
	kind TEXT NOT NULL,
	user TEXT,
	evaluation TEXT,
	job TEXT,
	data TEXT NOT NULL
) STRICT;
INSERT INTO events_with_clusters (seq, at, kind, user, evaluation, job, data)
	SELECT seq, at, CASE kind WHEN 'evaluation.created' THEN 'evaluation.submitted' ELSE kind END, user, evaluation, job,
	data FROM events ORDER BY seq;
DROP TABLE events;
ALTER TABLE events_with_clusters RENAME TO events;
CREATE INDEX events_evaluation ON events (evaluation, seq) WHERE evaluation IS NOT NULL;
-- The few that are about clusters.
CREATE INDEX events_cluster ON events (seq) WHERE evaluation IS NULL;

-- When the active jobs of an identity on a cluster were observed last: one row, where each of them had to be written. A
-- job that names a row was observed whenever that was; another one has its own observed_at.
CREATE TABLE observations (
	id INTEGER PRIMARY KEY,
	cluster TEXT NOT NULL,
	identity TEXT NOT NULL,
	at INTEGER NOT NULL,
	UNIQUE (cluster, identity)
) STRICT;
ALTER TABLE jobs ADD COLUMN observation INTEGER;

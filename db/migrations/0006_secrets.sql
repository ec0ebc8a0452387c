-- Secrets of a person, and of the team (owner ''), sealed with the master key under the label 'secret:<owner>:<name>'.
CREATE TABLE secrets (
	id INTEGER PRIMARY KEY,
	owner TEXT NOT NULL,
	name TEXT NOT NULL,
	sealed BLOB NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	UNIQUE (owner, name)
) STRICT;

-- Something sealed with the master key, which tells whether a key is the one.
CREATE TABLE key_check (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	sealed BLOB NOT NULL
) STRICT;

-- Who did what: requests that write, and commands on clusters. Rows are only ever added, and, past the setting, removed;
-- count and last_at grow where the same is done again and again within an hour.
CREATE TABLE audit (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	at INTEGER NOT NULL,
	last_at INTEGER NOT NULL,
	count INTEGER NOT NULL DEFAULT 1,
	actor TEXT NOT NULL,
	role TEXT,
	source TEXT NOT NULL,
	request TEXT,
	action TEXT NOT NULL,
	target TEXT,
	cluster TEXT,
	outcome TEXT NOT NULL CHECK (outcome IN ('ok', 'refused', 'failed')),
	status INTEGER,
	detail TEXT
) STRICT;
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_actor ON audit (actor, at);
CREATE INDEX audit_action ON audit (action, at);
CREATE INDEX audit_target ON audit (target, at);

-- A token may have a narrower role than its user (null: the user's), and a word on what it is for. Its id is never given
-- to another one.
CREATE TABLE new_tokens (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
	hash TEXT NOT NULL UNIQUE,
	role TEXT CHECK (role IN ('admin', 'user', 'viewer')),
	label TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER,
	last_used_at INTEGER,
	revoked_at INTEGER
) STRICT;
INSERT INTO new_tokens SELECT id, user, hash, NULL, '', created_at, expires_at, last_used_at, revoked_at FROM tokens;
DROP TABLE tokens;
ALTER TABLE new_tokens RENAME TO tokens;
CREATE INDEX tokens_user ON tokens (user, id);

-- Which request made what, of any kind: request_hash says of which kind, made is the id or name.
ALTER TABLE idempotency RENAME COLUMN evaluation TO made;

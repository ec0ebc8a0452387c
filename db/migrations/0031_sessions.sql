-- Tokens behind the page's cookie: counted apart from those that people make, so that neither takes the other's place.
ALTER TABLE tokens ADD COLUMN session INTEGER NOT NULL DEFAULT 0 CHECK (session IN (0, 1));
UPDATE tokens SET session = 1 WHERE label = 'the page' AND expires_at <= created_at + 43200;
CREATE INDEX tokens_session ON tokens (user, id) WHERE session = 1;

-- Codes that sign in to the page, once and soon; only their hashes. ends_at: when what each was made from ends; NULL: never.
CREATE TABLE sign_in_codes (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	hash TEXT NOT NULL UNIQUE,
	user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
	role TEXT NOT NULL CHECK (role IN ('admin', 'user', 'viewer')),
	parent INTEGER REFERENCES tokens (id) ON DELETE CASCADE,
	ends_at INTEGER,
	expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_in_codes_user ON sign_in_codes (user, id);
CREATE INDEX sign_in_codes_parent ON sign_in_codes (parent) WHERE parent IS NOT NULL;

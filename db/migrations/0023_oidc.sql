-- People of an issuer: which subject of it a user is, and of what time the role is (tokens that were issued before cannot
-- raise it). A suspended user is let in by no way. Who was removed is not made again by a token.
ALTER TABLE users ADD COLUMN suspended_at INTEGER;
ALTER TABLE users ADD COLUMN oidc_issuer TEXT;
ALTER TABLE users ADD COLUMN oidc_subject TEXT;
ALTER TABLE users ADD COLUMN role_at INTEGER;
CREATE TABLE removed_users (
	name TEXT PRIMARY KEY,
	removed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
ALTER TABLE audit ADD COLUMN sign_in TEXT;

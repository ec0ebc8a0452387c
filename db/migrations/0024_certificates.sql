-- A certificate of a person's key, as "type base64", and until when it is good (UTC; NULL: for ever). At tell_at its end
-- is to be told of, once: then tell_at is NULL.
ALTER TABLE identities ADD COLUMN certificate TEXT;
ALTER TABLE identities ADD COLUMN certificate_expires_at INTEGER;
ALTER TABLE identities ADD COLUMN certificate_tell_at INTEGER;
CREATE INDEX identities_tell ON identities (certificate_tell_at) WHERE certificate_tell_at IS NOT NULL;

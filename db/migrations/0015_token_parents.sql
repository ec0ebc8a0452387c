-- Which token made a token: it goes when that one does. NULL: none (the unix socket, the command line), or from before.
ALTER TABLE tokens ADD COLUMN parent INTEGER REFERENCES tokens (id) ON DELETE CASCADE;
CREATE INDEX tokens_parent ON tokens (parent) WHERE parent IS NOT NULL;

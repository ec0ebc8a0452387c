-- Who a person is on a cluster where each has a key of his own. The private half is sealed under the label
-- "identity:<user>:<cluster>".
CREATE TABLE identities (
	id INTEGER PRIMARY KEY,
	user TEXT NOT NULL,
	cluster TEXT NOT NULL,
	username TEXT NOT NULL,
	public_key TEXT NOT NULL,
	sealed_key BLOB NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('unchecked', 'ok', 'refused', 'unreachable')),
	error TEXT,
	created_at INTEGER NOT NULL,
	checked_at INTEGER,
	UNIQUE (user, cluster)
) STRICT;

-- A later person of the same name is not the one whom the clusters let in.
CREATE TRIGGER identities_go_with_users AFTER DELETE ON users BEGIN
	DELETE FROM identities WHERE user = OLD.name;
END;

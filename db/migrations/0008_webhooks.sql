-- kinds: ",job.state,evaluation.ended,", or empty for every kind. position: the number of the last event that was looked
-- at; what comes behind it is still to be sent. failing_since: nothing has been delivered since then.
CREATE TABLE webhooks (
	seq INTEGER PRIMARY KEY,
	id TEXT NOT NULL UNIQUE,
	user TEXT NOT NULL,
	url TEXT NOT NULL,
	kinds TEXT NOT NULL,
	scope TEXT NOT NULL CHECK (scope IN ('own', 'all')),
	sealed_secret BLOB NOT NULL,
	position INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	failing_since INTEGER,
	disabled_at INTEGER,
	disabled_reason TEXT
) STRICT;
CREATE INDEX webhooks_user ON webhooks (user, id);
CREATE INDEX webhooks_active ON webhooks (id) WHERE disabled_at IS NULL;

-- event: its number; null for a test.
CREATE TABLE webhook_deliveries (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	webhook TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
	event INTEGER,
	kind TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
	happened_at INTEGER NOT NULL,
	tries INTEGER NOT NULL DEFAULT 0,
	next_at INTEGER,
	last_at INTEGER,
	status INTEGER,
	error TEXT,
	took_ms INTEGER
) STRICT;
CREATE INDEX webhook_deliveries_webhook ON webhook_deliveries (webhook, seq);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (webhook, seq) WHERE state = 'pending';

-- Accounts of the machine may have webhooks without being users, so this is no foreign key.
CREATE TRIGGER webhooks_of_removed_user AFTER DELETE ON users BEGIN
	DELETE FROM webhooks WHERE user = OLD.name;
END;

-- One config over many values of one of its keys. A value's evaluation is stored in the transaction that stores the
-- evaluation itself. live: evaluations at once. account: the maker came as an account of the machine that is an admin
-- by that alone, and need not be among the users.
CREATE TABLE campaigns (
	seq INTEGER PRIMARY KEY,
	id TEXT NOT NULL UNIQUE,
	user TEXT NOT NULL,
	account INTEGER NOT NULL,
	name TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('active', 'paused', 'ended', 'cancelled')),
	reason TEXT, -- why it is paused, or what keeps it from going on
	parameter TEXT NOT NULL,
	values_order TEXT NOT NULL CHECK (values_order IN ('newest_first', 'listed')),
	live INTEGER NOT NULL,
	config TEXT NOT NULL,
	config_type TEXT NOT NULL CHECK (config_type IN ('application/json', 'application/yaml')),
	overrides TEXT NOT NULL, -- a JSON array
	labels TEXT NOT NULL,    -- a JSON object
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX campaigns_user ON campaigns (user, seq);
CREATE INDEX campaigns_active ON campaigns (seq) WHERE state = 'active';

-- step: the number at the end of the value; null: it has none. evaluation: its id, which stays when that is pruned.
CREATE TABLE campaign_values (
	campaign INTEGER NOT NULL REFERENCES campaigns (seq) ON DELETE CASCADE,
	position INTEGER NOT NULL,
	value TEXT NOT NULL,
	step INTEGER,
	evaluation TEXT UNIQUE,
	submitted_at INTEGER,
	error TEXT, -- it was refused
	PRIMARY KEY (campaign, position),
	UNIQUE (campaign, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX campaign_values_waiting ON campaign_values (campaign, step, position)
	WHERE evaluation IS NULL AND error IS NULL;

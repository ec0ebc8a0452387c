-- Times are UTC seconds since the epoch. States, roles and kinds are stored by name.

CREATE TABLE users (
	name TEXT PRIMARY KEY,
	role TEXT NOT NULL CHECK (role IN ('admin', 'user', 'viewer')),
	created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE tokens (
	id INTEGER PRIMARY KEY,
	user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
	hash TEXT NOT NULL UNIQUE,
	created_at INTEGER NOT NULL,
	expires_at INTEGER,
	last_used_at INTEGER,
	revoked_at INTEGER
) STRICT;

-- Rows are small: lists and changes of state do not touch the long texts, which are in evaluation_texts.
CREATE TABLE evaluations (
	seq INTEGER PRIMARY KEY,
	id TEXT NOT NULL UNIQUE,
	user TEXT NOT NULL,
	cluster TEXT NOT NULL,
	identity TEXT NOT NULL,
	state TEXT NOT NULL,
	model TEXT NOT NULL,
	rundir TEXT NOT NULL,
	submitted_type TEXT NOT NULL,
	config_hash TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	-- The greatest created_at up to this row. It never falls as seq grows, although the clock may be set back; so a
	-- time gives a place in seq order with one look at an index.
	created_high INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	ended_at INTEGER,
	version INTEGER NOT NULL DEFAULT 1,
	overrides TEXT NOT NULL,
	warnings TEXT NOT NULL
) STRICT;
CREATE INDEX evaluations_state ON evaluations (state, seq);
CREATE INDEX evaluations_user ON evaluations (user, seq);
CREATE INDEX evaluations_cluster ON evaluations (cluster, seq);
CREATE INDEX evaluations_model ON evaluations (model, seq);
CREATE INDEX evaluations_created_high ON evaluations (created_high, seq);
-- The few that were stored after the clock had been set back.
CREATE INDEX evaluations_late ON evaluations (seq, created_at, created_high) WHERE created_at < created_high;

CREATE TABLE evaluation_texts (
	evaluation INTEGER PRIMARY KEY REFERENCES evaluations (seq) ON DELETE CASCADE,
	submitted_text TEXT NOT NULL,
	resolved TEXT NOT NULL,
	sealed_env BLOB
) STRICT;

CREATE TABLE labels (
	evaluation INTEGER NOT NULL REFERENCES evaluations (seq) ON DELETE CASCADE,
	key TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (evaluation, key)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX labels_value ON labels (key, value, evaluation);

-- The order of seq is that of (evaluation_seq, idx): jobs are inserted in the order of their evaluations.
CREATE TABLE jobs (
	seq INTEGER PRIMARY KEY,
	id TEXT NOT NULL UNIQUE,
	evaluation_seq INTEGER NOT NULL REFERENCES evaluations (seq) ON DELETE CASCADE,
	evaluation TEXT NOT NULL,
	idx INTEGER NOT NULL,
	user TEXT NOT NULL,
	cluster TEXT NOT NULL,
	identity TEXT NOT NULL,
	task TEXT NOT NULL,
	model TEXT NOT NULL,
	job_dir TEXT NOT NULL,
	state TEXT NOT NULL,
	reason TEXT,
	waiting_on TEXT,
	walltime_s INTEGER NOT NULL,
	budget_limit_s INTEGER,
	budget_used_s INTEGER NOT NULL DEFAULT 0,
	max_attempts INTEGER NOT NULL DEFAULT 0,
	resume_mode TEXT NOT NULL,
	resume_on TEXT NOT NULL,
	attempt INTEGER NOT NULL DEFAULT 0,
	slurm_job_id TEXT,
	failures INTEGER NOT NULL DEFAULT 0,
	not_before INTEGER NOT NULL DEFAULT 0,
	cancel_requested_at INTEGER,
	cancel_requested_by TEXT,
	resume_requested_at INTEGER,
	resume_requested_by TEXT,
	resume_resets_budget INTEGER NOT NULL DEFAULT 0,
	budget_from_attempt INTEGER NOT NULL DEFAULT 1,
	attention INTEGER NOT NULL DEFAULT 1,
	progress INTEGER,
	-- JSON, as a job is shown; null: there is none.
	export TEXT,
	observed_at INTEGER,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	started_at INTEGER,
	ended_at INTEGER,
	collected INTEGER NOT NULL DEFAULT 0,
	version INTEGER NOT NULL DEFAULT 1,
	UNIQUE (evaluation_seq, idx)
) STRICT;
CREATE INDEX jobs_state ON jobs (state, seq);
CREATE INDEX jobs_evaluation ON jobs (evaluation, seq);
CREATE INDEX jobs_user ON jobs (user, seq);
CREATE INDEX jobs_cluster ON jobs (cluster, seq);
CREATE INDEX jobs_model ON jobs (model, seq);
CREATE INDEX jobs_task ON jobs (task, seq);
CREATE INDEX jobs_task_evaluation ON jobs (task, evaluation_seq);
CREATE INDEX jobs_attention ON jobs (seq) WHERE attention = 1;
CREATE INDEX jobs_live ON jobs (seq) WHERE ended_at IS NULL OR collected = 0;

CREATE TABLE script_bodies (
	hash TEXT PRIMARY KEY,
	text TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
	job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
	number INTEGER NOT NULL,
	job_name TEXT NOT NULL UNIQUE,
	script_header TEXT NOT NULL,
	script_body TEXT NOT NULL REFERENCES script_bodies (hash),
	time_limit_s INTEGER NOT NULL,
	after_job TEXT,
	exclude_node TEXT,
	intended_at INTEGER NOT NULL,
	slurm_job_id TEXT,
	slurm_state TEXT,
	submitted_at INTEGER,
	started_at INTEGER,
	ended_at INTEGER,
	elapsed_s INTEGER,
	exit_code INTEGER,
	signal INTEGER,
	nodes TEXT,
	pending_reason TEXT,
	absent_since INTEGER,
	PRIMARY KEY (job, number)
) STRICT;

CREATE TABLE history (
	seq INTEGER PRIMARY KEY,
	job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
	at INTEGER NOT NULL,
	from_state TEXT,
	to_state TEXT NOT NULL,
	reason TEXT
) STRICT;
CREATE INDEX history_job ON history (job, seq);

CREATE TABLE events (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	at INTEGER NOT NULL,
	kind TEXT NOT NULL,
	user TEXT NOT NULL,
	evaluation TEXT NOT NULL,
	job TEXT,
	data TEXT NOT NULL
) STRICT;

CREATE TABLE results (
	job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
	task TEXT NOT NULL,
	is_group INTEGER NOT NULL,
	metric TEXT NOT NULL,
	score TEXT NOT NULL,
	value REAL NOT NULL,
	stderr REAL,
	count INTEGER,
	recorded_at INTEGER NOT NULL,
	PRIMARY KEY (job, is_group, task, metric, score)
) STRICT, WITHOUT ROWID;
CREATE INDEX results_task ON results (task, job);
CREATE INDEX results_metric ON results (metric, job);
CREATE INDEX results_task_metric ON results (task, metric, job);

CREATE TABLE idempotency (
	user TEXT NOT NULL,
	key TEXT NOT NULL,
	request_hash TEXT NOT NULL,
	evaluation TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	PRIMARY KEY (user, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_created ON idempotency (created_at);

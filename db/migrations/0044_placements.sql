-- Evaluations whose config leaves the cluster open (execution.cluster: a list of names, or any). placement is how that stands,
-- as JSON: state, the clusters with their answers, and what was expected; null: the config names one. placing = 1: the
-- scheduler is not done with it. The evaluation's cluster is the chosen one, and before that the first of them.
ALTER TABLE evaluations ADD COLUMN placement TEXT;
ALTER TABLE evaluations ADD COLUMN placing INTEGER NOT NULL DEFAULT 0;

-- What the evaluation is on each of the clusters that it may be on.
CREATE TABLE placement_plans (
	evaluation INTEGER NOT NULL REFERENCES evaluations (seq) ON DELETE CASCADE,
	cluster TEXT NOT NULL,
	identity TEXT NOT NULL,
	rundir TEXT NOT NULL,
	resolved TEXT NOT NULL,
	PRIMARY KEY (evaluation, cluster)
) STRICT, WITHOUT ROWID;

-- Attempts that were withdrawn before they began, to go to another cluster: when, and how many a chain has.
ALTER TABLE attempts ADD COLUMN withdrawn_at INTEGER;
ALTER TABLE chains ADD COLUMN withdrawn INTEGER NOT NULL DEFAULT 0;

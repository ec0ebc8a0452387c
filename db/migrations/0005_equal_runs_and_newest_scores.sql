-- The hash is that of what decides the scores (service/likeness.h); evaluations from before have one of their whole
-- config, which equals no newer one.
ALTER TABLE evaluations ADD COLUMN images TEXT NOT NULL DEFAULT '[]';
CREATE INDEX evaluations_config_hash ON evaluations (config_hash, seq);

-- The newest scores of a model are found in one index.
ALTER TABLE results ADD COLUMN model TEXT NOT NULL DEFAULT '';
UPDATE results SET model = (SELECT model FROM jobs WHERE seq = results.job);
CREATE INDEX results_newest ON results (model, task, is_group, metric, job);
CREATE INDEX results_score ON results (score, job);

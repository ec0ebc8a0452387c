CREATE INDEX evaluations_ended ON evaluations (ended_at) WHERE ended_at IS NOT NULL;

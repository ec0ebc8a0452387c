-- What lists are searched for: a text an evaluation, split into trigrams, so that any part of a word is found. Its rowid is
-- evaluations.seq.
CREATE VIRTUAL TABLE evaluation_search USING fts5 (text, tokenize = 'trigram', columnsize = 0);
INSERT INTO evaluation_search (rowid, text) SELECT e.seq,
	e.id || char(10) || e.model || char(10) || e.user || char(10) || e.cluster
	|| coalesce((SELECT char(10) || group_concat(j.task) FROM jobs j WHERE j.evaluation_seq = e.seq), '')
	|| coalesce((SELECT char(10) || group_concat(l.key || ':' || l.value, char(10)) FROM labels l WHERE l.evaluation = e.seq), '')
	FROM evaluations e;

-- For the list of those that changed last.
CREATE INDEX evaluations_updated ON evaluations (updated_at);

-- What a job's samples came to, packed: scores by item, no text. Some 4 bytes a sample.
CREATE TABLE samples (
	job INTEGER PRIMARY KEY REFERENCES jobs (seq) ON DELETE CASCADE,
	rows INTEGER NOT NULL,
	left_out INTEGER NOT NULL,
	spoilt INTEGER NOT NULL,
	short INTEGER NOT NULL,
	data BLOB NOT NULL
) STRICT;

-- Of a job's scores: the SHA-256 (in hexadecimal digits) of the results.yml that its end left, or "none" when that left
-- none, and what people are to know of them: a JSON array of sentences.
ALTER TABLE jobs ADD COLUMN results_seal TEXT;
ALTER TABLE jobs ADD COLUMN warnings TEXT;

-- Where run directories of a cluster's evaluations lie, for as long as the store is: they stay there when an evaluation is
-- pruned. What shows them is not mounted for people who share the account.
CREATE TABLE output_dirs (
	cluster TEXT NOT NULL,
	path TEXT NOT NULL,
	used_seq INTEGER NOT NULL,
	PRIMARY KEY (cluster, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX output_dirs_used ON output_dirs (cluster, used_seq);
INSERT INTO output_dirs (cluster, path, used_seq)
	SELECT cluster, rtrim(rtrim(rundir, replace(rundir, '/', '')), '/'), max(seq) FROM evaluations GROUP BY 1, 2;
CREATE TRIGGER output_dirs_of_evaluation AFTER INSERT ON evaluations BEGIN
	INSERT INTO output_dirs (cluster, path, used_seq)
		VALUES (NEW.cluster, rtrim(rtrim(NEW.rundir, replace(NEW.rundir, '/', '')), '/'), NEW.seq)
		ON CONFLICT (cluster, path) DO UPDATE SET used_seq = NEW.seq;
END;

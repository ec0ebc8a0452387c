-- What GET /v1/evaluations/ID answers about an evaluation that has ended, as it was rendered then: it changes no more, and
-- is read far more often. A row for each that has ended; format 0: its text is still to be made. Whatever changes what the
-- text is made of takes the text away, whoever does it.
CREATE TABLE replies (
	evaluation INTEGER PRIMARY KEY, -- its seq
	format INTEGER NOT NULL DEFAULT 0, -- of the program that made the text
	id TEXT NOT NULL DEFAULT '', -- this and the next four are its revision
	version INTEGER NOT NULL DEFAULT 0,
	updated_at INTEGER NOT NULL DEFAULT 0,
	jobs INTEGER NOT NULL DEFAULT 0,
	observed_at INTEGER NOT NULL DEFAULT 0,
	text TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX replies_format ON replies (format);
INSERT INTO replies (evaluation) SELECT seq FROM evaluations WHERE ended_at IS NOT NULL;

CREATE TRIGGER replies_evaluation_insert AFTER INSERT ON evaluations WHEN NEW.ended_at IS NOT NULL BEGIN
	INSERT INTO replies (evaluation) VALUES (NEW.seq);
END;
CREATE TRIGGER replies_evaluation_update AFTER UPDATE ON evaluations WHEN NEW.ended_at IS NOT NULL BEGIN
	INSERT INTO replies (evaluation) VALUES (NEW.seq) ON CONFLICT (evaluation) DO UPDATE SET format = 0, text = '';
END;
CREATE TRIGGER replies_evaluation_resume AFTER UPDATE ON evaluations
	WHEN NEW.ended_at IS NULL AND OLD.ended_at IS NOT NULL BEGIN
	DELETE FROM replies WHERE evaluation = OLD.seq;
END;
CREATE TRIGGER replies_evaluation_delete AFTER DELETE ON evaluations BEGIN
	DELETE FROM replies WHERE evaluation = OLD.seq;
END;
CREATE TRIGGER replies_job_insert AFTER INSERT ON jobs BEGIN
	UPDATE replies SET format = 0, text = '' WHERE evaluation = NEW.evaluation_seq AND format <> 0;
END;
CREATE TRIGGER replies_job_update AFTER UPDATE ON jobs BEGIN
	UPDATE replies SET format = 0, text = '' WHERE evaluation = NEW.evaluation_seq AND format <> 0;
END;
CREATE TRIGGER replies_job_delete AFTER DELETE ON jobs BEGIN
	UPDATE replies SET format = 0, text = '' WHERE evaluation = OLD.evaluation_seq AND format <> 0;
END;
CREATE TRIGGER replies_label_insert AFTER INSERT ON labels BEGIN
	UPDATE replies SET format = 0, text = '' WHERE evaluation = NEW.evaluation AND format <> 0;
END;
CREATE TRIGGER replies_label_update AFTER UPDATE ON labels BEGIN
	UPDATE replies SET format = 0, text = '' WHERE evaluation IN (OLD.evaluation, NEW.evaluation) AND format <> 0;
END;
CREATE TRIGGER replies_label_delete AFTER DELETE ON labels BEGIN
	UPDATE replies SET format = 0, text = '' WHERE evaluation = OLD.evaluation AND format <> 0;
END;

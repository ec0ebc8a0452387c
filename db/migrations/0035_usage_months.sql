-- GPU seconds of each month (of UTC, by when an attempt ended), kept up by the store itself: of everybody, of each person, and
-- of each label (KEY:VALUE), so that quotas cost a look. Labels of an evaluation come before its first row.
CREATE TABLE usage_months (
	month TEXT NOT NULL,
	kind TEXT NOT NULL CHECK (kind IN ('all', 'user', 'label')),
	name TEXT NOT NULL,
	gpu_s INTEGER NOT NULL,
	PRIMARY KEY (month, kind, name)
) STRICT, WITHOUT ROWID;
INSERT INTO usage_months SELECT strftime('%Y-%m', ended_at, 'unixepoch'), 'all', '', sum(gpu_s) FROM usage GROUP BY 1;
INSERT INTO usage_months SELECT strftime('%Y-%m', ended_at, 'unixepoch'), 'user', user, sum(gpu_s) FROM usage GROUP BY 1, 3;
INSERT INTO usage_months SELECT strftime('%Y-%m', ended_at, 'unixepoch'), 'label', key || ':' || value, sum(gpu_s)
	FROM usage JOIN usage_labels USING (evaluation) GROUP BY 1, 3;

CREATE TRIGGER usage_months_insert AFTER INSERT ON usage BEGIN
	INSERT INTO usage_months SELECT strftime('%Y-%m', NEW.ended_at, 'unixepoch'), kind, name, NEW.gpu_s FROM (
			SELECT 'all' AS kind, '' AS name UNION ALL SELECT 'user', NEW.user
			UNION ALL SELECT 'label', key || ':' || value FROM usage_labels WHERE evaluation = NEW.evaluation) WHERE true
		ON CONFLICT (month, kind, name) DO UPDATE SET gpu_s = gpu_s + excluded.gpu_s;
END;
CREATE TRIGGER usage_months_delete AFTER DELETE ON usage BEGIN
	UPDATE usage_months SET gpu_s = gpu_s - OLD.gpu_s WHERE month = strftime('%Y-%m', OLD.ended_at, 'unixepoch')
		AND ((kind = 'all' AND name = '') OR (kind = 'user' AND name = OLD.user) OR (kind = 'label' AND name IN
			(SELECT key || ':' || value FROM usage_labels WHERE evaluation = OLD.evaluation)));
END;
CREATE TRIGGER usage_months_update AFTER UPDATE OF gpu_s, ended_at ON usage BEGIN
	UPDATE usage_months SET gpu_s = gpu_s - OLD.gpu_s WHERE month = strftime('%Y-%m', OLD.ended_at, 'unixepoch')
		AND ((kind = 'all' AND name = '') OR (kind = 'user' AND name = OLD.user) OR (kind = 'label' AND name IN
			(SELECT key || ':' || value FROM usage_labels WHERE evaluation = OLD.evaluation)));
	INSERT INTO usage_months SELECT strftime('%Y-%m', NEW.ended_at, 'unixepoch'), kind, name, NEW.gpu_s FROM (
			SELECT 'all' AS kind, '' AS name UNION ALL SELECT 'user', NEW.user
			UNION ALL SELECT 'label', key || ':' || value FROM usage_labels WHERE evaluation = NEW.evaluation) WHERE true
		ON CONFLICT (month, kind, name) DO UPDATE SET gpu_s = gpu_s + excluded.gpu_s;
END;

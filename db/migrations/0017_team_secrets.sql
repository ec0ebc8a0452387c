-- Who may use a team's secret, and for which hosts of a target: ',a,b,'; '' is everybody, and every host.
ALTER TABLE secrets ADD COLUMN users TEXT NOT NULL DEFAULT '';
ALTER TABLE secrets ADD COLUMN hosts TEXT NOT NULL DEFAULT '';

-- States are those that the daemon knows. SQLite adds no CHECK to a table that is there, so triggers hold it.
CREATE TRIGGER evaluations_state_insert BEFORE INSERT ON evaluations
WHEN new.state NOT IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')
BEGIN SELECT raise(ABORT, 'evaluations.state is none of those there are'); END;
CREATE TRIGGER evaluations_state_update BEFORE UPDATE OF state ON evaluations
WHEN new.state NOT IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')
BEGIN SELECT raise(ABORT, 'evaluations.state is none of those there are'); END;
CREATE TRIGGER jobs_state_insert BEFORE INSERT ON jobs
WHEN new.state NOT IN ('queued', 'submitting', 'pending', 'running', 'resuming', 'cancelling', 'succeeded', 'failed',
	'cancelled', 'budget_exhausted')
BEGIN SELECT raise(ABORT, 'jobs.state is none of those there are'); END;
CREATE TRIGGER jobs_state_update BEFORE UPDATE OF state ON jobs
WHEN new.state NOT IN ('queued', 'submitting', 'pending', 'running', 'resuming', 'cancelling', 'succeeded', 'failed',
	'cancelled', 'budget_exhausted')
BEGIN SELECT raise(ABORT, 'jobs.state is none of those there are'); END;

-- Each index costs a page or more in every commit that touches its table. Of these the first two say what others say:
-- jobs have the order of their evaluations, and within one of their indexes. Those of the ledger are used by no statement.
DROP INDEX jobs_evaluation;
DROP INDEX jobs_task;
DROP INDEX usage_user;
DROP INDEX usage_evaluation;
DROP INDEX usage_labels_value;

-- What an evaluation would have been elsewhere is needed only for as long as it may go there.
DELETE FROM placement_plans WHERE evaluation IN (SELECT seq FROM evaluations WHERE placing = 0);

-- What was wasted, in terms that hold whatever the GPU seconds are found to be: of an attempt whose GPUs or run time were
-- not known when it ended, nothing could be told by a share of 0.
ALTER TABLE usage ADD COLUMN lost INTEGER NOT NULL DEFAULT 0; -- the whole attempt came to nothing
ALTER TABLE usage ADD COLUMN start_up_s INTEGER NOT NULL DEFAULT 0; -- of run_s, of all its jobs together
ALTER TABLE usage ADD COLUMN idle_s INTEGER NOT NULL DEFAULT 0; -- likewise
UPDATE usage SET lost = 1 WHERE lost_gpu_s > 0;
UPDATE usage SET start_up_s = start_up_gpu_s * run_s / gpu_s WHERE gpu_s > 0 AND start_up_gpu_s > 0;

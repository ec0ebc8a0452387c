-- What was sampled of GPUs (chain/gpu_use.h), of each attempt and of all of a job together; and whether an attempt was ended
-- because it did nothing, and how many before it were.
ALTER TABLE attempts ADD COLUMN gpu_samples INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN gpu_percents INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN gpu_low_samples INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN gpu_still_s INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN idle INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN idle_before INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN gpu_samples INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN gpu_percents INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN gpu_low_samples INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN gpu_still_s INTEGER NOT NULL DEFAULT 0;

-- How much a tenant has queued, and has had within the last minute, decides on its turn. The first
-- also finds, among runs of verifications and others, those whose job has not ended.
CREATE INDEX jobs_unfinished ON jobs (tenant_id, queue) WHERE finished_at IS NULL;
CREATE INDEX jobs_had ON jobs (tenant_id, queue, finished_at) WHERE finished_at IS NOT NULL;

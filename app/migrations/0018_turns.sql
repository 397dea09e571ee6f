-- How much a tenant has queued, and has had within the last minute, decides on its turn.
CREATE INDEX jobs_turns ON jobs (tenant_id, queue, finished_at);

-- A job that somebody's rate limit paused, and when it goes on by itself.

ALTER TABLE jobs
    -- Only of a paused job, or one that is pausing. A request to pause, resume or cancel clears it.
    ADD COLUMN resume_at timestamptz
        CONSTRAINT resumes_only_when_paused CHECK (
            resume_at IS NULL OR state IN ('pausing', 'paused'));

CREATE INDEX jobs_resting ON jobs (resume_at) WHERE resume_at IS NOT NULL;

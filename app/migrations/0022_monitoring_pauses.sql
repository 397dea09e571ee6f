-- What comes to nothing again and again is tried again less and less often.

ALTER TABLE monitors
    -- Checks in a row that failed, or failed for somebody.
    ADD COLUMN vain_checks integer NOT NULL DEFAULT 0,
    -- When the last of them began: whoever came later is not to wait for the next.
    ADD COLUMN vain_since timestamptz,
    -- Until then nobody else is screened again whom it failed to screen.
    ADD COLUMN vain_until timestamptz;

ALTER TABLE verification_monitoring
    -- Runs that were dispatched by themselves since the last one to which every list answered.
    ADD COLUMN vain_runs integer NOT NULL DEFAULT 0;

ALTER TABLE monitor_updates
    -- The worker that is at it, which renews its claim; NULL: it has only been sent.
    ADD COLUMN holder uuid;

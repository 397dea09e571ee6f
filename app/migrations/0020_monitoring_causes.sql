-- Two more causes of a check: a reviewer's decision, and another version of the engine.

-- Short locks only: every row there is holds what the narrower constraint allowed.
ALTER TABLE monitor_checks DROP CONSTRAINT monitor_checks_cause_check;
ALTER TABLE monitor_checks ADD CONSTRAINT monitor_checks_cause_check
    CHECK (cause IN ('manual', 'scheduled', 'subjects_added', 'list_update', 'review', 'new_engine'))
    NOT VALID;

-- Decisions made or ended up to this time have been looked into.
ALTER TABLE monitors ADD COLUMN reviewed_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX exclusions_by_change ON exclusions (tenant_id, greatest(created_at, revoked_at));

-- By which version of the engine everybody was screened last; monitoring began with the third.
ALTER TABLE monitors ADD COLUMN engine_version integer NOT NULL DEFAULT 3;
ALTER TABLE verification_monitoring ADD COLUMN engine_version integer NOT NULL DEFAULT 3;

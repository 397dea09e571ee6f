-- Verifications that are screened again by themselves: by the clock, or when a list changes.

CREATE TABLE verification_monitoring (
    verification_id uuid PRIMARY KEY REFERENCES verifications (id) ON DELETE CASCADE,
    frequency       text NOT NULL CHECK (frequency IN ('daily', 'weekly', 'on_update')),
    -- When the clock wants a run; NULL: it does not.
    next_run_at     timestamptz,
    -- Of the last completed run whose list versions are in verification_lists.
    synced_at       timestamptz,
    -- A run for a list update was dispatched; if nothing comes of it, another one is after this.
    retry_at        timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX verification_monitoring_due ON verification_monitoring (next_run_at)
 WHERE next_run_at IS NOT NULL;

-- Everybody who is screened with such a verification, by a number: it stands for the subject in
-- the index of the population. Neither a verification nor a stakeholder ever changes.
CREATE TABLE verification_watched (
    number          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    verification_id uuid NOT NULL REFERENCES verification_monitoring ON DELETE CASCADE,
    -- NULL: the verified entity itself.
    stakeholder_id  text,
    UNIQUE NULLS NOT DISTINCT (verification_id, stakeholder_id)
);

-- Up to which version of a list everything is known of the verification.
CREATE TABLE verification_lists (
    verification_id uuid NOT NULL REFERENCES verification_monitoring ON DELETE CASCADE,
    list_name       text NOT NULL,
    version_id      bigint NOT NULL,
    PRIMARY KEY (verification_id, list_name)
);

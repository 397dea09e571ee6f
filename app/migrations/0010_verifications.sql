-- Verifications: who is verified, the runs that screen them, and what came of each.

-- What a tenant is called in dialect B, beside its keys: 28 letters, no secret.
CREATE FUNCTION make_service_uid() RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT left(translate(encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()),
                                 'base64'), E'+/=\n', 'Mu'), 28) $$;

ALTER TABLE tenants
    ADD COLUMN service_uid text NOT NULL DEFAULT make_service_uid() UNIQUE
        CHECK (length(service_uid) = 28);

CREATE TABLE verifications (
    id            uuid        PRIMARY KEY,
    tenant_id     uuid        NOT NULL REFERENCES tenants (id),
    -- What everybody calls it.
    trace         text        NOT NULL CHECK (trace ~ '^[A-Za-z0-9_-]{21}$'),
    -- What the client calls it, once per tenant.
    user_id       text,
    on_behalf_uid text,
    -- As it was sent, without the stakeholders. json here and below: read back whole, and in order.
    entity        json        NOT NULL,
    status        text        NOT NULL DEFAULT 'pending',
    -- As the last completed run left it (app/verifications/risk.py).
    risk          json        NOT NULL,
    screened_at   timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, trace),
    UNIQUE (tenant_id, user_id)
);

CREATE INDEX verifications_of_tenant ON verifications (tenant_id, created_at DESC, id DESC);

CREATE TABLE stakeholders (
    verification_id uuid    NOT NULL REFERENCES verifications (id),
    stakeholder_id  text    NOT NULL CHECK (stakeholder_id ~ '^[A-Za-z0-9_-]{21}$'),
    position        integer NOT NULL CHECK (position >= 0),
    role            text    NOT NULL,
    entity          json    NOT NULL,
    PRIMARY KEY (verification_id, position),
    UNIQUE (verification_id, stakeholder_id)
);

-- One row beside the job of each run: who asked for it, and how often a worker began it.
CREATE TABLE verification_runs (
    job_id          uuid        PRIMARY KEY REFERENCES jobs (id),
    verification_id uuid        NOT NULL REFERENCES verifications (id),
    type            text        NOT NULL,
    payload         jsonb       NOT NULL DEFAULT '{}',
    source_action   text        NOT NULL CHECK (source_action IN (
        'manual-api', 'manual-portal', 'manual-admin', 'scheduled', 'system')),
    source_uid      text,
    source_email    text,
    requested_at    timestamptz NOT NULL DEFAULT now(),
    -- Passes that a worker began, and the last of them: a chunk that is redelivered counts once.
    attempts        integer     NOT NULL DEFAULT 0,
    last_pass       integer     NOT NULL DEFAULT 0,
    -- The run that held the gate when this one wanted it.
    conflicting_run text,
    -- What a completed run found, in short: for the audit.
    outcome         jsonb
);

CREATE INDEX verification_runs_of ON verification_runs
    (verification_id, type, requested_at DESC, job_id DESC);

-- The gate: at most one run of a type is in flight for a verification. The primary key keeps it,
-- and no check that anybody might forget.
CREATE TABLE verification_gates (
    verification_id uuid NOT NULL REFERENCES verifications (id),
    type            text NOT NULL,
    job_id          uuid NOT NULL UNIQUE REFERENCES jobs (id),
    PRIMARY KEY (verification_id, type)
);

-- What a run found of one subject: of the entity, or of a stakeholder.
CREATE TABLE screenings (
    screening_id    text        PRIMARY KEY,
    verification_id uuid        NOT NULL REFERENCES verifications (id),
    job_id          uuid        NOT NULL REFERENCES jobs (id),
    -- NULL: the entity itself.
    stakeholder_id  text,
    -- Who was looked for, as it was on that day.
    subject         json        NOT NULL,
    total_hits      integer     NOT NULL CHECK (total_hits >= 0),
    matched_sources json        NOT NULL,
    sources_checked json        NOT NULL,
    -- Every source answered.
    is_complete     boolean     NOT NULL,
    risk            json        NOT NULL,
    screened_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE NULLS NOT DISTINCT (job_id, stakeholder_id)
);

CREATE INDEX screenings_of ON screenings (verification_id, stakeholder_id, screened_at DESC);

-- Who did what to a verification, in order. Each entry holds the digest of the one before it, so
-- that nobody can change or drop one and leave the others as they are.
CREATE TABLE verification_audit (
    verification_id uuid    NOT NULL REFERENCES verifications (id),
    seq             integer NOT NULL CHECK (seq > 0),
    -- JSON, and the very text of which the digest was taken.
    entry           text    NOT NULL,
    previous        text    NOT NULL,
    -- SHA-256 of `previous`, a line end, and `entry`; in hex.
    digest          text    NOT NULL,
    PRIMARY KEY (verification_id, seq)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is only ever added to', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON verification_audit
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only_as_a_whole BEFORE TRUNCATE ON verification_audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON screenings
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only_as_a_whole BEFORE TRUNCATE ON screenings
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER dispatched_once BEFORE UPDATE OF verification_id, type, payload, source_action,
        source_uid, source_email, requested_at ON verification_runs
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE FUNCTION epoch_ms(at timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT floor(extract(epoch FROM at) * 1000)::bigint $$;

-- Adds an entry to the audit of a verification. One at a time: the row of the verification is
-- locked until the transaction ends.
CREATE FUNCTION audit_verification(
    verification uuid, action text, run text, done_by jsonb, detail jsonb
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    last verification_audit; entry text; number integer; before text;
BEGIN
    PERFORM FROM verifications WHERE id = verification FOR NO KEY UPDATE;
    SELECT * INTO last FROM verification_audit
     WHERE verification_id = verification ORDER BY seq DESC LIMIT 1;
    number := coalesce(last.seq, 0) + 1;
    before := coalesce(last.digest, repeat('0', 64));
    entry := jsonb_build_object(
        'seq', number, 'at', epoch_ms(clock_timestamp()), 'action', action, 'jobId', run,
        'by', jsonb_strip_nulls(done_by), 'detail', jsonb_strip_nulls(detail))::text;
    INSERT INTO verification_audit (verification_id, seq, entry, previous, digest)
    VALUES (verification, number, entry, before,
            encode(sha256(convert_to(before || E'\n' || entry, 'UTF8')), 'hex'));
    RETURN number;
END $$;

-- Whatever ends the job of a run, and whoever: the gate opens in that very transaction, and the
-- audit says how it ended.
CREATE FUNCTION end_verification_run() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    run verification_runs;
BEGIN
    DELETE FROM verification_gates WHERE job_id = NEW.id;
    SELECT * INTO run FROM verification_runs WHERE job_id = NEW.id;
    IF FOUND THEN
        PERFORM audit_verification(
            run.verification_id, 'run.' || NEW.state, NEW.external_id,
            jsonb_build_object('action', run.source_action, 'uid', run.source_uid,
                               'email', run.source_email),
            jsonb_build_object('type', run.type, 'requestedAt', epoch_ms(run.requested_at),
                               'startedAt', epoch_ms(NEW.started_at),
                               'completedAt', epoch_ms(NEW.finished_at),
                               'attemptCount', run.attempts,
                               'errorSummary', NEW.error_message,
                               'conflictingJobId', run.conflicting_run,
                               'outcome', run.outcome));
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER end_verification_run AFTER UPDATE ON jobs
    FOR EACH ROW
    WHEN (OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL AND NEW.kind = 'verifications')
    EXECUTE FUNCTION end_verification_run();

-- What runs, their ends and checks were found to lack. Columns that are there already come from a
-- database of a day on which the migrations before this one had them.

-- Of what was sent, what may be megabytes: only who asks for this very verification reads it.
ALTER TABLE verifications ADD COLUMN IF NOT EXISTS documents json;
UPDATE verifications
   SET documents = entity -> 'documents', entity = (entity::jsonb - 'documents')::json
 WHERE documents IS NULL AND entity -> 'documents' IS NOT NULL;

-- How often a run rested because no source answered, and after which pass the last time.
ALTER TABLE verification_runs ADD COLUMN IF NOT EXISTS rests integer NOT NULL DEFAULT 0;
ALTER TABLE verification_runs ADD COLUMN IF NOT EXISTS rested_pass integer NOT NULL DEFAULT 0;

CREATE OR REPLACE TRIGGER kept BEFORE DELETE ON verification_runs
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER kept_as_a_whole BEFORE TRUNCATE ON verification_runs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Whatever ends the job of a run, and whoever: the gate opens in that very transaction, and the
-- audit says how it ended. The platform ends it; who wanted it cancelled has an entry of their own.
CREATE OR REPLACE FUNCTION end_verification_run() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    run verification_runs;
BEGIN
    DELETE FROM verification_gates WHERE job_id = NEW.id;
    SELECT * INTO run FROM verification_runs WHERE job_id = NEW.id;
    IF FOUND THEN
        PERFORM audit_verification(
            run.verification_id, 'run.' || NEW.state, NEW.external_id,
            jsonb_build_object('action', 'system'),
            jsonb_build_object('type', run.type,
                               'dispatchedBy',
                               jsonb_build_object('action', run.source_action,
                                                  'uid', run.source_uid,
                                                  'email', run.source_email),
                               'requestedAt', epoch_ms(run.requested_at),
                               'startedAt', epoch_ms(NEW.started_at),
                               'completedAt', epoch_ms(NEW.finished_at),
                               'attemptCount', run.attempts,
                               'errorSummary', NEW.error_message,
                               'conflictingJobId', run.conflicting_run,
                               'outcome', run.outcome));
    END IF;
    RETURN NULL;
END $$;

-- Lists that the monitor names and that were not loaded: nobody looked there.
ALTER TABLE monitor_checks ADD COLUMN IF NOT EXISTS lists_missing text[] NOT NULL DEFAULT '{}';
-- Nobody else closes the check for so long, unless it is done before.
ALTER TABLE monitor_checks ADD COLUMN IF NOT EXISTS claimed_till timestamptz;

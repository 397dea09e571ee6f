-- What happened to each job, in order: what an audit lists, and what a watcher that was away is
-- told from where it broke off.
--
-- A row is written by the statement that changes the job's row, and its seq is the version that
-- the row had then. Results that come in together take a number each before that of their row, so
-- that every item has an event of its own without having a row of its own.
CREATE TABLE job_events (
    kind          text NOT NULL,
    -- That of the job, whenever the event: one partition goes with all that a month's jobs left.
    month         date NOT NULL,
    job_id        uuid NOT NULL,
    seq           bigint NOT NULL CHECK (seq > 0),
    at            timestamptz NOT NULL,
    -- After the event; `previous` is where the job came from, if it moved.
    state         job_state NOT NULL,
    previous      job_state,
    -- Whose results came in, if it did not.
    positions     int4multirange,
    succeeded     integer NOT NULL,
    failed        integer NOT NULL,
    cancelled     integer NOT NULL,
    expired       integer NOT NULL,
    matches       bigint NOT NULL,
    error_code    text,
    error_message text,
    PRIMARY KEY (kind, month, job_id, seq),
    CONSTRAINT moved_or_counted CHECK ((previous IS NULL) <> (positions IS NULL)),
    CONSTRAINT moved_somewhere CHECK (previous <> state)
) PARTITION BY LIST (kind);

CREATE TABLE job_events_other PARTITION OF job_events DEFAULT;

-- As before (0002_jobs.sql), with the new table.
CREATE OR REPLACE FUNCTION ensure_partitions(first date, months integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    parent text; kind text; child text; starts date; made integer := 0; taken boolean;
BEGIN
    FOREACH parent IN ARRAY ARRAY['items', 'results', 'job_events'] LOOP
        FOREACH kind IN ARRAY ARRAY['kyc', 'verifications', 'faces', 'documents'] LOOP
            child := parent || '_' || kind;
            IF to_regclass(child) IS NULL THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES IN (%L)'
                               ' PARTITION BY RANGE (month)', child, parent, kind);
                EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', child || '_rest', child);
            END IF;
            FOR step IN 0 .. months - 1 LOOP
                starts := date_trunc('month', first)::date + make_interval(months => step);
                CONTINUE WHEN to_regclass(child || to_char(starts, '_YYYYMM')) IS NOT NULL;
                EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE month = %L)',
                               child || '_rest', starts) INTO taken;
                CONTINUE WHEN taken;
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                               child || to_char(starts, '_YYYYMM'), child,
                               starts, starts + interval '1 month');
                made := made + 1;
            END LOOP;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

SELECT ensure_partitions(now()::date, 3);

-- Jobs, their items and their results.

CREATE TYPE job_state AS ENUM (
    'queued',      -- committed; no worker has begun it yet
    'running',     -- a worker has claimed a chunk of it
    'pausing',     -- asked to pause; the items in hand are being finished
    'paused',      -- nothing is in hand; waits to be resumed
    'cancelling',  -- asked to stop; the items in hand are being finished
    'completed',   -- every item has a result, good or bad
    'failed',      -- the job itself could not be done
    'cancelled',   -- somebody asked us to stop
    'rejected',    -- lost the gate to another run of the same thing
    'expired'      -- its deadline passed
);

CREATE TABLE jobs (
    id             uuid PRIMARY KEY,
    tenant_id      uuid NOT NULL REFERENCES tenants (id),
    kind           text NOT NULL,
    dialect        text NOT NULL,
    external_id    text NOT NULL,
    -- First day of the month of creation: the partition its items and results live in.
    month          date NOT NULL CHECK (extract(day FROM month) = 1),
    state          job_state NOT NULL DEFAULT 'queued',
    -- Grows with every change that a poller could see.
    version        bigint NOT NULL DEFAULT 1,
    options        jsonb NOT NULL,
    labels         jsonb NOT NULL DEFAULT '{}',
    queue          text NOT NULL,
    chunk_size     integer NOT NULL CHECK (chunk_size > 0),

    total          integer NOT NULL CHECK (total > 0),
    succeeded      integer NOT NULL DEFAULT 0 CHECK (succeeded >= 0),
    failed         integer NOT NULL DEFAULT 0 CHECK (failed >= 0),
    cancelled      integer NOT NULL DEFAULT 0 CHECK (cancelled >= 0),
    expired        integer NOT NULL DEFAULT 0 CHECK (expired >= 0),
    matches        bigint NOT NULL DEFAULT 0 CHECK (matches >= 0),

    pass_no        integer NOT NULL DEFAULT 1 CHECK (pass_no > 0),
    -- Items done when the present pass began, and passes in a row that did none: a job whose
    -- passes all come to nothing must end some day.
    pass_began_at  integer NOT NULL DEFAULT 0,
    idle_passes    integer NOT NULL DEFAULT 0,
    -- Last sign of life: published, claimed or flushed. -infinity: look into it at once.
    heartbeat_at   timestamptz NOT NULL DEFAULT now(),

    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    started_at     timestamptz,
    finished_at    timestamptz,
    estimated_at   timestamptz,
    -- The deadline counts running time only: a queued or paused job does not use it up.
    allowed_seconds double precision CHECK (allowed_seconds > 0),
    spent_seconds  double precision NOT NULL DEFAULT 0,
    active_since   timestamptz,

    retry_of       uuid REFERENCES jobs (id) ON DELETE SET NULL,
    created_by     text NOT NULL,
    error_code     text,
    error_message  text,

    UNIQUE (tenant_id, dialect, external_id),

    CONSTRAINT finished_iff_final CHECK (
        (finished_at IS NOT NULL)
        = (state IN ('completed', 'failed', 'cancelled', 'rejected', 'expired'))),
    CONSTRAINT started_when_begun CHECK (
        started_at IS NOT NULL OR state NOT IN ('running', 'pausing', 'cancelling', 'completed')),
    CONSTRAINT counts_fit_total CHECK (succeeded + failed + cancelled + expired <= total),
    CONSTRAINT counts_sum_at_the_end CHECK (
        finished_at IS NULL OR succeeded + failed + cancelled + expired = total),
    CONSTRAINT completed_means_every_item CHECK (
        state <> 'completed' OR succeeded + failed = total),
    CONSTRAINT failed_says_why CHECK ((error_code IS NOT NULL) = (state = 'failed'))
);

-- Lists page newest first within a tenant.
CREATE INDEX jobs_by_tenant ON jobs (tenant_id, dialect, created_at DESC, id DESC)
    WHERE queue <> 'interactive';
-- What the sweep and the estimate look at: few rows, whatever the history holds.
CREATE INDEX jobs_alive ON jobs (kind, created_at)
 WHERE state IN ('queued', 'running', 'pausing', 'paused', 'cancelling');
CREATE INDEX jobs_finished ON jobs (kind, queue, finished_at DESC) WHERE state = 'completed';

-- Items and results will number in the hundreds of millions, so they are partitioned by kind and
-- month, and retention drops partitions. No foreign key: checking 10,000 of them costs a
-- submission more than writing the rows, and only the store writes here.
CREATE TABLE items (
    kind      text NOT NULL,
    month     date NOT NULL,
    job_id    uuid NOT NULL,
    position  integer NOT NULL CHECK (position >= 0),
    -- What the caller calls it: an entity_id, an external id.
    ref       text,
    -- json and not jsonb: only ever read back whole, and half the price to write.
    payload   json NOT NULL,
    -- Times a worker began this item alone, after its slice had taken a worker down before.
    attempts  smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, month, job_id, position)
) PARTITION BY LIST (kind);

CREATE TABLE results (
    kind          text NOT NULL,
    month         date NOT NULL,
    job_id        uuid NOT NULL,
    position      integer NOT NULL CHECK (position >= 0),
    status        text NOT NULL CHECK (status IN ('succeeded', 'failed')),
    matches       integer NOT NULL DEFAULT 0 CHECK (matches >= 0),
    result        json,
    error_code    text,
    error_message text,
    attempts      smallint NOT NULL DEFAULT 1,
    pass_no       integer NOT NULL,
    finished_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (kind, month, job_id, position),
    CONSTRAINT failed_says_why CHECK ((error_code IS NOT NULL) = (status = 'failed')),
    CONSTRAINT succeeded_has_result CHECK ((result IS NOT NULL) = (status = 'succeeded'))
) PARTITION BY LIST (kind);

CREATE TABLE items_other PARTITION OF items DEFAULT;
CREATE TABLE results_other PARTITION OF results DEFAULT;

-- Partitions for `months` months from `first`, for every kind. Safe to call at any time; a month
-- whose rows already went to the catch-all partition stays there.
CREATE FUNCTION ensure_partitions(first date, months integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    parent text; kind text; child text; starts date; made integer := 0; taken boolean;
BEGIN
    FOREACH parent IN ARRAY ARRAY['items', 'results'] LOOP
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

-- Who is working on which chunk. A claim that is not renewed expires, so that a dead or hung
-- holder frees the chunk; rows and not advisory locks, so that it works behind a proxy that pools
-- transactions. The row goes when the chunk ends in good order.
CREATE TABLE chunk_claims (
    job_id     uuid NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    chunk_no   integer NOT NULL CHECK (chunk_no >= 0),
    pass_no    integer NOT NULL,
    holder     text NOT NULL,
    -- Times the chunk was begun and not ended: the second time it goes item by item.
    starts     integer NOT NULL DEFAULT 1,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (job_id, chunk_no)
);

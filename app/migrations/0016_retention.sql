-- How long jobs are kept, and what is left of those that are not kept any more.

-- Of a tenant that wants another time than MUSTER_RETENTION says.
CREATE TABLE tenant_retention (
    tenant_id uuid   NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    kind      text   NOT NULL,
    -- NULL: for ever.
    seconds   bigint CHECK (seconds > 0),
    PRIMARY KEY (tenant_id, kind)
);

-- A job whose time is over is remembered for a while by its id alone: whoever asks for it is told
-- that it was there. What the tenant called it may be somebody's name.
CREATE TABLE expired_jobs (
    id         uuid        PRIMARY KEY,
    tenant_id  uuid        NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    kind       text        NOT NULL,
    month      date        NOT NULL,
    -- Its rows are to go with their month. Should that be kept after all, they go by themselves.
    has_rows   boolean     NOT NULL DEFAULT false,
    expired_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX expired_jobs_with_rows ON expired_jobs (kind, month) WHERE has_rows;
CREATE INDEX expired_jobs_by_age ON expired_jobs (expired_at);
CREATE INDEX expired_jobs_of_tenant ON expired_jobs (tenant_id);

-- A job that is deleted is looked for among those that others retry: without this, each time
-- through all jobs.
CREATE INDEX jobs_retried ON jobs (retry_of) WHERE retry_of IS NOT NULL;

-- The partitions of a kind that hold one month each, and what was detached and not dropped.
CREATE FUNCTION month_partitions(kind text)
RETURNS TABLE (name text, parent text, month date, is_attached boolean)
LANGUAGE sql STABLE AS $$
    SELECT c.relname::text, parent, to_date(substring(c.relname FROM '[0-9]{6}$'), 'YYYYMM'), c.relispartition
      FROM unnest(ARRAY['items', 'results', 'job_events']) AS parent
      JOIN pg_class c ON c.relkind = 'r'
                     AND c.relname ~ ('^' || parent || '_' || kind || '_[0-9]{6}$')
      JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema()
$$;

-- Takes a month off its table: others wait for a moment, whatever the month holds. Returns whether
-- it was on. Dropping it is another transaction, which nobody waits for.
CREATE FUNCTION detach_month(name text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    parent text;
BEGIN
    SELECT inhparent::regclass::text INTO parent
      FROM pg_inherits WHERE inhrelid = to_regclass(quote_ident(name));
    IF parent IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('ALTER TABLE %s DETACH PARTITION %I', parent, name);
    RETURN true;
END $$;

CREATE FUNCTION drop_month(name text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_class WHERE oid = to_regclass(quote_ident(name)) AND relispartition)
       OR to_regclass(quote_ident(name)) IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE %I', name);
    RETURN true;
END $$;

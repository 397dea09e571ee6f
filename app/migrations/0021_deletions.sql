-- Deleting a tenant, or all that is known of one subject, on request, and the proof that it was done.

-- Who had what deleted, when, and how many rows of each table. Each record that is done holds the
-- digest of the one before it, so that nobody can change or drop one and leave the others as they
-- are. No foreign key: it outlives the tenant.
CREATE TABLE deletions (
    id           uuid        PRIMARY KEY,
    tenant_id    uuid        NOT NULL,
    scope        text        NOT NULL CHECK (scope IN ('tenant', 'subject')),
    -- A keyed hash of what the tenant or the subject was called; nobody can tell it from this.
    reference    text        NOT NULL CHECK (reference ~ '^[0-9a-f]{64}$'),
    requested_by text        NOT NULL,
    began_at     timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz,
    -- Rows by table, written in the transactions that delete them.
    counts       jsonb       NOT NULL DEFAULT '{}',
    number       bigint      UNIQUE,
    -- JSON, and the very text of which the digest was taken.
    entry        text,
    previous     text,
    -- SHA-256 of `previous`, a line end, and `entry`; in hex.
    digest       text,
    CHECK (num_nulls(finished_at, number, entry, previous, digest) IN (0, 5))
);
CREATE INDEX deletions_of_tenant ON deletions (tenant_id, began_at DESC);
-- One at a time of the same: who comes again goes on.
CREATE UNIQUE INDEX deletions_at_work ON deletions (tenant_id, scope, reference)
 WHERE finished_at IS NULL;

-- As before (0010_verifications.sql), but rows go where a deletion is at work that leaves a record.
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND TG_TABLE_NAME <> 'deletions' AND EXISTS (
        SELECT FROM deletions
         WHERE id = nullif(current_setting('muster.deletion', true), '')::uuid
           AND finished_at IS NULL) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is only ever added to', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER kept BEFORE DELETE ON deletions
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept_as_a_whole BEFORE TRUNCATE ON deletions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER sealed BEFORE UPDATE ON deletions
    FOR EACH ROW WHEN (OLD.finished_at IS NOT NULL) EXECUTE FUNCTION refuse_change();

CREATE FUNCTION seal_deletion(deletion uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    last deletions; kept deletions; place bigint; before text; said text; at timestamptz;
BEGIN
    -- One after the other: each holds the digest of the one before.
    PERFORM pg_advisory_xact_lock(7243021);
    SELECT * INTO kept FROM deletions WHERE id = deletion FOR UPDATE;
    SELECT * INTO last FROM deletions WHERE number IS NOT NULL ORDER BY number DESC LIMIT 1;
    place := coalesce(last.number, 0) + 1;
    before := coalesce(last.digest, repeat('0', 64));
    at := clock_timestamp();
    said := jsonb_build_object(
        'number', place, 'id', kept.id, 'tenant_id', kept.tenant_id, 'scope', kept.scope,
        'reference', kept.reference, 'requested_by', kept.requested_by,
        'began_at', epoch_ms(kept.began_at), 'finished_at', epoch_ms(at),
        'counts', kept.counts)::text;
    UPDATE deletions
       SET finished_at = at, number = place, entry = said, previous = before,
           digest = encode(sha256(convert_to(before || E'\n' || said, 'UTF8')), 'hex')
     WHERE id = deletion;
END $$;

-- Whatever table has the column tenant_id, those of later migrations among them.
CREATE FUNCTION tables_of_tenants() RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT c.relname::text
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema()
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
       AND c.relname NOT IN ('deletions', 'jobs', 'verifications', 'expired_jobs')
     ORDER BY c.relname
$$;

CREATE FUNCTION delete_of_tenant(name text, tenant uuid, most integer) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    gone bigint;
BEGIN
    EXECUTE format('DELETE FROM %1$I WHERE ctid IN'
                   ' (SELECT ctid FROM %1$I WHERE tenant_id = $1 LIMIT $2)', name)
      USING tenant, most;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;

-- Rows of a table whose parent belongs to the tenant: they go in batches, and are counted.
CREATE FUNCTION delete_below_tenant(name text, link text, parent text, tenant uuid, most integer)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    gone bigint;
BEGIN
    EXECUTE format('DELETE FROM %1$I WHERE ctid IN'
                   ' (SELECT child.ctid FROM %1$I AS child'
                   '    JOIN %3$I AS parent ON parent.id = child.%2$I'
                   '   WHERE parent.tenant_id = $1 LIMIT $2)', name, link, parent)
      USING tenant, most;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;

-- Answers that are kept to be given again, where one may name the subject: short names stand in much
-- else. What was done under the key stays known, so that nothing is done twice: a request that comes
-- again is answered from its job, or told that its answer is not kept.
CREATE FUNCTION delete_answers(tenant uuid, names bytea[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    gone bigint := 0;
BEGIN
    IF to_regclass('idempotency_keys') IS NOT NULL THEN
        EXECUTE 'UPDATE idempotency_keys SET status = NULL, headers = NULL, body = NULL,'
                '   has_written = true, held_until = clock_timestamp()'
                ' WHERE tenant_id = $1 AND body IS NOT NULL AND EXISTS'
                ' (SELECT FROM unnest($2) AS name WHERE position(name IN body) > 0)'
          USING tenant, names;
        GET DIAGNOSTICS gone = ROW_COUNT;
    END IF;
    RETURN gone;
END $$;

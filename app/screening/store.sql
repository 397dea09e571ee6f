-- Queries for app/screening/store.py. One function there per query here, same name.

-- name: current_versions
SELECT id, name, title, version, published_at, loaded_at, source, sha256, entries,
       seconds_per_entity, topics, entry_topics, tenant_id
  FROM watchlists
 WHERE is_current AND (tenant_id IS NULL OR tenant_id = %(tenant_id)s)
 -- Should two have one name, everybody's comes last and so counts: it must never be hidden.
 ORDER BY name, tenant_id NULLS LAST;

-- name: get_version
SELECT id, name, title, version, published_at, loaded_at, source, sha256, entries,
       seconds_per_entity, topics, entry_topics, tenant_id
  FROM watchlists
 WHERE id = %(id)s;

-- name: list_versions
SELECT id, name, title, version, published_at, loaded_at, source, sha256, entries,
       seconds_per_entity, topics, entry_topics, tenant_id
  FROM watchlists
 WHERE name = %(name)s AND tenant_id IS NOT DISTINCT FROM %(tenant_id)s
   AND (tenant_id IS NULL OR retired_at IS NULL OR EXISTS (
        -- Versions of an own list that was deleted are gone, save for the jobs that cite them.
        SELECT FROM watchlists AS now
         WHERE now.name = %(name)s AND now.tenant_id = %(tenant_id)s AND now.is_current))
 ORDER BY loaded_at DESC, id DESC;

-- name: get_format
SELECT format FROM watchlists WHERE id = %(id)s;

-- name: get_validators
SELECT validators FROM watchlists
 WHERE name = %(name)s AND is_current AND tenant_id IS NULL;

-- name: set_validators
UPDATE watchlists SET validators = %(validators)s
 WHERE name = %(name)s AND is_current AND tenant_id IS NULL;

-- name: lock_list
-- Two programs that load one list at once would each compare with the version before the other.
SELECT pg_advisory_xact_lock(hashtextextended('watchlist ' || %(name)s, 0));

-- name: reserve_id
SELECT nextval(pg_get_serial_sequence('watchlists', 'id')) AS id;

-- name: insert_version
INSERT INTO watchlists (id, name, title, version, format, published_at, source, sha256, validators,
                        topics, tenant_id, created_by)
VALUES (%(id)s, %(name)s, %(title)s, %(version)s, %(format)s, %(published_at)s, %(source)s,
        %(sha256)s, %(validators)s, %(topics)s, %(tenant_id)s, %(created_by)s);

-- name: copy_entries
COPY watchlist_entries (watchlist_id, entry_id, entry) FROM STDIN;

-- name: analyze_entries
-- Without it, comparing two versions right after the COPY is planned for an empty table.
ANALYZE watchlist_entries;

-- name: compare_versions
SELECT count(*) FILTER (WHERE before.entry_id IS NULL) AS added,
       count(*) FILTER (WHERE after.entry_id IS NULL) AS removed,
       count(*) FILTER (WHERE before.entry <> after.entry) AS changed
  FROM (SELECT entry_id, entry FROM watchlist_entries WHERE watchlist_id = %(before)s) AS before
  FULL JOIN (SELECT entry_id, entry FROM watchlist_entries WHERE watchlist_id = %(after)s) AS after
       USING (entry_id);

-- name: changed_entries
-- As they are in the later version: those that are new there, and those that were others.
SELECT after.entry::text AS entry
  FROM watchlist_entries AS after
  LEFT JOIN watchlist_entries AS before
    ON before.watchlist_id = %(before)s AND before.entry_id = after.entry_id
 WHERE after.watchlist_id = %(after)s AND after.entry IS DISTINCT FROM before.entry
 ORDER BY after.entry_id COLLATE "C"
 LIMIT %(limit)s;

-- name: touched_ids
-- Of the earlier version: those that are gone, and those that have changed.
SELECT before.entry_id
  FROM watchlist_entries AS before
  LEFT JOIN watchlist_entries AS after
    ON after.watchlist_id = %(after)s AND after.entry_id = before.entry_id
 WHERE before.watchlist_id = %(before)s AND before.entry IS DISTINCT FROM after.entry;

-- name: finish_version
UPDATE watchlists
   SET entries = %(entries)s, added = %(added)s, removed = %(removed)s, changed = %(changed)s,
       seconds_per_entity = %(seconds_per_entity)s,
       entry_topics = ARRAY(
           SELECT DISTINCT topic
             FROM watchlist_entries, jsonb_array_elements_text(entry -> 'topics') AS topic
            WHERE watchlist_id = %(id)s
            ORDER BY topic)
 WHERE id = %(id)s;

-- name: retire_current
UPDATE watchlists SET is_current = false, retired_at = now()
 WHERE name = %(name)s AND is_current AND tenant_id IS NOT DISTINCT FROM %(tenant_id)s;

-- name: make_current
UPDATE watchlists SET is_current = true WHERE id = %(id)s;

-- name: load_entries
-- By id in the order of bytes, so that every machine builds the same index.
SELECT entry::text
  FROM watchlist_entries
 WHERE watchlist_id = %(id)s
 ORDER BY entry_id COLLATE "C";

-- name: owners_of
-- Tenants that have a list of their own by this name.
SELECT count(*) AS owners FROM watchlists
 WHERE name = %(name)s AND is_current AND tenant_id IS NOT NULL;

-- name: count_own
SELECT count(*) AS lists FROM watchlists WHERE tenant_id = %(tenant_id)s AND is_current;

-- name: is_version_used
SELECT EXISTS (
    SELECT FROM watchlists
     WHERE tenant_id = %(tenant_id)s AND name = %(name)s AND version = %(version)s) AS used;

-- name: purge_retired
-- Own versions that no job cites. A day late, for jobs that were planned before and stored after.
DELETE FROM watchlists AS old
 WHERE old.tenant_id IS NOT NULL AND NOT old.is_current
   AND old.retired_at < now() - interval '1 day'
   AND NOT EXISTS (
       SELECT FROM jobs
        WHERE jobs.tenant_id = old.tenant_id
          AND jobs.options -> 'lists' -> old.name ->> 'id' = old.id::text);

-- name: get_entry
SELECT entry::text AS entry FROM watchlist_entries
 WHERE watchlist_id = %(id)s AND entry_id = %(entry_id)s;

-- name: list_refreshes
SELECT name, attempted_at, refreshed_at, problem FROM watchlist_refreshes;

-- name: claim_refresh
-- Only one gets the row back: the others find that somebody has just begun.
INSERT INTO watchlist_refreshes AS known (name, attempted_at) VALUES (%(name)s, now())
ON CONFLICT (name) DO UPDATE SET attempted_at = now()
 WHERE known.attempted_at < now() - make_interval(secs => %(pause)s)
RETURNING name;

-- name: note_refresh
INSERT INTO watchlist_refreshes (name, refreshed_at) VALUES (%(name)s, now())
ON CONFLICT (name) DO UPDATE SET refreshed_at = now(), problem = NULL;

-- name: note_problem
UPDATE watchlist_refreshes SET problem = %(problem)s WHERE name = %(name)s;

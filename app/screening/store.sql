-- Queries for app/screening/store.py. One function there per query here, same name.

-- name: current_versions
SELECT id, name, title, version, published_at, loaded_at, source, sha256, entries,
       seconds_per_entity
  FROM watchlists
 WHERE is_current
 ORDER BY name;

-- name: get_version
SELECT id, name, title, version, published_at, loaded_at, source, sha256, entries,
       seconds_per_entity
  FROM watchlists
 WHERE id = %(id)s;

-- name: list_versions
SELECT id, name, title, version, published_at, loaded_at, source, sha256, entries,
       seconds_per_entity
  FROM watchlists
 WHERE name = %(name)s
 ORDER BY loaded_at DESC, id DESC;

-- name: get_format
SELECT format FROM watchlists WHERE id = %(id)s;

-- name: get_validators
SELECT validators FROM watchlists WHERE name = %(name)s AND is_current;

-- name: set_validators
UPDATE watchlists SET validators = %(validators)s WHERE name = %(name)s AND is_current;

-- name: lock_list
-- Two programs that load one list at once would each compare with the version before the other.
SELECT pg_advisory_xact_lock(hashtextextended('watchlist ' || %(name)s, 0));

-- name: reserve_id
SELECT nextval(pg_get_serial_sequence('watchlists', 'id')) AS id;

-- name: insert_version
INSERT INTO watchlists (id, name, title, version, format, published_at, source, sha256, validators)
VALUES (%(id)s, %(name)s, %(title)s, %(version)s, %(format)s, %(published_at)s, %(source)s,
        %(sha256)s, %(validators)s);

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

-- name: finish_version
UPDATE watchlists
   SET entries = %(entries)s, added = %(added)s, removed = %(removed)s, changed = %(changed)s,
       seconds_per_entity = %(seconds_per_entity)s
 WHERE id = %(id)s;

-- name: retire_current
UPDATE watchlists SET is_current = false WHERE name = %(name)s AND is_current;

-- name: make_current
UPDATE watchlists SET is_current = true WHERE id = %(id)s;

-- name: load_entries
-- By id in the order of bytes, so that every machine builds the same index.
SELECT entry::text
  FROM watchlist_entries
 WHERE watchlist_id = %(id)s
 ORDER BY entry_id COLLATE "C";

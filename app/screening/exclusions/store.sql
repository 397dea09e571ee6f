-- Queries for app/screening/exclusions/store.py. One function there per query here, same name.

-- name: lock_entity
-- Two decisions about one pair at once would both find none in force.
SELECT pg_advisory_xact_lock(hashtextextended('exclusion ' || %(tenant_id)s || %(entity_id)s, 0));

-- name: insert
INSERT INTO exclusions (id, tenant_id, entity_id, list_name, entry_id, decision, reason, salt,
                        subject_hash, entry_hash, job_id, list_version, created_by)
VALUES (%(id)s, %(tenant_id)s, %(entity_id)s, %(list_name)s, %(entry_id)s, %(decision)s,
        %(reason)s, %(salt)s, %(subject_hash)s, %(entry_hash)s, %(job_id)s, %(list_version)s,
        %(created_by)s)
RETURNING *;

-- name: supersede
UPDATE exclusions SET revoked_at = now(), revoked_by = %(by)s
 WHERE tenant_id = %(tenant_id)s AND entity_id = %(entity_id)s AND list_name = %(list_name)s
   AND entry_id = %(entry_id)s AND revoked_at IS NULL;

-- name: revoke
-- Revoking twice keeps who did it first.
UPDATE exclusions
   SET revoked_at = coalesce(revoked_at, now()), revoked_by = coalesce(revoked_by, %(by)s)
 WHERE tenant_id = %(tenant_id)s AND id = %(id)s
RETURNING *;

-- name: find
SELECT * FROM exclusions WHERE tenant_id = %(tenant_id)s AND id = %(id)s;

-- name: in_force
SELECT * FROM exclusions
 WHERE tenant_id = %(tenant_id)s AND entity_id = ANY (%(entity_ids)s) AND revoked_at IS NULL;

-- name: list_page
SELECT * FROM exclusions
 WHERE tenant_id = %(tenant_id)s
   AND (%(entity_id)s IS NULL OR entity_id = %(entity_id)s)
   AND (%(list_name)s IS NULL OR list_name = %(list_name)s)
   AND (%(revoked)s IS NULL OR (revoked_at IS NOT NULL) = %(revoked)s)
   AND (%(before_at)s::timestamptz IS NULL
        OR (created_at, id) < (%(before_at)s::timestamptz, %(before_id)s::uuid))
 ORDER BY created_at DESC, id DESC
 LIMIT %(limit)s;

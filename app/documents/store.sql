-- Queries for app/documents/store.py. One function there per query here, same name.

-- name: lock_tenant
-- Two uploads at once would each find room for itself.
SELECT id FROM tenants WHERE id = %(tenant_id)s FOR NO KEY UPDATE;

-- name: stored_bytes
SELECT COALESCE(sum(size), 0)::bigint AS size FROM uploads WHERE tenant_id = %(tenant_id)s;

-- name: insert_upload
INSERT INTO uploads (id, tenant_id, name, size, sha256, data, created_by, expires_at)
VALUES (%(id)s, %(tenant_id)s, %(name)s, %(size)s, %(sha256)s, %(data)s, %(created_by)s,
        now() + make_interval(secs => %(seconds)s))
RETURNING id, name, size, sha256, created_at, expires_at;

-- name: load_upload
SELECT u.data, u.name
  FROM uploads u
 WHERE u.id = %(id)s AND u.tenant_id = %(tenant_id)s
   AND (u.expires_at > now() OR EXISTS (
        SELECT FROM upload_uses s JOIN jobs j ON j.id = s.job_id
         WHERE s.upload_id = u.id AND j.finished_at IS NULL));

-- name: present_uploads
SELECT id FROM uploads
 WHERE tenant_id = %(tenant_id)s AND id = ANY(%(ids)s::uuid[]) AND expires_at > now();

-- name: attach
-- Attaching twice leaves what the first time made. An upload that is not the tenant's, or gone,
-- is passed over: its item will say so. The lock waits for whoever is about to delete it.
INSERT INTO upload_uses (job_id, position, upload_id)
SELECT %(job_id)s, asked.position, u.id
  FROM unnest(%(positions)s::integer[], %(ids)s::uuid[]) AS asked (position, upload_id)
  JOIN uploads u ON u.id = asked.upload_id AND u.tenant_id = %(tenant_id)s
   FOR KEY SHARE OF u
ON CONFLICT (job_id, position) DO NOTHING;

-- name: lock_used
-- Two items that end at once would each see the other's use. A statement of its own: what follows
-- must see what whoever held the lock has done.
SELECT u.id
  FROM uploads u JOIN upload_uses s ON s.upload_id = u.id
 WHERE s.job_id = %(job_id)s AND s.position = %(position)s
   FOR UPDATE OF u;

-- name: release
-- The upload goes with its last use.
WITH done AS (
    DELETE FROM upload_uses WHERE job_id = %(job_id)s AND position = %(position)s
    RETURNING upload_id)
DELETE FROM uploads u USING done
 WHERE u.id = done.upload_id
   AND NOT EXISTS (
       SELECT FROM upload_uses s
        WHERE s.upload_id = u.id
          AND NOT (s.job_id = %(job_id)s AND s.position = %(position)s));

-- name: delete_upload
DELETE FROM uploads WHERE id = %(id)s AND tenant_id = %(tenant_id)s
RETURNING id;

-- name: purge
-- What has expired and no living job needs; of all tenants, or of one.
DELETE FROM uploads u
 WHERE u.expires_at <= now()
   AND (%(tenant_id)s::uuid IS NULL OR u.tenant_id = %(tenant_id)s::uuid)
   AND NOT EXISTS (
       SELECT FROM upload_uses s JOIN jobs j ON j.id = s.job_id
        WHERE s.upload_id = u.id AND j.finished_at IS NULL);

-- name: forget_expired
DELETE FROM idempotency_keys
 WHERE tenant_id = %(tenant_id)s AND digest = %(digest)s AND expires_at <= clock_timestamp();

-- name: claim
INSERT INTO idempotency_keys (tenant_id, digest, holder, held_until, expires_at)
SELECT id, %(digest)s, %(request)s, clock_timestamp() + make_interval(secs => %(seconds)s),
       clock_timestamp() + make_interval(secs => %(kept_seconds)s)
  FROM tenants
 WHERE id = %(tenant_id)s
    ON CONFLICT (tenant_id, digest) DO UPDATE
   SET holder = EXCLUDED.holder, held_until = EXCLUDED.held_until
 WHERE idempotency_keys.status IS NULL AND idempotency_keys.held_until <= clock_timestamp()
RETURNING fingerprint, has_written, job_id;

-- name: look
SELECT fingerprint, status, headers, body, held_until > clock_timestamp() AS is_held
  FROM idempotency_keys
 WHERE tenant_id = %(tenant_id)s AND digest = %(digest)s AND expires_at > clock_timestamp();

-- name: is_writing
SELECT pg_current_xact_id_if_assigned() IS NOT NULL AS is_writing;

-- name: note_write
UPDATE idempotency_keys
   SET has_written = true,
       fingerprint = coalesce(fingerprint, %(fingerprint)s),
       held_until = clock_timestamp() + make_interval(secs => %(seconds)s)
 WHERE tenant_id = %(tenant_id)s AND digest = %(digest)s AND holder = %(request)s
   AND status IS NULL;

-- name: note_job
UPDATE idempotency_keys
   SET job_id = %(job_id)s
 WHERE tenant_id = %(tenant_id)s AND digest = %(digest)s AND holder = %(request)s
   AND status IS NULL;

-- name: prolong
UPDATE idempotency_keys
   SET held_until = clock_timestamp() + make_interval(secs => %(seconds)s)
 WHERE tenant_id = %(tenant_id)s AND digest = %(digest)s AND holder = %(request)s
   AND status IS NULL;

-- name: keep_answer
UPDATE idempotency_keys
   SET status = %(http_status)s, headers = %(headers)s::jsonb, body = %(body)s,
       fingerprint = %(fingerprint)s
 WHERE tenant_id = %(tenant_id)s AND digest = %(digest)s AND holder = %(request)s
   AND status IS NULL;

-- name: forget
DELETE FROM idempotency_keys
 WHERE tenant_id = %(tenant_id)s AND digest = %(digest)s AND holder = %(request)s
   AND status IS NULL;

-- name: forget_writes
UPDATE idempotency_keys
   SET has_written = false, job_id = NULL
 WHERE tenant_id = %(tenant_id)s AND digest = %(digest)s AND holder = %(request)s
   AND status IS NULL;

-- name: forget_unwritten
DELETE FROM idempotency_keys
 WHERE tenant_id = %(tenant_id)s AND digest = %(digest)s AND holder = %(request)s
   AND status IS NULL AND NOT has_written AND fingerprint IS NULL;

-- name: let_go
UPDATE idempotency_keys
   SET held_until = clock_timestamp()
 WHERE tenant_id = %(tenant_id)s AND digest = %(digest)s AND holder = %(request)s
   AND status IS NULL;

-- name: purge
WITH gone AS (
    DELETE FROM idempotency_keys WHERE expires_at <= clock_timestamp() RETURNING 1
)
SELECT count(*) AS count FROM gone;

-- Queries for app/protection/store.py. One function there per query here, same name.

-- name: impatient
-- Do not queue up in front of others for a lock that somebody holds for longer.
SET LOCAL lock_timeout = '500ms';

-- name: set_retention
INSERT INTO tenant_retention (tenant_id, kind, seconds) VALUES (%(tenant_id)s, %(kind)s, %(seconds)s)
ON CONFLICT (tenant_id, kind) DO UPDATE SET seconds = excluded.seconds;

-- name: forget_retention
DELETE FROM tenant_retention WHERE tenant_id = %(tenant_id)s;

-- name: shortest
-- The shortest time that anybody keeps jobs of the kind; NULL: everybody for ever.
SELECT least(%(seconds)s::float, min(seconds)) AS seconds
  FROM tenant_retention WHERE kind = %(kind)s;

-- name: list_months
-- Over for so long that every job in it can be past its time.
SELECT name, parent, month, is_attached FROM month_partitions(%(kind)s)
 WHERE month + interval '1 month' < now() - make_interval(secs => %(seconds)s)
 ORDER BY month, name;

-- name: kept_months
-- In which somebody still keeps a job.
SELECT DISTINCT jobs.month
  FROM jobs LEFT JOIN tenant_retention AS own
       ON own.tenant_id = jobs.tenant_id AND own.kind = jobs.kind
       CROSS JOIN LATERAL (SELECT CASE WHEN own.kind IS NULL THEN %(seconds)s::float
                                       ELSE own.seconds END AS seconds) AS kept
 WHERE jobs.kind = %(kind)s AND jobs.month = ANY (%(months)s::date[])
   AND (jobs.finished_at IS NULL OR kept.seconds IS NULL
        OR jobs.finished_at > now() - make_interval(secs => kept.seconds));

-- name: used_months
SELECT DISTINCT month FROM jobs WHERE kind = %(kind)s AND month = ANY (%(months)s::date[]);

-- name: take_expired
-- Who keeps jobs for long waits until the whole month can go, but not for ever. What another prune
-- has in hand is passed over.
SELECT jobs.*
  FROM jobs LEFT JOIN tenant_retention AS own
       ON own.tenant_id = jobs.tenant_id AND own.kind = jobs.kind
       CROSS JOIN LATERAL (SELECT CASE WHEN own.kind IS NULL THEN %(seconds)s::float
                                       ELSE own.seconds END AS seconds) AS kept
 WHERE jobs.kind = %(kind)s AND jobs.finished_at >= %(after)s
   AND jobs.finished_at <= now() - make_interval(secs => %(shortest)s)
   AND jobs.finished_at <= now() - make_interval(secs => kept.seconds)
   AND (jobs.month = ANY (%(whole)s::date[]) OR kept.seconds < %(long)s
        OR jobs.finished_at <= now() - make_interval(secs => kept.seconds + %(grace)s))
 ORDER BY jobs.finished_at
 LIMIT %(limit)s
   FOR UPDATE OF jobs SKIP LOCKED;

-- name: count_expired
SELECT count(*) AS jobs, coalesce(sum(jobs.total), 0) AS items
  FROM jobs LEFT JOIN tenant_retention AS own
       ON own.tenant_id = jobs.tenant_id AND own.kind = jobs.kind
       CROSS JOIN LATERAL (SELECT CASE WHEN own.kind IS NULL THEN %(seconds)s::float
                                       ELSE own.seconds END AS seconds) AS kept
 WHERE jobs.kind = %(kind)s
   AND jobs.finished_at <= now() - make_interval(secs => %(shortest)s)
   AND jobs.finished_at <= now() - make_interval(secs => kept.seconds)
   AND (jobs.month = ANY (%(whole)s::date[]) OR kept.seconds < %(long)s
        OR jobs.finished_at <= now() - make_interval(secs => kept.seconds + %(grace)s));

-- name: expire_jobs
WITH gone AS (
    DELETE FROM jobs WHERE id = ANY (%(ids)s::uuid[]) AND finished_at IS NOT NULL
    RETURNING id, tenant_id)
INSERT INTO expired_jobs (id, tenant_id) SELECT id, tenant_id FROM gone
ON CONFLICT (id) DO NOTHING;

-- name: detach_month
SELECT detach_month(%(name)s) AS done;

-- name: drop_month
SELECT drop_month(%(name)s) AS done;

-- name: forget_expired
DELETE FROM expired_jobs
 WHERE id IN (SELECT id FROM expired_jobs
               WHERE expired_at < now() - make_interval(secs => %(seconds)s) LIMIT %(limit)s);

-- name: expire_checks
-- Checks of who is monitored, with what they found to be new, as old as the jobs that made them.
DELETE FROM monitor_checks
 WHERE id IN (
       SELECT monitor_checks.id
         FROM monitor_checks JOIN monitors ON monitors.id = monitor_id
         LEFT JOIN tenant_retention AS own
                ON own.tenant_id = monitors.tenant_id AND own.kind = 'kyc'
        CROSS JOIN LATERAL (SELECT CASE WHEN own.kind IS NULL THEN %(seconds)s::float
                                       ELSE own.seconds END AS seconds) AS kept
        WHERE finished_at <= now() - make_interval(secs => kept.seconds)
        LIMIT %(limit)s);

-- name: expire_exclusions
-- Decisions that were taken back, as long ago as jobs are kept.
DELETE FROM exclusions
 WHERE id IN (
       SELECT exclusions.id
         FROM exclusions
         LEFT JOIN tenant_retention AS own
                ON own.tenant_id = exclusions.tenant_id AND own.kind = 'kyc'
        CROSS JOIN LATERAL (SELECT CASE WHEN own.kind IS NULL THEN %(seconds)s::float
                                       ELSE own.seconds END AS seconds) AS kept
        WHERE revoked_at <= now() - make_interval(secs => kept.seconds)
        LIMIT %(limit)s);

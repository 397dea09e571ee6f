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
-- The rows of those whose month goes as a whole are still there.
WITH gone AS (
    DELETE FROM jobs WHERE id = ANY (%(ids)s::uuid[]) AND finished_at IS NOT NULL
    RETURNING id, tenant_id, kind, month)
INSERT INTO expired_jobs (id, tenant_id, kind, month, has_rows)
SELECT id, tenant_id, kind, month, month = ANY (%(whole)s::date[]) FROM gone
ON CONFLICT (id) DO NOTHING;

-- name: months_left
-- Months that hold rows of jobs which are gone.
SELECT DISTINCT kind, month FROM expired_jobs
 WHERE has_rows AND (%(kind)s::text IS NULL OR kind = %(kind)s)
   AND (%(tenant_id)s::uuid IS NULL OR tenant_id = %(tenant_id)s)
 ORDER BY kind, month;

-- name: note_dropped
UPDATE expired_jobs SET has_rows = false
 WHERE has_rows AND kind = %(kind)s AND month = %(month)s;

-- name: delete_left
WITH asked AS (
    UPDATE expired_jobs SET has_rows = false
     WHERE id IN (SELECT id FROM expired_jobs
                   WHERE has_rows AND kind = %(kind)s AND month = %(month)s
                     AND (%(tenant_id)s::uuid IS NULL OR tenant_id = %(tenant_id)s)
                   LIMIT %(limit)s
                     FOR UPDATE SKIP LOCKED)
    RETURNING id),
given AS (
    DELETE FROM items USING asked
     WHERE kind = %(kind)s AND month = %(month)s AND job_id = asked.id),
found AS (
    DELETE FROM results USING asked
     WHERE kind = %(kind)s AND month = %(month)s AND job_id = asked.id),
told AS (
    DELETE FROM job_events USING asked
     WHERE kind = %(kind)s AND month = %(month)s AND job_id = asked.id)
SELECT count(*) AS jobs FROM asked;

-- name: detach_month
SELECT detach_month(%(name)s) AS done;

-- name: drop_month
SELECT drop_month(%(name)s) AS done;

-- name: forget_expired
DELETE FROM expired_jobs
 WHERE id IN (SELECT id FROM expired_jobs
               WHERE expired_at < now() - make_interval(secs => %(seconds)s) AND NOT has_rows
               LIMIT %(limit)s);

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

-- name: begin_deletion
-- Of one that was broken off, the record goes on.
INSERT INTO deletions (id, tenant_id, scope, reference, requested_by)
VALUES (%(id)s, %(tenant_id)s, %(scope)s, %(reference)s, %(requested_by)s)
ON CONFLICT (tenant_id, scope, reference) WHERE finished_at IS NULL
   DO UPDATE SET requested_by = excluded.requested_by
RETURNING *;

-- name: note_deleted
UPDATE deletions
   SET counts = counts || jsonb_build_object(
           %(name)s::text, coalesce((counts ->> %(name)s)::bigint, 0) + %(rows)s)
 WHERE id = %(id)s;

-- name: allow_deletion
SELECT set_config('muster.deletion', %(id)s, true);

-- name: seal_deletion
SELECT seal_deletion(%(id)s);

-- name: show_deletion
SELECT * FROM deletions WHERE id = %(id)s;

-- name: list_deletions
SELECT * FROM deletions
 WHERE (%(tenant_id)s::uuid IS NULL OR tenant_id = %(tenant_id)s)
   AND (%(reference)s::text IS NULL OR reference = %(reference)s)
 ORDER BY began_at DESC, id DESC
 LIMIT %(limit)s;

-- name: check_deletions
-- Records whose digest is not that of what they say, or that do not follow on the one before.
SELECT number
  FROM (SELECT *, coalesce(lag(digest) OVER (ORDER BY number), repeat('0', 64)) AS before,
               row_number() OVER (ORDER BY number) AS place
          FROM deletions WHERE number IS NOT NULL) AS each
 WHERE previous <> before OR number <> place
    OR digest <> encode(sha256(convert_to(previous || E'\n' || entry, 'UTF8')), 'hex')
    OR (entry::jsonb -> 'counts', entry::jsonb ->> 'reference', entry::jsonb ->> 'requested_by',
        entry::jsonb ->> 'tenant_id', entry::jsonb ->> 'id', entry::jsonb ->> 'scope',
        (entry::jsonb ->> 'began_at')::bigint, (entry::jsonb ->> 'finished_at')::bigint)
       IS DISTINCT FROM (counts, reference, requested_by, tenant_id::text, id::text, scope,
                         epoch_ms(began_at), epoch_ms(finished_at))
 ORDER BY number;

-- name: list_living
SELECT * FROM jobs
 WHERE tenant_id = %(tenant_id)s AND finished_at IS NULL
   AND (%(ids)s::uuid[] IS NULL OR id = ANY (%(ids)s::uuid[]))
 LIMIT %(limit)s;

-- name: list_ended
-- Runs of verifications go with these.
SELECT * FROM jobs
 WHERE tenant_id = %(tenant_id)s AND finished_at IS NOT NULL
   AND NOT EXISTS (SELECT FROM verification_runs WHERE job_id = jobs.id)
 LIMIT %(limit)s
   FOR UPDATE SKIP LOCKED;

-- name: list_verifications
SELECT id FROM verifications
 WHERE tenant_id = %(tenant_id)s
   AND (%(ref)s::text IS NULL OR user_id = %(ref)s OR trace = %(ref)s)
 LIMIT %(limit)s;

-- name: lock_verification
-- A run that is dispatched meanwhile refers to it, and waits.
SELECT id FROM verifications WHERE id = %(id)s FOR UPDATE;

-- name: list_runs
SELECT jobs.* FROM jobs JOIN verification_runs ON job_id = jobs.id
 WHERE verification_id = %(verification_id)s;

-- name: delete_verification
-- Everything of it; jobs follow, which these rows refer to.
WITH gates AS (DELETE FROM verification_gates WHERE verification_id = %(id)s),
     audit AS (DELETE FROM verification_audit WHERE verification_id = %(id)s RETURNING 1),
     found AS (DELETE FROM screenings WHERE verification_id = %(id)s RETURNING 1),
     runs AS (DELETE FROM verification_runs WHERE verification_id = %(id)s RETURNING 1),
     people AS (DELETE FROM stakeholders WHERE verification_id = %(id)s RETURNING 1),
     gone AS (DELETE FROM verifications WHERE id = %(id)s RETURNING 1)
SELECT (SELECT count(*) FROM audit) AS verification_audit,
       (SELECT count(*) FROM found) AS screenings,
       (SELECT count(*) FROM runs) AS verification_runs,
       (SELECT count(*) FROM people) AS stakeholders,
       (SELECT count(*) FROM gone) AS verifications;

-- name: delete_jobs
DELETE FROM jobs WHERE id = ANY (%(ids)s::uuid[]);

-- name: delete_rows
WITH asked AS (SELECT kind, month, id FROM jobs WHERE id = %(id)s),
     given AS (DELETE FROM items USING asked
                WHERE items.kind = asked.kind AND items.month = asked.month
                  AND items.job_id = asked.id RETURNING 1),
     found AS (DELETE FROM results USING asked
                WHERE results.kind = asked.kind AND results.month = asked.month
                  AND results.job_id = asked.id RETURNING 1),
     told AS (DELETE FROM job_events USING asked
               WHERE job_events.kind = asked.kind AND job_events.month = asked.month
                 AND job_events.job_id = asked.id RETURNING 1)
SELECT (SELECT count(*) FROM given) AS items, (SELECT count(*) FROM found) AS results,
       (SELECT count(*) FROM told) AS job_events;

-- name: close_doors
-- Nobody signs in or calls for the tenant any more. Who belongs to no other one goes.
WITH keys AS (DELETE FROM api_keys WHERE tenant_id = %(tenant_id)s RETURNING 1),
     tokens AS (DELETE FROM refresh_tokens WHERE tenant_id = %(tenant_id)s RETURNING 1),
     members AS (DELETE FROM memberships WHERE tenant_id = %(tenant_id)s RETURNING user_id),
     people AS (DELETE FROM users USING members
                 WHERE users.id = members.user_id
                   AND NOT EXISTS (SELECT FROM memberships AS other
                                    WHERE other.user_id = users.id
                                      AND other.tenant_id <> %(tenant_id)s)
                RETURNING 1)
SELECT (SELECT count(*) FROM keys) AS api_keys, (SELECT count(*) FROM tokens) AS refresh_tokens,
       (SELECT count(*) FROM members) AS memberships, (SELECT count(*) FROM people) AS users;

-- name: give_up_images
-- What an object store holds goes before the row that says so.
UPDATE face_images SET is_done = true
 WHERE tenant_id = %(tenant_id)s AND object_size IS NOT NULL AND NOT is_done;

-- name: count_objects
SELECT count(*) AS objects FROM face_images
 WHERE tenant_id = %(tenant_id)s AND object_size IS NOT NULL;

-- name: tables_of_tenants
SELECT name FROM tables_of_tenants() AS name;

-- name: delete_of_tenant
SELECT delete_of_tenant(%(name)s, %(tenant_id)s, %(limit)s) AS rows;

-- name: delete_below_tenant
SELECT delete_below_tenant(%(name)s, %(link)s, %(parent)s, %(tenant_id)s, %(limit)s) AS rows;

-- name: lock_tenant
SELECT id FROM tenants WHERE id = %(tenant_id)s FOR UPDATE;

-- name: has_work
SELECT EXISTS (SELECT FROM jobs WHERE tenant_id = %(tenant_id)s)
    OR EXISTS (SELECT FROM verifications WHERE tenant_id = %(tenant_id)s) AS is_left;

-- name: delete_tenant
DELETE FROM tenants WHERE id = %(tenant_id)s;

-- name: find_items
-- Of all jobs of the tenant, those about the subject. Job by job, which is what OFFSET 0 is for: else
-- the items of all tenants would be read.
SELECT jobs.id AS job_id, each.position
  FROM jobs
 CROSS JOIN LATERAL (
       SELECT items.position FROM items
        WHERE items.kind = jobs.kind AND items.month = jobs.month AND items.job_id = jobs.id
          AND items.ref = %(ref)s
       OFFSET 0) AS each
 WHERE jobs.tenant_id = %(tenant_id)s
 ORDER BY jobs.created_at, jobs.id, each.position;

-- name: find_answers
-- Searches for a face that found the subject; `text` is what the result has to hold, and of what
-- is sealed nobody here can tell.
SELECT jobs.id AS job_id, each.position, each.result
  FROM jobs
 CROSS JOIN LATERAL (
       SELECT results.position, results.result::text AS result FROM results
        WHERE results.kind = 'faces' AND results.month = jobs.month AND results.job_id = jobs.id
          AND (position(%(text)s IN results.result::text) > 0
               OR json_typeof(results.result) = 'string')
       OFFSET 0) AS each
 WHERE jobs.tenant_id = %(tenant_id)s AND jobs.kind = 'faces'
 ORDER BY jobs.created_at, jobs.id, each.position;

-- name: erase_items
UPDATE items SET ref = %(word)s, payload = %(payload)s
 WHERE kind = %(kind)s AND month = %(month)s AND job_id = %(job_id)s
   AND position = ANY (%(positions)s);

-- name: erase_results
-- The item has failed from now on, and the counts of its job say so.
WITH known AS (
    SELECT kind, month, job_id, position, status, matches FROM results
     WHERE kind = %(kind)s AND month = %(month)s AND job_id = %(job_id)s
       AND position = ANY (%(positions)s)),
erased AS (
    UPDATE results
       SET status = 'failed', matches = 0, result = NULL, error_code = %(word)s,
           error_message = %(message)s
      FROM known
     WHERE results.kind = known.kind AND results.month = known.month
       AND results.job_id = known.job_id AND results.position = known.position
       AND results.kind = %(kind)s AND results.month = %(month)s),
lost AS (
    SELECT count(*) FILTER (WHERE status = 'succeeded') AS good, coalesce(sum(matches), 0) AS matches,
           count(*) AS all
      FROM known),
told AS (
    UPDATE jobs SET succeeded = succeeded - good, failed = failed + good,
                    matches = jobs.matches - lost.matches, version = version + 1,
                    updated_at = clock_timestamp()
      FROM lost WHERE jobs.id = %(job_id)s)
SELECT lost.all AS results FROM lost;

-- name: release_uploads
-- Documents that were sent for the items alone.
WITH freed AS (
    DELETE FROM upload_uses
     WHERE job_id = %(job_id)s AND position = ANY (%(positions)s) RETURNING upload_id),
gone AS (
    DELETE FROM uploads USING freed
     WHERE uploads.id = freed.upload_id
       AND NOT EXISTS (SELECT FROM upload_uses AS other
                        WHERE other.upload_id = uploads.id
                          AND (other.job_id <> %(job_id)s
                               OR other.position <> ALL (%(positions)s)))
    RETURNING 1)
SELECT count(*) AS uploads FROM gone;

-- name: delete_decisions
DELETE FROM exclusions WHERE tenant_id = %(tenant_id)s AND entity_id = %(ref)s;

-- name: lock_monitors
-- A check that is being closed writes what was found of the subject: it is waited for.
SELECT id FROM monitors WHERE tenant_id = %(tenant_id)s ORDER BY id FOR UPDATE;

-- name: delete_watched
WITH mine AS (SELECT id FROM monitors WHERE tenant_id = %(tenant_id)s),
     changes AS (DELETE FROM monitor_changes USING mine
                  WHERE monitor_id = mine.id AND entity_id = %(ref)s RETURNING 1),
     hits AS (DELETE FROM monitor_hits USING mine
               WHERE monitor_id = mine.id AND entity_id = %(ref)s RETURNING 1),
     people AS (DELETE FROM monitor_subjects USING mine
                 WHERE monitor_id = mine.id AND entity_id = %(ref)s RETURNING 1)
SELECT (SELECT count(*) FROM changes) AS monitor_changes, (SELECT count(*) FROM hits) AS monitor_hits,
       (SELECT count(*) FROM people) AS monitor_subjects;

-- name: find_faces
SELECT collection_id, array_agg(faces.id) AS ids
  FROM faces JOIN collections ON collections.id = collection_id
 WHERE tenant_id = %(tenant_id)s AND external_id = %(ref)s
 GROUP BY collection_id ORDER BY collection_id;

-- name: delete_answers
SELECT delete_answers(%(tenant_id)s, %(names)s) AS rows;

-- name: page_jobs
-- Every job there is, in some order that lasts.
SELECT * FROM jobs WHERE id > %(after)s ORDER BY id LIMIT %(limit)s;

-- name: count_jobs
SELECT count(*) AS jobs FROM jobs;

-- name: list_unsealed
-- Items and results of a job that the first key has not sealed. Locked: nobody changes them
-- between reading and writing.
SELECT position, payload::text AS text FROM items
 WHERE kind = %(kind)s AND month = %(month)s AND job_id = %(job_id)s
   AND position >= %(first)s AND left(payload::text, %(length)s) <> %(prefix)s
 ORDER BY position LIMIT %(limit)s FOR UPDATE;

-- name: list_unsealed_results
SELECT position, result::text AS text FROM results
 WHERE kind = %(kind)s AND month = %(month)s AND job_id = %(job_id)s AND result IS NOT NULL
   AND position >= %(first)s AND left(result::text, %(length)s) <> %(prefix)s
 ORDER BY position LIMIT %(limit)s FOR UPDATE;

-- name: seal_items
UPDATE items SET payload = given.text::json
  FROM json_to_recordset(%(rows)s::json) AS given (position integer, text text)
 WHERE kind = %(kind)s AND month = %(month)s AND job_id = %(job_id)s
   AND items.position = given.position;

-- name: seal_results
UPDATE results SET result = given.text::json
  FROM json_to_recordset(%(rows)s::json) AS given (position integer, text text)
 WHERE kind = %(kind)s AND month = %(month)s AND job_id = %(job_id)s
   AND results.position = given.position;

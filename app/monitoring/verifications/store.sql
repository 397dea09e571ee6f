-- Queries for app/monitoring/verifications/store.py. One function there per query, same name.

-- name: set_monitoring
INSERT INTO verification_monitoring AS known (verification_id, frequency, next_run_at)
SELECT id, %(frequency)s, CASE WHEN screened_at IS NULL THEN now()
                               ELSE screened_at + %(interval)s END
  FROM verifications WHERE id = %(verification_id)s
ON CONFLICT (verification_id) DO UPDATE
   SET frequency = EXCLUDED.frequency, next_run_at = EXCLUDED.next_run_at, vain_runs = 0,
       updated_at = now()
RETURNING *;

-- name: watch
INSERT INTO verification_watched (verification_id, stakeholder_id)
SELECT %(verification_id)s::uuid, NULL
 UNION ALL
SELECT verification_id, stakeholder_id FROM stakeholders
 WHERE verification_id = %(verification_id)s
ON CONFLICT DO NOTHING;

-- name: find_monitoring
SELECT * FROM verification_monitoring WHERE verification_id = %(verification_id)s;

-- name: stop_monitoring
DELETE FROM verification_monitoring WHERE verification_id = %(verification_id)s;

-- name: list_due
-- Whose time has come, and those that an older engine screened; but these not at once after a run:
-- while workers are replaced, some are older than we are.
SELECT known.verification_id, whole.tenant_id, whole.trace,
       (SELECT run.job_id FROM verification_runs AS run
         WHERE run.verification_id = known.verification_id AND run.type = 'watchlist'
         ORDER BY run.requested_at DESC, run.job_id DESC LIMIT 1) AS last_run_id
  FROM verification_monitoring AS known JOIN verifications AS whole ON whole.id = known.verification_id
 WHERE (known.next_run_at <= now()
        OR known.next_run_at IS NULL AND known.frequency = 'on_update'
           AND known.engine_version < %(engine)s
           AND known.synced_at < now() - make_interval(secs => %(again)s))
   AND NOT EXISTS (SELECT FROM verification_runs AS run JOIN jobs ON jobs.id = run.job_id
                    WHERE run.verification_id = known.verification_id
                      AND jobs.finished_at IS NULL)
 ORDER BY known.next_run_at
 LIMIT %(limit)s;

-- name: lock_verification
SELECT FROM verifications WHERE id = %(verification_id)s FOR NO KEY UPDATE;

-- name: is_as_found
-- In a statement of its own: it sees what was written while the one above waited.
SELECT %(last_run_id)s::uuid IS NOT DISTINCT FROM
       (SELECT run.job_id FROM verification_runs AS run
         WHERE run.verification_id = %(verification_id)s AND run.type = 'watchlist'
         ORDER BY run.requested_at DESC, run.job_id DESC LIMIT 1) AS is_as_found;

-- name: note_dispatched
-- Until the run has completed, and `sync` knows when the next one is due.
UPDATE verification_monitoring
   SET next_run_at = now() + least(make_interval(secs => %(seconds)s) * 2::float8 ^ least(vain_runs, 20),
                          (%(longest)s::jsonb ->> frequency)::interval), vain_runs = vain_runs + 1
 WHERE verification_id = %(verification_id)s;

-- name: sync
-- Takes down which versions completed runs have searched: what the verification knows from then on.
-- A list that failed for one of its subjects it does not know; another run comes after a while. One
-- that was withdrawn, and not searched any more, it forgets.
WITH fresh AS (
    SELECT known.verification_id, whole.tenant_id, whole.screened_at, latest.job_id, latest.lists
      FROM verification_monitoring AS known
      JOIN verifications AS whole ON whole.id = known.verification_id
     CROSS JOIN LATERAL (
           SELECT jobs.id AS job_id, jobs.options -> 'lists' AS lists
             FROM verification_runs AS run JOIN jobs ON jobs.id = run.job_id
            WHERE run.verification_id = known.verification_id AND run.type = 'watchlist'
              AND jobs.state = 'completed'
            ORDER BY jobs.finished_at DESC LIMIT 1) AS latest
     WHERE whole.screened_at > coalesce(known.synced_at, '-infinity')
     LIMIT %(limit)s),
failed AS (
    SELECT DISTINCT fresh.verification_id, source ->> 'source' AS list_name
      FROM fresh JOIN screenings AS each USING (job_id),
           json_array_elements(each.sources_checked) AS source
     WHERE source ->> 'status' <> 'ok' AND fresh.lists ? (source ->> 'source')),
written AS (
    INSERT INTO verification_lists AS known (verification_id, list_name, version_id)
    SELECT fresh.verification_id, each.key, (each.value ->> 'id')::bigint
      FROM fresh, jsonb_each(fresh.lists) AS each
     WHERE (fresh.verification_id, each.key) NOT IN (SELECT verification_id, list_name FROM failed)
    ON CONFLICT (verification_id, list_name) DO UPDATE
       -- A list update may have been taken up while the run went on. But ids follow the order in
       -- which versions were begun, and the one in force may have the lower.
       SET version_id = CASE WHEN EXISTS (SELECT FROM watchlists AS current
                                           WHERE current.id = EXCLUDED.version_id
                                             AND current.is_current)
                             THEN EXCLUDED.version_id
                             ELSE greatest(known.version_id, EXCLUDED.version_id) END),
withdrawn AS (
    DELETE FROM verification_lists AS known USING fresh
     WHERE known.verification_id = fresh.verification_id AND NOT fresh.lists ? known.list_name
       AND NOT EXISTS (SELECT FROM watchlists AS current
                        WHERE current.name = known.list_name AND current.is_current
                          AND (current.tenant_id IS NULL OR current.tenant_id = fresh.tenant_id)))
UPDATE verification_monitoring AS known
   SET synced_at = fresh.screened_at,
       -- By the oldest of the workers; where others alone were asked, it makes no difference.
       engine_version = coalesce(
           (SELECT min((source ->> 'engineVersion')::integer)
              FROM screenings AS each, json_array_elements(each.sources_checked) AS source
             WHERE each.job_id = fresh.job_id), %(engine)s),
       retry_at = CASE WHEN known.verification_id IN (SELECT verification_id FROM failed)
                       THEN now() + least(make_interval(secs => %(seconds)s) * 2::float8 ^ least(greatest(known.vain_runs - 1, 0), 20),
                          (%(longest)s::jsonb ->> known.frequency)::interval)
                       END,
       vain_runs = CASE WHEN known.verification_id IN (SELECT verification_id FROM failed)
                        THEN known.vain_runs ELSE 0 END,
       next_run_at = fresh.screened_at + (%(intervals)s::jsonb ->> known.frequency)::interval
  FROM fresh
 WHERE known.verification_id = fresh.verification_id;

-- name: list_outdated
-- Whoever waits because a run was in vain waits only for the versions that were searched in vain.
SELECT known.verification_id, whole.tenant_id, whole.trace,
       (SELECT run.job_id FROM verification_runs AS run
         WHERE run.verification_id = known.verification_id AND run.type = 'watchlist'
         ORDER BY run.requested_at DESC, run.job_id DESC LIMIT 1) AS last_run_id,
       current.name AS list_name,
       current.id AS version_id, lists.version_id AS known_id
  FROM verification_monitoring AS known
  JOIN verifications AS whole ON whole.id = known.verification_id
  JOIN watchlists AS current
    ON current.is_current AND (current.tenant_id IS NULL OR current.tenant_id = whole.tenant_id)
  LEFT JOIN verification_lists AS lists
    ON lists.verification_id = known.verification_id AND lists.list_name = current.name
 WHERE known.frequency = 'on_update' AND known.synced_at IS NOT NULL
   AND (%(list_name)s::text IS NULL OR current.name = %(list_name)s)
   AND lists.version_id IS DISTINCT FROM current.id
   AND (known.retry_at IS NULL OR known.retry_at < now()
        OR NOT EXISTS (SELECT FROM verification_runs AS run JOIN jobs ON jobs.id = run.job_id
                        WHERE run.verification_id = known.verification_id
                          AND jobs.options -> 'lists' -> current.name ->> 'id' = current.id::text))
   AND NOT EXISTS (SELECT FROM verification_runs AS run JOIN jobs ON jobs.id = run.job_id
                    WHERE run.verification_id = known.verification_id
                      AND jobs.finished_at IS NULL)
 ORDER BY current.name, known.verification_id;

-- name: list_withdrawn
-- Verifications that know a list which is not in force any more.
SELECT known.verification_id, whole.tenant_id, whole.trace, lists.list_name,
       (SELECT run.job_id FROM verification_runs AS run
         WHERE run.verification_id = known.verification_id AND run.type = 'watchlist'
         ORDER BY run.requested_at DESC, run.job_id DESC LIMIT 1) AS last_run_id
  FROM verification_monitoring AS known
  JOIN verifications AS whole ON whole.id = known.verification_id
  JOIN verification_lists AS lists ON lists.verification_id = known.verification_id
 WHERE known.frequency = 'on_update'
   AND NOT EXISTS (SELECT FROM watchlists AS current
                    WHERE current.name = lists.list_name AND current.is_current
                      AND (current.tenant_id IS NULL OR current.tenant_id = whole.tenant_id))
   AND (known.retry_at IS NULL OR known.retry_at < now())
   AND NOT EXISTS (SELECT FROM verification_runs AS run JOIN jobs ON jobs.id = run.job_id
                    WHERE run.verification_id = known.verification_id
                      AND jobs.finished_at IS NULL)
 ORDER BY known.verification_id
 LIMIT %(limit)s;

-- name: forget_list
DELETE FROM verification_lists
 WHERE verification_id = %(verification_id)s AND list_name = %(list_name)s;

-- name: numbers
SELECT watched.number
  FROM verification_watched AS watched
  JOIN verification_monitoring AS known USING (verification_id)
 WHERE known.frequency = 'on_update';

-- name: watched
-- With the entity as it was sent: of the verification, or of the stakeholder.
SELECT watched.number, coalesce(behind.entity, whole.entity)::text
  FROM verification_watched AS watched
  JOIN verification_monitoring AS known USING (verification_id)
  JOIN verifications AS whole ON whole.id = watched.verification_id
  LEFT JOIN stakeholders AS behind
    ON behind.verification_id = watched.verification_id
   AND behind.stakeholder_id = watched.stakeholder_id
 WHERE known.frequency = 'on_update'
   AND (%(numbers)s::bigint[] IS NULL OR watched.number = ANY (%(numbers)s::bigint[]));

-- name: whose_numbers
SELECT DISTINCT verification_id FROM verification_watched
 WHERE number = ANY (%(numbers)s::bigint[]) AND verification_id = ANY (%(verification_ids)s::uuid[]);

-- name: holders
-- Those with a screening, ever, that has one of these entries: a few too many, and none too few.
SELECT DISTINCT each.verification_id
  FROM screenings AS each,
       json_array_elements(each.matched_sources) AS source,
       json_array_elements(source -> 'records') AS record
 WHERE each.verification_id = ANY (%(verification_ids)s::uuid[]) AND each.total_hits > 0
   AND source ->> 'source' = %(list_name)s
   AND (%(entry_ids)s::text[] IS NULL OR record ->> 'id' = ANY (%(entry_ids)s::text[]));

-- name: set_list
INSERT INTO verification_lists AS known (verification_id, list_name, version_id)
SELECT each, %(list_name)s, %(version_id)s FROM unnest(%(verification_ids)s::uuid[]) AS each
ON CONFLICT (verification_id, list_name) DO UPDATE SET version_id = EXCLUDED.version_id;

-- name: retry_later
UPDATE verification_monitoring
   SET retry_at = now() + least(make_interval(secs => %(seconds)s) * 2::float8 ^ least(vain_runs, 20),
                          (%(longest)s::jsonb ->> frequency)::interval), vain_runs = vain_runs + 1
 WHERE verification_id = %(verification_id)s;

-- name: list_completed
-- Runs of a verification that completed, the newest first, from before the given place on.
SELECT run.job_id, jobs.external_id AS run_id, run.source_action, run.requested_at
  FROM verification_runs AS run JOIN jobs ON jobs.id = run.job_id
 WHERE run.verification_id = %(verification_id)s AND run.type = 'watchlist'
   AND jobs.state = 'completed'
   AND (%(before_at)s::timestamptz IS NULL
        OR (run.requested_at, run.job_id) < (%(before_at)s::timestamptz, %(before_id)s::uuid))
 ORDER BY run.requested_at DESC, run.job_id DESC
 LIMIT %(limit)s;

-- name: last_answers
-- Of each subject and source: the last run that completed before the given one and in which the
-- source did not fail. It may not have been asked then.
SELECT key.stakeholder_id, key.source, last.matched_sources
  FROM json_to_recordset(%(keys)s) AS key (stakeholder_id text, source text)
 CROSS JOIN LATERAL (
       SELECT each.matched_sources
         FROM screenings AS each
         JOIN verification_runs AS run USING (job_id)
         JOIN jobs ON jobs.id = run.job_id
        WHERE run.verification_id = %(verification_id)s AND run.type = 'watchlist'
          AND jobs.state = 'completed'
          AND (run.requested_at, run.job_id) < (%(before_at)s::timestamptz, %(before_id)s::uuid)
          AND each.stakeholder_id IS NOT DISTINCT FROM key.stakeholder_id
          AND NOT EXISTS (SELECT FROM json_array_elements(each.sources_checked) AS checked
                           WHERE checked ->> 'source' = key.source
                             AND checked ->> 'status' <> 'ok')
        ORDER BY run.requested_at DESC, run.job_id DESC
        LIMIT 1) AS last;

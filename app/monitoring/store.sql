-- Queries for app/monitoring/store.py. One function there per query here, same name.

-- name: insert_monitor
INSERT INTO monitors (id, tenant_id, name, description, check_frequency, lists, threshold,
                      search_type, on_new_match, on_status_change, created_by, next_check_at)
VALUES (%(id)s, %(tenant_id)s, %(name)s, %(description)s, %(check_frequency)s, %(lists)s,
        %(threshold)s, %(search_type)s, %(on_new_match)s, %(on_status_change)s, %(created_by)s,
        now() + %(interval)s)
ON CONFLICT (tenant_id, name) DO NOTHING
RETURNING *;

-- name: find_monitor
SELECT * FROM monitors WHERE tenant_id = %(tenant_id)s AND id = %(id)s;

-- name: lock_monitor_soon
-- The time holds for every other lock of the transaction too.
SET LOCAL lock_timeout = %(milliseconds)s;
SELECT * FROM monitors WHERE id = %(id)s FOR UPDATE;

-- name: lock_monitor
SELECT * FROM monitors WHERE id = %(id)s FOR UPDATE;

-- name: list_monitors
SELECT * FROM monitors
 WHERE tenant_id = %(tenant_id)s
   AND (%(before_at)s::timestamptz IS NULL
        OR (created_at, id) < (%(before_at)s::timestamptz, %(before_id)s::uuid))
 ORDER BY created_at DESC, id DESC
 LIMIT %(limit)s;

-- name: is_name_taken
SELECT EXISTS (
    SELECT FROM monitors
     WHERE tenant_id = %(tenant_id)s AND name = %(name)s AND id <> %(id)s) AS taken;

-- name: update_monitor
UPDATE monitors
   SET name = %(name)s, description = %(description)s, check_frequency = %(check_frequency)s,
       lists = %(lists)s, threshold = %(threshold)s, search_type = %(search_type)s,
       on_new_match = %(on_new_match)s, on_status_change = %(on_status_change)s,
       -- A check that is to be made again soon, because one failed, is made all the same.
       next_check_at = CASE WHEN check_frequency = %(check_frequency)s THEN next_check_at ELSE
           least(CASE WHEN next_check_at <= vain_until THEN next_check_at END,
                 coalesce(checked_at, now()) + %(interval)s) END,
       updated_at = now()
 WHERE id = %(id)s
RETURNING *;

-- name: delete_monitor
DELETE FROM monitors WHERE tenant_id = %(tenant_id)s AND id = %(id)s;

-- name: count_subjects
SELECT count(*) AS subjects FROM monitor_subjects WHERE monitor_id = %(monitor_id)s;

-- name: count_hits
SELECT count(*) AS hits FROM monitor_hits
 WHERE monitor_id = %(monitor_id)s
   AND (%(lists)s::text[] IS NULL OR list_name = ANY (%(lists)s::text[]));

-- name: has_more_hits
-- Without counting all of them.
SELECT FROM monitor_hits
 WHERE monitor_id = %(monitor_id)s
   AND (%(lists)s::text[] IS NULL OR list_name = ANY (%(lists)s::text[]))
OFFSET %(most)s LIMIT 1;

-- name: put_subjects
-- Who is put in again as he is keeps his number: nothing has to be done again.
INSERT INTO monitor_subjects AS known (monitor_id, entity_id, entity) VALUES %s
ON CONFLICT (monitor_id, entity_id) DO UPDATE
   SET entity = EXCLUDED.entity, number = DEFAULT, added_at = now(), screened_at = NULL
 WHERE known.entity::text <> EXCLUDED.entity::text
RETURNING (xmax = 0) AS is_new;

-- name: list_subjects
SELECT * FROM monitor_subjects
 WHERE monitor_id = %(monitor_id)s AND (%(after)s::text IS NULL OR entity_id > %(after)s)
 ORDER BY entity_id
 LIMIT %(limit)s;

-- name: find_subject
SELECT * FROM monitor_subjects
 WHERE monitor_id = %(monitor_id)s AND entity_id = %(entity_id)s;

-- name: remove_subjects
DELETE FROM monitor_subjects
 WHERE monitor_id = %(monitor_id)s AND entity_id = ANY (%(entity_ids)s::text[]);

-- name: forget_screening
-- What is searched, or how, has changed: nobody has been screened like this, nor will the check
-- that is under way.
UPDATE monitor_subjects SET number = DEFAULT, screened_at = NULL, added_at = now()
 WHERE monitor_id = %(monitor_id)s;

-- name: count_wanted
SELECT count(*) AS subjects FROM monitor_subjects
 WHERE monitor_id = %(monitor_id)s
   AND (%(entity_ids)s::text[] IS NULL OR entity_id = ANY (%(entity_ids)s::text[]))
   AND (NOT %(unscreened)s OR screened_at IS NULL)
   AND (%(added_after)s::timestamptz IS NULL OR added_at > %(added_after)s);

-- name: fill_job
-- The same subjects as items of a job, by entity_id: a million of them never leave Postgres.
INSERT INTO items (kind, month, job_id, position, ref, payload)
SELECT %(kind)s, %(month)s, %(job_id)s, row_number() OVER (ORDER BY entity_id) - 1, entity_id,
       entity
  FROM monitor_subjects
 WHERE monitor_id = %(monitor_id)s
   AND (%(entity_ids)s::text[] IS NULL OR entity_id = ANY (%(entity_ids)s::text[]))
   AND (NOT %(unscreened)s OR screened_at IS NULL)
   AND (%(added_after)s::timestamptz IS NULL OR added_at > %(added_after)s);

-- name: last_number
SELECT coalesce(max(number), 0) AS number FROM monitor_subjects
 WHERE monitor_id = %(monitor_id)s;

-- name: mark_screened
UPDATE monitor_subjects SET screened_at = %(at)s
 WHERE monitor_id = %(monitor_id)s AND entity_id = ANY (%(entity_ids)s::text[])
   AND number <= %(last_number)s;

-- name: mark_unscreened
-- Only those who are still as they were: who changed since waits already.
UPDATE monitor_subjects SET screened_at = NULL
 WHERE monitor_id = %(monitor_id)s AND entity_id = ANY (%(entity_ids)s::text[])
   AND number <= %(last_number)s;

-- name: numbers_of
SELECT entity_id, number FROM monitor_subjects
 WHERE monitor_id = %(monitor_id)s AND entity_id = ANY (%(entity_ids)s::text[]);

-- name: insert_check
INSERT INTO monitor_checks (id, monitor_id, cause, list_name, from_version, to_version, scope,
                            last_number, subjects, lists_missing, created_by)
VALUES (%(id)s, %(monitor_id)s, %(cause)s, %(list_name)s, %(from_version)s, %(to_version)s,
        %(scope)s, %(last_number)s, %(subjects)s, %(lists_missing)s, %(created_by)s)
ON CONFLICT (monitor_id) WHERE state = 'running' DO NOTHING
RETURNING *;

-- name: find_check
SELECT * FROM monitor_checks WHERE monitor_id = %(monitor_id)s AND id = %(id)s;

-- name: load_check
SELECT * FROM monitor_checks WHERE id = %(id)s;

-- name: owner_of
SELECT monitor_id FROM monitor_checks WHERE id = %(id)s;

-- name: lock_check
SELECT * FROM monitor_checks WHERE id = %(id)s FOR UPDATE;

-- name: running_check
SELECT * FROM monitor_checks WHERE monitor_id = %(monitor_id)s AND state = 'running';

-- name: list_checks
SELECT * FROM monitor_checks
 WHERE monitor_id = %(monitor_id)s
   AND (%(before_at)s::timestamptz IS NULL
        OR (created_at, id) < (%(before_at)s::timestamptz, %(before_id)s::uuid))
 ORDER BY created_at DESC, id DESC
 LIMIT %(limit)s;

-- name: list_ended
-- Checks whose job has ended, or is gone, and that nobody is closing.
SELECT checks.id, monitors.tenant_id
  FROM monitor_checks AS checks JOIN monitors ON monitors.id = checks.monitor_id
  LEFT JOIN jobs ON jobs.tenant_id = monitors.tenant_id AND jobs.dialect = %(dialect)s
                AND jobs.external_id = checks.id::text
 WHERE checks.state = 'running' AND (jobs.id IS NULL OR jobs.finished_at IS NOT NULL)
   AND (checks.claimed_till IS NULL OR checks.claimed_till < now())
 ORDER BY checks.created_at
 LIMIT %(limit)s;

-- name: claim_check
-- Whoever closes it has it locked: nobody waits for that.
UPDATE monitor_checks SET claimed_till = now() + make_interval(secs => %(seconds)s)
 WHERE id = (SELECT id FROM monitor_checks
              WHERE id = %(id)s AND state = 'running'
                AND (claimed_till IS NULL OR claimed_till < now())
                FOR UPDATE SKIP LOCKED)
RETURNING id;

-- name: hold_check
-- By the worker that is about to lock it, which keeps everybody else away from then on.
UPDATE monitor_checks SET claimed_till = now() + make_interval(secs => %(seconds)s)
 WHERE id = %(id)s AND state = 'running';

-- name: release_check
UPDATE monitor_checks SET claimed_till = NULL WHERE id = %(id)s;

-- name: finish_check
UPDATE monitor_checks
   SET state = 'completed', finished_at = clock_timestamp(), failed = %(failed)s,
       matches = %(matches)s, previous = %(previous)s, added = %(added)s, gone = %(gone)s,
       changed = %(changed)s, by_list = %(by_list)s, list_versions = %(list_versions)s
 WHERE id = %(id)s
RETURNING *;

-- name: fail_check
UPDATE monitor_checks
   SET state = 'failed', finished_at = clock_timestamp(), error_code = %(code)s,
       error_message = %(message)s
 WHERE id = %(id)s AND state = 'running'
RETURNING *;

-- name: note_checked
UPDATE monitors
   SET checked_at = now(), next_check_at = now() + %(interval)s, engine_version = %(engine)s
 WHERE id = %(id)s;

-- name: note_vain
-- The pause doubles with every such check, up to the longest. What a failed check should have found
-- is found by a later one, of everybody. The time for which it was made itself is over.
WITH pause AS (
    SELECT now() + least(make_interval(secs => %(seconds)s) * 2::float8 ^ least(vain_checks, 20),
                         %(longest)s) AS ends
      FROM monitors WHERE id = %(id)s)
UPDATE monitors
   SET vain_checks = vain_checks + 1, vain_since = %(since)s, vain_until = pause.ends,
       next_check_at = CASE WHEN NOT %(everybody)s THEN next_check_at ELSE
           least(CASE WHEN next_check_at > now() THEN next_check_at END, pause.ends) END
  FROM pause
 WHERE id = %(id)s;

-- name: note_good
-- If nobody is left whom it failed to screen.
UPDATE monitors SET vain_checks = 0, vain_since = NULL, vain_until = NULL
 WHERE id = %(id)s AND vain_checks > 0
   AND NOT EXISTS (SELECT FROM monitor_subjects AS subjects
                    WHERE subjects.monitor_id = monitors.id AND subjects.screened_at IS NULL
                      AND subjects.added_at <= monitors.vain_since);

-- name: load_hits
SELECT * FROM monitor_hits
 WHERE monitor_id = %(monitor_id)s AND entity_id = ANY (%(entity_ids)s::text[])
   AND (%(lists)s::text[] IS NULL OR list_name = ANY (%(lists)s::text[]));

-- name: list_hits
SELECT * FROM monitor_hits
 WHERE monitor_id = %(monitor_id)s
   AND (%(entity_id)s::text IS NULL OR entity_id = %(entity_id)s)
   AND (%(list_name)s::text IS NULL OR list_name = %(list_name)s)
   AND (%(after)s::text[] IS NULL OR ROW(entity_id, list_name, entry_id)
        > ROW((%(after)s::text[])[1], (%(after)s::text[])[2], (%(after)s::text[])[3]))
 ORDER BY entity_id, list_name, entry_id
 LIMIT %(limit)s;

-- name: put_hits
INSERT INTO monitor_hits (monitor_id, entity_id, list_name, entry_id, list_version, score,
                          fingerprint, detail) VALUES %s
ON CONFLICT (monitor_id, entity_id, list_name, entry_id) DO UPDATE
   SET list_version = EXCLUDED.list_version, score = EXCLUDED.score, detail = EXCLUDED.detail,
       changed_at = CASE WHEN monitor_hits.fingerprint = EXCLUDED.fingerprint
                         THEN monitor_hits.changed_at ELSE now() END,
       fingerprint = EXCLUDED.fingerprint;

-- name: delete_hits
DELETE FROM monitor_hits AS hits
 USING (VALUES %s) AS gone (monitor_id, entity_id, list_name, entry_id)
 WHERE hits.monitor_id = gone.monitor_id::uuid AND hits.entity_id = gone.entity_id
   AND hits.list_name = gone.list_name AND hits.entry_id = gone.entry_id;

-- name: holders
-- Of these monitors: whose hits an update may end or change.
SELECT DISTINCT hits.monitor_id, hits.entity_id
  FROM monitor_hits AS hits
 WHERE hits.list_name = %(list_name)s AND hits.entry_id = ANY (%(entry_ids)s::text[])
   AND hits.monitor_id = ANY (%(monitor_ids)s::uuid[]);

-- name: insert_changes
INSERT INTO monitor_changes (check_id, position, monitor_id, entity_id, list_name, entry_id, change,
                             is_alert, score, score_before, detail) VALUES %s;

-- name: list_changes
-- Check by check, and of each no more than a page: not all there ever were, for every page.
SELECT changes.*, checks.created_at
  FROM monitor_checks AS checks
 CROSS JOIN LATERAL (
       SELECT * FROM monitor_changes AS each
        WHERE each.check_id = checks.id
          AND (%(change)s::text IS NULL OR each.change = %(change)s)
          AND (NOT %(alerts)s OR each.is_alert)
          AND (%(before_id)s::uuid IS NULL OR checks.id <> %(before_id)s::uuid
               OR each.position > %(before_position)s::integer)
        ORDER BY each.position
        LIMIT %(limit)s) AS changes
 WHERE checks.monitor_id = %(monitor_id)s
   AND checks.added + checks.gone + checks.changed > 0
   AND (%(check_id)s::uuid IS NULL OR checks.id = %(check_id)s::uuid)
   AND (%(before_at)s::timestamptz IS NULL
        OR (checks.created_at, checks.id) <= (%(before_at)s::timestamptz, %(before_id)s::uuid))
 ORDER BY checks.created_at DESC, checks.id DESC, changes.position
 LIMIT %(limit)s;

-- name: set_lists
-- From here on the monitor waits for what comes after these versions.
INSERT INTO monitor_lists (monitor_id, list_name, version_id) VALUES %s
ON CONFLICT (monitor_id, list_name) DO UPDATE SET version_id = EXCLUDED.version_id;

-- name: known_lists
SELECT list_name, version_id FROM monitor_lists WHERE monitor_id = %(monitor_id)s;

-- name: forget_lists
DELETE FROM monitor_lists
 WHERE monitor_id = %(monitor_id)s AND list_name <> ALL (%(kept)s::text[]);

-- name: forget_list
DELETE FROM monitor_lists WHERE monitor_id = %(monitor_id)s AND list_name = %(list_name)s;

-- name: list_due
-- By the clock, those that were checked by an older engine, and those with subjects that nobody has
-- screened for a while; where a check was in vain, only those who came later, until its pause is
-- over. None of whose lists any is loaded: that would be in vain. While workers are replaced, some
-- are older than we are.
SELECT monitors.*, monitors.next_check_at <= now() AS by_clock, old.is_old,
       CASE WHEN monitors.vain_until > now() AND monitors.checked_at IS NOT NULL
            THEN monitors.vain_since END AS added_after
  FROM monitors
 CROSS JOIN LATERAL (
       SELECT monitors.check_frequency = 'on_update' AND monitors.engine_version < %(engine)s
              AND monitors.checked_at < now() - make_interval(secs => %(again)s)
              AND (monitors.vain_until IS NULL OR monitors.vain_until <= now()) AS is_old) AS old
 WHERE NOT EXISTS (SELECT FROM monitor_checks AS checks
                    WHERE checks.monitor_id = monitors.id AND checks.state = 'running')
   AND EXISTS (SELECT FROM monitor_subjects WHERE monitor_id = monitors.id)
   AND EXISTS (SELECT FROM watchlists AS current
                WHERE current.is_current
                  AND (current.tenant_id IS NULL OR current.tenant_id = monitors.tenant_id)
                  AND (monitors.lists IS NULL OR current.name = ANY (monitors.lists)))
   AND (monitors.next_check_at <= now()
        OR old.is_old
        OR EXISTS (SELECT FROM monitor_subjects AS subjects
                    WHERE subjects.monitor_id = monitors.id AND subjects.screened_at IS NULL
                      AND subjects.added_at < now() - make_interval(secs => %(patience)s)
                      AND (monitors.vain_until IS NULL OR monitors.vain_until <= now()
                           OR subjects.added_at > monitors.vain_since)))
 ORDER BY monitors.next_check_at NULLS LAST
 LIMIT %(limit)s;

-- name: list_reviewed
-- Monitors of tenants that decided about somebody, or ended a decision, since they were looked into;
-- with those of their subjects whom it concerns. Not those that never had a check: it comes.
SELECT monitors.*, changed.entity_ids, changed.upto
  FROM monitors
 CROSS JOIN LATERAL (
       SELECT max(greatest(each.created_at, each.revoked_at)) AS upto,
              array_agg(DISTINCT subjects.entity_id)
                  FILTER (WHERE subjects.entity_id IS NOT NULL) AS entity_ids
         FROM exclusions AS each
         LEFT JOIN monitor_subjects AS subjects
           ON subjects.monitor_id = monitors.id AND subjects.entity_id = each.entity_id
        WHERE each.tenant_id = monitors.tenant_id
          AND greatest(each.created_at, each.revoked_at) > monitors.reviewed_at
          AND greatest(each.created_at, each.revoked_at)
              < now() - make_interval(secs => %(patience)s)) AS changed
 WHERE changed.upto IS NOT NULL AND monitors.checked_at IS NOT NULL
   AND NOT EXISTS (SELECT FROM monitor_checks AS checks
                    WHERE checks.monitor_id = monitors.id AND checks.state = 'running')
 ORDER BY changed.upto
 LIMIT %(limit)s;

-- name: note_reviewed
UPDATE monitors SET reviewed_at = %(upto)s WHERE id = %(id)s;

-- name: list_outdated
-- Monitors that wait for changes of lists, each with a list that has another version in force than
-- the monitor knows. Not those that never had a check: they know nothing that could be outdated.
SELECT monitors.*, current.name AS list_name, current.id AS version_id,
       known.version_id AS known_id
  FROM monitors
  JOIN watchlists AS current
    ON current.is_current AND (current.tenant_id IS NULL OR current.tenant_id = monitors.tenant_id)
  LEFT JOIN monitor_lists AS known
    ON known.monitor_id = monitors.id AND known.list_name = current.name
 WHERE monitors.check_frequency = 'on_update' AND monitors.checked_at IS NOT NULL
   AND (%(list_name)s::text IS NULL OR current.name = %(list_name)s)
   AND (monitors.lists IS NULL OR current.name = ANY (monitors.lists))
   AND known.version_id IS DISTINCT FROM current.id
   AND NOT EXISTS (SELECT FROM monitor_checks AS checks
                    WHERE checks.monitor_id = monitors.id AND checks.state = 'running')
 ORDER BY current.name, known.version_id, monitors.id;

-- name: list_withdrawn
-- Monitors that know a list which is not in force any more.
SELECT monitors.*, known.list_name
  FROM monitors JOIN monitor_lists AS known ON known.monitor_id = monitors.id
 WHERE monitors.check_frequency = 'on_update'
   AND NOT EXISTS (SELECT FROM watchlists AS current
                    WHERE current.name = known.list_name AND current.is_current
                      AND (current.tenant_id IS NULL OR current.tenant_id = monitors.tenant_id))
   AND NOT EXISTS (SELECT FROM monitor_checks AS checks
                    WHERE checks.monitor_id = monitors.id AND checks.state = 'running')
 ORDER BY monitors.id
 LIMIT %(limit)s;

-- name: holders_on_list
SELECT DISTINCT entity_id FROM monitor_hits
 WHERE monitor_id = %(monitor_id)s AND list_name = %(list_name)s AND entity_id > %(after)s
 ORDER BY entity_id
 LIMIT %(limit)s;

-- name: count_holders
SELECT count(DISTINCT entity_id) AS holders FROM monitor_hits
 WHERE monitor_id = %(monitor_id)s AND list_name = %(list_name)s;

-- name: population_numbers
SELECT subjects.number
  FROM monitor_subjects AS subjects JOIN monitors ON monitors.id = subjects.monitor_id
 WHERE monitors.check_frequency = 'on_update';

-- name: population
SELECT subjects.number, subjects.entity::text
  FROM monitor_subjects AS subjects JOIN monitors ON monitors.id = subjects.monitor_id
 WHERE monitors.check_frequency = 'on_update'
   AND (%(numbers)s::bigint[] IS NULL OR subjects.number = ANY (%(numbers)s::bigint[]));

-- name: whose_numbers
SELECT monitor_id, entity_id FROM monitor_subjects
 WHERE number = ANY (%(numbers)s::bigint[]) AND monitor_id = ANY (%(monitor_ids)s::uuid[]);

-- name: claim_update
-- For a message that is sent: whoever works on it holds it then.
INSERT INTO monitor_updates AS known (list_name, claimed_till)
VALUES (%(list_name)s, now() + make_interval(secs => %(seconds)s))
ON CONFLICT (list_name) DO UPDATE SET claimed_till = EXCLUDED.claimed_till, holder = NULL
 WHERE known.claimed_till < now()
RETURNING list_name;

-- name: hold_update
-- By a worker: anew, or again to go on. Not if somebody else is at it.
INSERT INTO monitor_updates AS known (list_name, claimed_till, holder)
VALUES (%(list_name)s, now() + make_interval(secs => %(seconds)s), %(holder)s)
ON CONFLICT (list_name) DO UPDATE
   SET claimed_till = EXCLUDED.claimed_till, holder = EXCLUDED.holder
 WHERE known.holder IS NULL OR known.holder = EXCLUDED.holder OR known.claimed_till < now()
RETURNING list_name;

-- name: release_update
-- One's own alone; without a holder, what was sent and nobody has taken.
DELETE FROM monitor_updates
 WHERE list_name = %(list_name)s AND holder IS NOT DISTINCT FROM %(holder)s::uuid;

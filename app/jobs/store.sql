-- Queries for app/jobs/store.py. One function there per query here, same name.

-- name: insert_job
INSERT INTO jobs (id, tenant_id, kind, dialect, external_id, month, options, labels, queue,
                  chunk_size, total, created_by, retry_of, allowed_seconds)
VALUES (%(id)s, %(tenant_id)s, %(kind)s, %(dialect)s, %(external_id)s,
        date_trunc('month', now() AT TIME ZONE 'UTC')::date, %(options)s, %(labels)s, %(queue)s,
        %(chunk_size)s, %(total)s, %(created_by)s, %(retry_of)s, %(allowed_seconds)s)
ON CONFLICT (tenant_id, dialect, external_id) DO NOTHING
RETURNING *;

-- name: copy_items
COPY items (kind, month, job_id, position, ref, payload) FROM STDIN;

-- name: set_estimate
-- What stands ahead in the queue, and the median pace of the last finished jobs of that queue.
-- Tenants take turns: until this one has its own, each other gets at most as much.
-- Single checks, which have a queue of their own, say nothing of batches, nor do batches of a few
-- entities, whose time is spent on beginning and ending, of those that fill their chunks.
UPDATE jobs
   SET estimated_at = created_at + make_interval(secs => (ahead.items + jobs.total)
                      * coalesce(pace.seconds, %(calibrated_seconds)s))
  FROM (SELECT coalesce(sum(least(items, own + CASE WHEN is_own THEN 0 ELSE %(total)s END)), 0)
                   AS items
          FROM (SELECT items, is_own,
                       coalesce(sum(items) FILTER (WHERE is_own) OVER (), 0) AS own
                  FROM (SELECT tenant_id = %(tenant_id)s AS is_own,
                               sum(total - succeeded - failed) AS items
                          FROM jobs
                         WHERE kind = %(kind)s AND id <> %(id)s AND created_at <= now()
                           AND queue = %(queue)s AND state IN ('queued', 'running')
                         GROUP BY tenant_id) AS waiting) AS shares) AS ahead,
       (SELECT percentile_cont(0.5) WITHIN GROUP (
                   ORDER BY extract(epoch FROM finished_at - started_at) / total) AS seconds
          FROM (SELECT started_at, finished_at, total
                  FROM (SELECT started_at, finished_at, total
                          FROM jobs
                         WHERE kind = %(kind)s AND queue = %(queue)s AND state = 'completed'
                         ORDER BY finished_at DESC
                         LIMIT 500) AS finished
                 WHERE total >= least(%(total)s, %(chunk_size)s)
                 ORDER BY finished_at DESC
                 LIMIT 20) AS recent) AS pace
 WHERE jobs.id = %(id)s
RETURNING jobs.*;

-- name: chunks_before
SELECT coalesce(sum(CASE WHEN finished_at IS NULL
                         THEN ceil((total - succeeded - failed)::float / chunk_size)
                         ELSE ceil((succeeded + failed)::float / chunk_size) END), 0) AS chunks
  FROM jobs
 WHERE tenant_id = %(tenant_id)s AND queue = %(queue)s
   AND (finished_at IS NULL OR finished_at > now() - interval '1 minute')
   AND state NOT IN ('pausing', 'paused', 'cancelling')
   AND (created_at, id) < (%(created_at)s, %(id)s);

-- name: copy_items_of
-- For a retry: the chosen items of another job, renumbered from 0 in their order.
INSERT INTO items (kind, month, job_id, position, ref, payload)
SELECT %(kind)s, %(month)s, %(job_id)s,
       row_number() OVER (ORDER BY items.position) - 1, items.ref, items.payload
  FROM items
  LEFT JOIN results USING (kind, month, job_id, position)
 WHERE items.kind = %(kind)s AND items.month = %(source_month)s AND items.job_id = %(source_id)s
   AND coalesce(results.status, 'cancelled') = ANY (%(statuses)s)
   AND (%(positions)s::integer[] IS NULL OR items.position = ANY (%(positions)s::integer[]));

-- name: find_job
SELECT * FROM jobs
 WHERE tenant_id = %(tenant_id)s AND dialect = %(dialect)s AND external_id = %(external_id)s;

-- name: find_job_by_id
SELECT * FROM jobs WHERE tenant_id = %(tenant_id)s AND id = %(id)s;

-- name: load_job
SELECT * FROM jobs WHERE id = %(id)s;

-- name: lock_job
SELECT * FROM jobs WHERE id = %(id)s FOR NO KEY UPDATE;

-- name: list_jobs
-- Without single checks, among which a batch would not be found.
SELECT * FROM jobs
 WHERE tenant_id = %(tenant_id)s AND dialect = %(dialect)s
   -- The first alone is the condition of the index.
   AND queue <> 'interactive' AND queue <> 'documents_interactive'
   AND queue <> 'faces_interactive'
   AND state = ANY (%(states)s::job_state[])
   AND (created_at, id) < (%(before)s, %(before_id)s)
 ORDER BY created_at DESC, id DESC
 LIMIT %(limit)s;

-- name: search_jobs
-- Of every dialect, without single checks.
SELECT * FROM jobs
 WHERE tenant_id = %(tenant_id)s
   -- The first alone is the condition of the index.
   AND queue <> 'interactive' AND queue <> 'documents_interactive'
   AND queue <> 'faces_interactive'
   AND state = ANY (%(states)s::job_state[])
   AND (%(kinds)s::text[] IS NULL OR kind = ANY (%(kinds)s::text[]))
   AND (%(external_id)s::text IS NULL OR external_id = %(external_id)s)
   AND labels @> %(labels)s
   AND (%(created_by)s::text IS NULL OR created_by = %(created_by)s)
   AND (created_at, id) < (%(before)s, %(before_id)s)
 ORDER BY created_at DESC, id DESC
 LIMIT %(limit)s;

-- name: count_running
-- Items without a result in chunks that a worker has in hand.
SELECT jobs.id,
       sum(least(jobs.chunk_size, jobs.total - chunk_no * jobs.chunk_size)
           - (SELECT count(*) FROM results
               WHERE results.kind = jobs.kind AND results.month = jobs.month
                 AND results.job_id = jobs.id
                 AND results.position >= chunk_no * jobs.chunk_size
                 AND results.position < (chunk_no + 1) * jobs.chunk_size))::integer AS running
  FROM chunk_claims JOIN jobs ON jobs.id = chunk_claims.job_id
 WHERE jobs.id = ANY (%(ids)s) AND jobs.finished_at IS NULL
   AND expires_at >= clock_timestamp()
 GROUP BY jobs.id;

-- name: advance
-- Compare-and-set: the row moves only from a state in which the event may happen. What never got
-- a result is accounted for in the same statement that ends the job, and so is the event told.
WITH moved AS (
    SELECT id, state AS was,
           (%(targets)s::job_state[])[array_position(%(sources)s::job_state[], state)] AS becomes
      FROM jobs
     WHERE id = %(id)s AND state = ANY (%(sources)s::job_state[])
       FOR NO KEY UPDATE),
now_is AS (
UPDATE jobs
   SET state = becomes,
       version = version + 1,
       updated_at = clock_timestamp(),
       heartbeat_at = clock_timestamp(),
       started_at = CASE WHEN becomes = 'running' THEN coalesce(started_at, clock_timestamp())
                         ELSE started_at END,
       finished_at = CASE WHEN becomes = ANY (%(final)s::job_state[]) THEN clock_timestamp() END,
       cancelled = CASE WHEN becomes IN ('cancelled', 'failed', 'rejected')
                        THEN total - succeeded - failed - expired ELSE cancelled END,
       expired = CASE WHEN becomes = 'expired'
                      THEN total - succeeded - failed - cancelled ELSE expired END,
       spent_seconds = spent_seconds + CASE
           WHEN active_since IS NOT NULL AND becomes NOT IN ('running', 'pausing', 'cancelling')
           THEN extract(epoch FROM clock_timestamp() - active_since) ELSE 0 END,
       active_since = CASE WHEN becomes IN ('running', 'pausing', 'cancelling')
                           THEN coalesce(active_since, clock_timestamp()) END,
       -- Whoever asks for something knows better than the clock; only draining asks for nothing.
       resume_at = CASE WHEN becomes = 'paused' AND was = 'pausing' THEN resume_at END,
       error_code = CASE WHEN becomes = 'failed' THEN %(error_code)s END,
       error_message = CASE WHEN becomes = 'failed' THEN %(error_message)s END
  FROM moved
 WHERE jobs.id = moved.id
RETURNING jobs.*),
told AS (
INSERT INTO job_events (kind, month, job_id, seq, at, state, previous, succeeded, failed, cancelled,
                        expired, matches, error_code, error_message)
SELECT kind, month, id, version, updated_at, state, was, succeeded, failed, cancelled,
       expired, matches, error_code, error_message
  FROM now_is JOIN moved USING (id)
 WHERE state <> was)
SELECT * FROM now_is;

-- name: resume_later
-- The latest of what several workers were told.
UPDATE jobs
   SET resume_at = greatest(resume_at, clock_timestamp() + make_interval(secs => %(seconds)s)),
       version = version + 1,
       updated_at = clock_timestamp()
 WHERE id = %(id)s AND state = 'pausing'
RETURNING *;

-- name: list_rested
SELECT id FROM jobs
 WHERE state = 'paused' AND resume_at <= clock_timestamp()
 ORDER BY resume_at
 LIMIT %(limit)s;

-- name: stay_paused
-- Of a job that would have gone on by itself: somebody wants it to stand still.
UPDATE jobs SET resume_at = NULL, version = version + 1, updated_at = clock_timestamp()
 WHERE id = %(id)s AND state = 'paused' AND resume_at IS NOT NULL
RETURNING *;

-- name: load_retention
SELECT kind, seconds FROM tenant_retention WHERE tenant_id = %(tenant_id)s;

-- name: remember_expired
-- That it was there, and whose it was.
INSERT INTO expired_jobs (id, tenant_id, kind, month)
VALUES (%(id)s, %(tenant_id)s, %(kind)s, %(month)s)
ON CONFLICT (id) DO NOTHING;

-- name: is_expired
SELECT FROM expired_jobs
 WHERE tenant_id = %(tenant_id)s AND id = %(id)s
   AND expired_at > now() - make_interval(secs => %(seconds)s);

-- name: delete_job
-- Its claims, and the uploads that it needs, go with the row.
DELETE FROM jobs WHERE id = %(id)s AND finished_at IS NOT NULL;

-- name: delete_items
DELETE FROM items WHERE kind = %(kind)s AND month = %(month)s AND job_id = %(job_id)s;

-- name: delete_results
DELETE FROM results WHERE kind = %(kind)s AND month = %(month)s AND job_id = %(job_id)s;

-- name: delete_events
DELETE FROM job_events WHERE kind = %(kind)s AND month = %(month)s AND job_id = %(job_id)s;

-- name: count_results
SELECT count(*) AS results FROM results
 WHERE kind = %(kind)s AND month = %(month)s AND job_id = %(job_id)s;

-- name: claim_chunk
-- A free chunk, one whose claim has expired, or one whose holder is known to be dead.
INSERT INTO chunk_claims (job_id, chunk_no, pass_no, holder, expires_at)
VALUES (%(job_id)s, %(chunk_no)s, %(pass_no)s, %(holder)s,
        clock_timestamp() + make_interval(secs => %(seconds)s))
ON CONFLICT (job_id, chunk_no) DO UPDATE
   SET pass_no = excluded.pass_no, holder = excluded.holder, expires_at = excluded.expires_at,
       -- A process that takes up again what it holds has not died in between.
       starts = chunk_claims.starts + (chunk_claims.holder <> excluded.holder)::integer
 WHERE chunk_claims.expires_at < clock_timestamp() OR chunk_claims.holder = %(dead_holder)s
RETURNING starts;

-- name: show_claim
SELECT holder, extract(epoch FROM expires_at - clock_timestamp())::float AS seconds_left
  FROM chunk_claims
 WHERE job_id = %(job_id)s AND chunk_no = %(chunk_no)s;

-- name: renew_claim
UPDATE chunk_claims
   SET expires_at = clock_timestamp() + make_interval(secs => %(seconds)s),
       -- Something got done: what is counted from here on are starts that bring nothing.
       starts = least(starts, 2)
 WHERE job_id = %(job_id)s AND chunk_no = %(chunk_no)s AND holder = %(holder)s
RETURNING holder;

-- name: end_claim
UPDATE chunk_claims SET expires_at = '-infinity', starts = least(starts, 2)
 WHERE job_id = %(job_id)s AND chunk_no = %(chunk_no)s AND holder = %(holder)s;

-- name: release_claim
DELETE FROM chunk_claims
 WHERE job_id = %(job_id)s AND chunk_no = %(chunk_no)s AND holder = %(holder)s;

-- name: live_claims
SELECT count(*) AS claims FROM chunk_claims
 WHERE job_id = %(job_id)s AND expires_at >= clock_timestamp();

-- name: load_outstanding
-- NOT IN over one slice: planned as a hashed subplan, whatever the statistics say.
-- One JSON value for all of them, which is read at once (benchmarks/overhead.py).
SELECT coalesce(json_agg(json_build_array(position, ref, payload, attempts) ORDER BY position),
                '[]') AS items
  FROM items
 WHERE kind = %(kind)s AND month = %(month)s AND job_id = %(job_id)s
   AND position >= %(start)s AND position < %(stop)s
   AND position NOT IN (
       SELECT position FROM results
        WHERE kind = %(kind)s AND month = %(month)s AND job_id = %(job_id)s
          AND position >= %(start)s AND position < %(stop)s);

-- name: count_attempt
UPDATE items SET attempts = attempts + 1
 WHERE kind = %(kind)s AND month = %(month)s AND job_id = %(job_id)s
   AND position = ANY (%(positions)s);

-- name: take_attempt_back
UPDATE items SET attempts = greatest(attempts - 1, 0)
 WHERE kind = %(kind)s AND month = %(month)s AND job_id = %(job_id)s
   AND position = ANY (%(positions)s);

-- name: suspect
-- One of these items took a worker down, and nobody knows which: it may be held against each, but
-- only once, or a chunk with several bad items would use up the attempts of the good ones.
UPDATE items SET attempts = greatest(attempts, 1)
 WHERE kind = %(kind)s AND month = %(month)s AND job_id = %(job_id)s
   AND position = ANY (%(positions)s);

-- name: save_results
-- A redelivered chunk writes the same rows again; the first writer wins and only it is counted.
-- The rows come as one JSON value, which costs far less than as many tuples (benchmarks/overhead.py);
-- a result in it is a string, since a json value inside json may not say \u0000.
WITH written AS (
    INSERT INTO results (kind, month, job_id, position, status, matches, result,
                         error_code, error_message, attempts, pass_no)
    SELECT %(kind)s, %(month)s, %(job_id)s, position, status, matches, result::json,
           error_code, error_message, attempts, %(pass_no)s
      FROM json_to_recordset(%(rows)s::json)
           AS given (position integer, status text, matches integer, result text,
                     error_code text, error_message text, attempts smallint)
    ON CONFLICT (kind, month, job_id, position) DO NOTHING
    RETURNING position, status, matches)
SELECT count(*) FILTER (WHERE status = 'succeeded') AS succeeded,
       count(*) FILTER (WHERE status = 'failed') AS failed,
       coalesce(sum(matches), 0) AS matches,
       range_agg(int4range(position, position + 1))::text AS positions
  FROM written;

-- name: add_counts
-- Each result takes a number before that of the event that tells of them all.
WITH counted AS (
UPDATE jobs
   SET succeeded = succeeded + %(succeeded)s,
       failed = failed + %(failed)s,
       matches = matches + %(matches)s,
       version = version + 1 + %(succeeded)s + %(failed)s,
       updated_at = clock_timestamp(),
       heartbeat_at = clock_timestamp()
 WHERE id = %(id)s AND state = ANY (%(open)s::job_state[])
RETURNING *),
told AS (
INSERT INTO job_events (kind, month, job_id, seq, at, state, positions, succeeded, failed,
                        cancelled, expired, matches)
SELECT kind, month, id, version, updated_at, state, %(positions)s::int4multirange, succeeded,
       failed, cancelled, expired, matches
  FROM counted
 WHERE %(positions)s IS NOT NULL)
SELECT * FROM counted;

-- name: begin_pass
UPDATE jobs
   SET pass_no = pass_no + 1,
       idle_passes = CASE WHEN succeeded + failed > pass_began_at THEN 0
                          WHEN %(worked)s THEN idle_passes + 1
                          ELSE idle_passes END,
       pass_began_at = succeeded + failed,
       heartbeat_at = clock_timestamp()
 WHERE id = %(id)s
RETURNING *;

-- name: outstanding_chunks
SELECT DISTINCT position / %(chunk_size)s AS chunk_no
  FROM items
 WHERE kind = %(kind)s AND month = %(month)s AND job_id = %(job_id)s
   AND position NOT IN (
       SELECT position FROM results
        WHERE kind = %(kind)s AND month = %(month)s AND job_id = %(job_id)s)
 ORDER BY chunk_no;

-- name: beat
UPDATE jobs SET heartbeat_at = clock_timestamp() WHERE id = %(id)s;

-- name: mark_undelivered
-- The broker did not take it: the next sweep looks into it at once.
UPDATE jobs SET heartbeat_at = '-infinity' WHERE id = %(id)s AND state = ANY (%(open)s::job_state[]);

-- name: count_living
SELECT kind, state::text AS state, count(*) AS jobs,
       sum(total - succeeded - failed - cancelled - expired)::bigint AS outstanding,
       extract(epoch FROM now() - min(created_at))::float AS oldest_seconds
  FROM jobs
 WHERE state IN ('queued', 'running', 'pausing', 'paused', 'cancelling')
 GROUP BY kind, state
 ORDER BY kind, state;

-- name: list_silent
-- Jobs that ought to move and show no sign of life.
SELECT * FROM jobs
 WHERE state IN ('queued', 'running', 'pausing', 'cancelling')
   AND heartbeat_at < clock_timestamp() - make_interval(secs => %(seconds)s)
   AND NOT EXISTS (SELECT FROM chunk_claims
                    WHERE job_id = jobs.id AND expires_at >= clock_timestamp())
 ORDER BY heartbeat_at
 LIMIT %(limit)s;

-- name: list_overdue
SELECT id FROM jobs
 WHERE state IN ('running', 'pausing', 'cancelling') AND allowed_seconds IS NOT NULL
   AND spent_seconds + extract(epoch FROM clock_timestamp() - active_since) > allowed_seconds
 LIMIT %(limit)s;

-- name: list_draining
-- Asked to stop, and nothing in hand any more.
SELECT id FROM jobs
 WHERE state IN ('pausing', 'cancelling')
   AND NOT EXISTS (SELECT FROM chunk_claims
                    WHERE job_id = jobs.id AND expires_at >= clock_timestamp())
 LIMIT %(limit)s;

-- name: forget_claims
-- Left behind by workers that died in jobs which have ended since.
DELETE FROM chunk_claims
 USING jobs
 WHERE jobs.id = chunk_claims.job_id AND jobs.finished_at IS NOT NULL
   AND chunk_claims.expires_at < clock_timestamp() - interval '1 hour';

-- name: lightly
-- This transaction may be lost in a crash of Postgres, so it need not wait for the disk.
SET LOCAL synchronous_commit TO off;

-- name: in_earnest
SET LOCAL synchronous_commit TO on;

-- name: list_results
-- In the order of submission; result stays text, for it goes out as it came in.
SELECT results.position, items.ref, results.status, results.matches,
       results.result::text AS result, results.error_code, results.error_message,
       results.attempts, results.finished_at
  FROM results JOIN items USING (kind, month, job_id, position)
 WHERE results.kind = %(kind)s AND results.month = %(month)s AND results.job_id = %(job_id)s
   AND items.kind = %(kind)s AND items.month = %(month)s AND items.job_id = %(job_id)s
   AND results.position >= %(first)s AND results.position < %(end)s
   AND results.status = ANY (%(statuses)s)
 ORDER BY results.position
 LIMIT %(limit)s;

-- name: list_items
-- Every item with how it stands. One without a result waits, is in hand, or will never be begun:
-- then `rest` says why.
SELECT position, ref, status, attempts, error_code, error_message, finished_at
  FROM (SELECT items.position, items.ref,
               coalesce(results.status, %(rest)s,
                        CASE WHEN items.position / %(chunk_size)s = ANY (
                                  ARRAY(SELECT chunk_no FROM chunk_claims
                                         WHERE job_id = %(job_id)s
                                           AND expires_at >= clock_timestamp()))
                             THEN 'running' ELSE 'pending' END) AS status,
               coalesce(results.attempts, items.attempts) AS attempts,
               results.error_code, results.error_message, results.finished_at
          FROM items
          LEFT JOIN results USING (kind, month, job_id, position)
         WHERE items.kind = %(kind)s AND items.month = %(month)s AND items.job_id = %(job_id)s
           AND items.position >= %(first)s) AS each
 WHERE status = ANY (%(statuses)s)
 ORDER BY position
 LIMIT %(limit)s;

-- name: group_errors
-- Messages that differ in their numbers only are of one kind.
SELECT error_code AS code, min(error_message) AS message, count(*) AS items,
       (array_agg(position ORDER BY position))[1:%(examples)s] AS examples
  FROM results
 WHERE kind = %(kind)s AND month = %(month)s AND job_id = %(job_id)s AND status = 'failed'
 GROUP BY error_code, regexp_replace(error_message, '[0-9]+', '0', 'g')
 ORDER BY items DESC, code, message
OFFSET %(first)s LIMIT %(limit)s;

-- name: list_worked
-- Items with what they hold and what came of them; `finished` leaves out those that have no result.
SELECT items.position, items.ref, items.payload,
       coalesce(results.status, %(rest)s, 'pending') AS status, results.result::text AS result, results.error_code, results.error_message,
       results.finished_at
  FROM items
  LEFT JOIN results USING (kind, month, job_id, position)
 WHERE items.kind = %(kind)s AND items.month = %(month)s AND items.job_id = %(job_id)s
   AND items.position >= %(first)s AND items.position < %(end)s
   AND (results.status IS NOT NULL OR NOT %(finished)s)
 ORDER BY items.position
 LIMIT %(limit)s;

-- name: list_history
-- By offset, as dialect D pages; single calls are among them.
SELECT *, count(*) OVER () AS matching FROM jobs
 WHERE tenant_id = %(tenant_id)s AND dialect = %(dialect)s AND state = ANY (%(states)s::job_state[])
 ORDER BY created_at DESC, id DESC
 LIMIT %(limit)s OFFSET %(offset)s;

-- name: list_batches
-- By offset, as dialect C pages; without single calls, and without jobs that ended too long ago.
SELECT *, count(*) OVER () AS matching FROM jobs
 WHERE tenant_id = %(tenant_id)s AND dialect = %(dialect)s AND queue = %(queue)s
   AND state = ANY (%(states)s::job_state[])
   AND (%(collection_id)s::text IS NULL OR options -> 'collection_ids' ? %(collection_id)s)
   AND (finished_at IS NULL OR finished_at > now() - make_interval(secs => %(kept_seconds)s))
 ORDER BY created_at DESC, id DESC
 LIMIT %(limit)s OFFSET %(offset)s;

-- name: list_ended
-- Of a kind, longest ago first.
SELECT * FROM jobs
 WHERE kind = %(kind)s AND finished_at <= now() - make_interval(secs => %(seconds)s)
 ORDER BY finished_at
 LIMIT %(limit)s;

-- name: search_worked
-- Items of all jobs of a dialect, by words in the two places of their payload. Job by job, which is
-- what OFFSET 0 is for: else the items of all tenants would be read.
SELECT jobs.id AS job_id, jobs.external_id, each.position, each.payload,
       coalesce(each.status, CASE jobs.state WHEN 'expired' THEN 'expired' END,
                CASE WHEN jobs.finished_at IS NOT NULL THEN 'cancelled' ELSE 'pending' END) AS status,
       each.result::text AS result, each.error_code, each.error_message,
       each.finished_at, jobs.created_at, count(*) OVER () AS matching
  FROM jobs
 CROSS JOIN LATERAL (
       SELECT items.position, items.payload, results.status, results.result, results.error_code,
              results.error_message, results.finished_at
         FROM items
         LEFT JOIN results ON results.kind = jobs.kind AND results.month = jobs.month
                          AND results.job_id = jobs.id AND results.position = items.position
        WHERE items.kind = jobs.kind AND items.month = jobs.month AND items.job_id = jobs.id
          AND (%(position)s::integer IS NULL OR items.position = %(position)s)
          AND (%(words)s::text IS NULL OR items.payload #>> %(one)s ILIKE %(words)s
               OR items.payload #>> %(other)s ILIKE %(words)s)
          AND (%(status)s::text IS NULL OR results.status = %(status)s)
       OFFSET 0) AS each
 WHERE jobs.tenant_id = %(tenant_id)s AND jobs.dialect = %(dialect)s
   AND (%(job_id)s::uuid IS NULL OR jobs.id = %(job_id)s)
 ORDER BY jobs.created_at DESC, jobs.id DESC, each.position
 LIMIT %(limit)s OFFSET %(offset)s;

-- name: sum_up
SELECT count(*) AS jobs,
       count(*) FILTER (WHERE state = 'completed') AS completed,
       count(*) FILTER (WHERE state IN ('failed', 'expired', 'rejected')) AS failed,
       count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
       count(*) FILTER (WHERE finished_at IS NULL) AS active,
       coalesce(sum(total), 0) AS items,
       coalesce(sum(succeeded), 0) AS items_succeeded,
       coalesce(sum(jobs.failed), 0) AS items_failed
  FROM jobs
 WHERE tenant_id = %(tenant_id)s AND dialect = %(dialect)s;

-- name: first_missing
-- The position of the first item, from the given one on, that has no result yet.
SELECT coalesce(min(position), %(total)s) AS position
  FROM generate_series(%(first)s, %(total)s - 1) AS each (position)
 WHERE NOT EXISTS (SELECT FROM results
                    WHERE results.kind = %(kind)s AND results.month = %(month)s
                      AND results.job_id = %(job_id)s AND results.position = each.position);

-- name: find_result
SELECT items.payload, results.result::text AS result
  FROM results JOIN items USING (kind, month, job_id, position)
 WHERE results.kind = %(kind)s AND results.month = %(month)s AND results.job_id = %(job_id)s
   AND items.kind = %(kind)s AND items.month = %(month)s AND items.job_id = %(job_id)s
   AND items.ref = %(ref)s AND results.status = 'succeeded';

-- name: ensure_partitions
-- A new partition takes a lock that a dump keeps from everybody until it is done; and whoever comes
-- after those who wait for such a lock waits behind them.
SAVEPOINT without_partitions;
SET LOCAL lock_timeout = '1s';
SELECT ensure_partitions(now()::date, 3) AS made;

-- name: leave_partitions
ROLLBACK TO SAVEPOINT without_partitions;

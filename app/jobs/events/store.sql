-- Queries for app/jobs/events/store.py. One function there per query here, same name.

-- name: list_events
-- For several jobs at once, each from its own place on. An end has no row: it is one behind the
-- last one, so the row of the given seq itself is read as well.
SELECT wanted.job_id, event.*
  FROM unnest(%(kinds)s::text[], %(months)s::date[], %(job_ids)s::uuid[], %(seqs)s::bigint[])
       AS wanted (kind, month, job_id, seq),
       LATERAL (SELECT seq, at, state, previous, positions::text AS positions, succeeded, failed,
                       cancelled, expired, matches, error_code, error_message
                  FROM job_events
                 WHERE kind = wanted.kind AND month = wanted.month AND job_id = wanted.job_id
                   AND seq >= wanted.seq
                   AND (%(moves)s OR previous IS NULL) AND (%(counts)s OR positions IS NULL)
                 ORDER BY seq
                 LIMIT %(limit)s) AS event
 ORDER BY wanted.job_id, event.seq;

-- name: list_item_results
-- `result`, `title` and `name` only where they are asked for: those of a screening are large. A
-- document's own words are under `document`, where its payload has that.
SELECT results.position, items.ref, results.status, results.matches, results.attempts,
       results.error_code, results.error_message, results.finished_at,
       CASE WHEN %(detailed)s THEN coalesce(items.payload -> 'document' ->> 'title',
                                            items.payload ->> 'title') END AS title,
       CASE WHEN %(detailed)s THEN items.payload -> 'document' ->> 'id' END AS name,
       CASE WHEN %(detailed)s THEN results.result END AS result,
       CASE WHEN %(detailed)s AND json_typeof(items.payload) = 'string'
            THEN items.payload END AS sealed
  FROM results JOIN items USING (kind, month, job_id, position)
 WHERE results.kind = %(kind)s AND results.month = %(month)s AND results.job_id = %(job_id)s
   AND items.kind = %(kind)s AND items.month = %(month)s AND items.job_id = %(job_id)s
   AND results.position = ANY (%(positions)s) AND items.position = ANY (%(positions)s);

-- name: list_versions
SELECT id, version, finished_at IS NOT NULL AS is_final FROM jobs WHERE id = ANY (%(ids)s);

-- name: told_positions
-- Whose results have been told of, up to and with the given event.
SELECT range_agg(each.positions)::text AS positions
  FROM job_events, unnest(positions) AS each (positions)
 WHERE kind = %(kind)s AND month = %(month)s AND job_id = %(job_id)s AND seq <= %(seq)s;

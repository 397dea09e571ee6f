-- Queries for app/faces/store.py. One function there per query here, same name.

-- name: insert_collection
INSERT INTO collections (id, tenant_id, name, description, face_selection, retention_days,
                         created_by)
VALUES (%(id)s, %(tenant_id)s, %(name)s, %(description)s, %(face_selection)s, %(retention_days)s,
        %(created_by)s)
RETURNING *;

-- name: find_collection
SELECT * FROM collections WHERE id = %(id)s AND tenant_id = %(tenant_id)s;

-- name: lock_collection
-- Faces come and go one transaction after another, so that versions are seen in their order.
SELECT * FROM collections WHERE id = %(id)s FOR NO KEY UPDATE;

-- name: list_collections
SELECT *, count(*) OVER () AS matching FROM collections
 WHERE tenant_id = %(tenant_id)s AND (%(id)s::uuid IS NULL OR id = %(id)s::uuid)
   AND (is_enabled OR NOT %(must_be_enabled)s)
 ORDER BY created_at DESC, id DESC
 LIMIT %(limit)s OFFSET %(offset)s;

-- name: update_collection
UPDATE collections
   SET name = %(name)s, description = %(description)s, face_selection = %(face_selection)s,
       retention_days = %(retention_days)s, is_enabled = %(is_enabled)s, updated_at = now()
 WHERE id = %(id)s AND tenant_id = %(tenant_id)s
RETURNING *;

-- name: delete_collection
DELETE FROM collections WHERE id = %(id)s AND tenant_id = %(tenant_id)s;

-- name: count_faces
SELECT coalesce(sum(face_count), 0)::bigint AS faces
  FROM collections WHERE tenant_id = %(tenant_id)s;

-- name: advance_collection
-- The collection must be locked.
UPDATE collections SET version = version + 1, face_count = face_count + %(more)s
 WHERE id = %(id)s
RETURNING version;

-- name: insert_face
-- A chunk that is run again enrols its faces again, under the same ids.
INSERT INTO faces (id, collection_id, external_id, embedding, model_version, quality_score,
                   metadata, version)
VALUES (%(id)s, %(collection_id)s, %(external_id)s, %(embedding)s, %(model_version)s,
        %(quality_score)s, %(metadata)s, %(version)s)
RETURNING id, collection_id, external_id, model_version, quality_score, metadata, created_at;

-- name: find_face
SELECT id, collection_id, external_id, model_version, quality_score, metadata, created_at
  FROM faces
 WHERE collection_id = %(collection_id)s AND id = %(id)s;

-- name: was_removed
SELECT FROM face_removals WHERE collection_id = %(collection_id)s AND face_id = %(id)s;

-- name: find_ids
SELECT id FROM faces
 WHERE collection_id = %(collection_id)s AND external_id = %(external_id)s
 ORDER BY created_at DESC, id;

-- name: find_older
-- Of the people of these faces, the faces that were there before them.
SELECT older.id
  FROM faces AS newer JOIN faces AS older USING (collection_id, external_id)
 WHERE newer.collection_id = %(collection_id)s AND newer.id = ANY (%(ids)s::uuid[])
   AND older.version < newer.version;

-- name: list_faces
SELECT id, collection_id, external_id, model_version, quality_score, metadata, created_at,
       count(*) OVER () AS matching
  FROM faces
 WHERE collection_id = %(collection_id)s
   AND (%(external_id)s::text IS NULL OR external_id = %(external_id)s)
 ORDER BY created_at DESC, id DESC
 LIMIT %(limit)s OFFSET %(offset)s;

-- name: page_faces
-- By key, for exports: what comes meanwhile is not among them.
SELECT id, collection_id, external_id, model_version, quality_score, metadata, created_at,
       CASE WHEN %(with_embeddings)s THEN embedding END AS embedding
  FROM faces
 WHERE collection_id = %(collection_id)s AND (created_at, id) < (%(before)s, %(before_id)s)
 ORDER BY created_at DESC, id DESC
 LIMIT %(limit)s;

-- name: show_faces
SELECT id, external_id, metadata FROM faces WHERE id = ANY (%(ids)s::uuid[]);

-- name: load_embeddings
SELECT id, embedding FROM faces
 WHERE collection_id = %(collection_id)s AND model_version = %(model_version)s
   AND (%(id)s::uuid IS NULL OR id = %(id)s::uuid)
   AND (%(external_id)s::text IS NULL OR external_id = %(external_id)s);

-- name: update_face
UPDATE faces SET metadata = %(metadata)s
 WHERE collection_id = %(collection_id)s AND id = %(id)s
RETURNING id, collection_id, external_id, model_version, quality_score, metadata, created_at;

-- name: delete_faces
-- The collection must be locked. The embeddings go with the rows.
WITH gone AS (
    DELETE FROM faces
     WHERE collection_id = %(collection_id)s AND id = ANY (%(ids)s::uuid[])
    RETURNING id),
counted AS (
    UPDATE collections SET version = version + 1,
                           face_count = face_count - (SELECT count(*) FROM gone)
     WHERE id = %(collection_id)s AND EXISTS (SELECT FROM gone)
    RETURNING version),
noted AS (
    INSERT INTO face_removals (collection_id, version, face_id)
    SELECT %(collection_id)s, counted.version, gone.id FROM gone, counted)
SELECT id FROM gone;

-- name: changes
-- What has changed since a version: with it the version that the collection has now. Faces that
-- came are joined to it, for the row is there even if none did.
SELECT c.version, c.forgotten, f.id, f.external_id, f.embedding
  FROM collections c
  LEFT JOIN faces f ON f.collection_id = c.id AND f.version > %(since)s
                   AND f.model_version = %(model_version)s
 WHERE c.id = %(collection_id)s;

-- name: removals
SELECT face_id FROM face_removals
 WHERE collection_id = %(collection_id)s AND version > %(since)s;

-- name: expired_faces
SELECT f.collection_id, f.id
  FROM collections c JOIN faces f ON f.collection_id = c.id
 WHERE c.retention_days IS NOT NULL
   AND f.created_at < now() - make_interval(days => c.retention_days)
 LIMIT %(limit)s;

-- name: forget_removals
-- A day later nobody has an older picture in memory; whoever has one reads the collection anew.
WITH old AS (
    DELETE FROM face_removals WHERE removed_at < now() - interval '1 day'
    RETURNING collection_id, version)
UPDATE collections c SET forgotten = greatest(c.forgotten, last.version)
  FROM (SELECT collection_id, max(version) AS version FROM old GROUP BY 1) AS last
 WHERE c.id = last.collection_id;

-- name: lightly
SET LOCAL synchronous_commit = off;

-- name: insert_part
INSERT INTO face_images (batch, position, part_no, tenant_id, data, object_size, expires_at)
VALUES (%(batch)s, %(position)s, %(part_no)s, %(tenant_id)s, %(data)s, %(object_size)s,
        now() + make_interval(secs => %(seconds)s));

-- name: load_image
SELECT data, object_size FROM face_images
 WHERE batch = %(batch)s AND position = %(position)s AND tenant_id = %(tenant_id)s AND NOT is_done
 ORDER BY part_no;

-- name: delete_images
-- Those whose bytes are here. Of the others it is noted that their objects are to go.
WITH noted AS (
    UPDATE face_images SET is_done = true
     WHERE batch = %(batch)s AND object_size IS NOT NULL
       AND (%(positions)s::integer[] IS NULL OR position = ANY (%(positions)s::integer[])))
DELETE FROM face_images
 WHERE batch = %(batch)s AND object_size IS NULL
   AND (%(positions)s::integer[] IS NULL OR position = ANY (%(positions)s::integer[]));

-- name: waiting_bytes
SELECT coalesce(sum(coalesce(object_size, octet_length(data))), 0)::bigint AS bytes
  FROM face_images WHERE tenant_id = %(tenant_id)s;

-- name: purge_images
-- Of requests whose job has ended, whichever way, and of those that became no job in their time: an
-- hour after the last part came in, however long the others did before it. An image is there as
-- long as its item has no result: those that were to be enrolled are named. OFFSET 0 lets jobs be
-- looked up one by one: there may be far more of them than images that wait.
WITH sent AS (
    SELECT batch, max(expires_at) AS expires_at
      FROM face_images
     WHERE NOT is_done AND (%(batch)s::uuid IS NULL OR batch = %(batch)s::uuid)
     GROUP BY batch),
unwanted AS (
    SELECT batch
      FROM sent
     WHERE NOT EXISTS (SELECT FROM jobs
                        WHERE kind = 'faces' AND options ->> 'batch' = batch::text
                          AND finished_at IS NULL)
       AND (expires_at <= now()
            OR EXISTS (SELECT FROM jobs
                        WHERE kind = 'faces' AND options ->> 'batch' = batch::text))),
noted AS (
    UPDATE face_images SET is_done = true
     WHERE object_size IS NOT NULL AND NOT is_done AND batch IN (SELECT batch FROM unwanted)
    RETURNING batch, position),
gone AS (
    DELETE FROM face_images
     WHERE object_size IS NULL AND batch IN (SELECT batch FROM unwanted)
    RETURNING batch, position)
SELECT DISTINCT j.id AS job_id, (j.options -> 'collection_ids' ->> 0)::uuid AS collection_id,
       i.position
  FROM (SELECT * FROM noted UNION ALL SELECT * FROM gone) AS i
 CROSS JOIN LATERAL (
       SELECT id, options FROM jobs
        WHERE kind = 'faces' AND options ->> 'batch' = i.batch::text
       OFFSET 0) AS j
 WHERE j.options ->> 'work' = 'enrol';

-- name: list_done
-- Objects that are to be deleted.
SELECT batch, position FROM face_images
 WHERE is_done AND (%(batch)s::uuid IS NULL OR batch = %(batch)s::uuid)
   AND (%(after_batch)s::uuid IS NULL
        OR (batch, position) > (%(after_batch)s::uuid, %(after_position)s::integer))
 ORDER BY batch, position
 LIMIT %(limit)s;

-- name: forget_done
DELETE FROM face_images
 WHERE is_done AND (batch, position) IN (
       SELECT batch, position
         FROM unnest(%(batches)s::uuid[], %(positions)s::integer[]) AS gone (batch, position));

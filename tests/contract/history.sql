-- A platform that has been used for months, as far as the planner can tell: cheap to make, with as
-- many rows and as many different values as it needs to choose as it would for the real thing.
-- Ids are md5('what' || number). Foreign keys and triggers rest meanwhile (test_plans.py).

SELECT ensure_partitions((now() - interval '4 months')::date, 5);

INSERT INTO tenants (id, name) SELECT md5('tenant' || n)::uuid, 'tenant ' || n FROM generate_series(0, 24) n;

INSERT INTO users (id, email, password_hash)
SELECT md5('user' || n)::uuid, 'u' || n || '@example.com', 'x' FROM generate_series(0, 4999) n;
INSERT INTO memberships (tenant_id, user_id, role)
SELECT md5('tenant' || n % 25)::uuid, md5('user' || n)::uuid, 'viewer' FROM generate_series(0, 4999) n;
INSERT INTO refresh_tokens (id, family, tenant_id, user_id, token_hash, expires_at)
SELECT md5('token' || n)::uuid, md5('family' || n / 5)::uuid, md5('tenant' || n % 25)::uuid, md5('user' || n % 5000)::uuid,
       sha256(n::text::bytea), now() + make_interval(mins => n) FROM generate_series(0, 9999) n;
INSERT INTO api_keys (id, tenant_id, name, prefix, key_hash, scopes)
SELECT md5('key' || n)::uuid, md5('tenant' || n % 25)::uuid, 'key', 'p', sha256(n::text::bytea), '{jobs:read}'
  FROM generate_series(0, 4999) n;

-- Jobs of five months, 20,000 of them, and 50 that are alive; every tenant has some of each kind.
CREATE TEMPORARY TABLE made AS
SELECT n, md5('job' || n)::uuid AS id, md5('tenant' || n / 4 % 25)::uuid AS tenant_id,
       (ARRAY['kyc', 'verifications', 'faces', 'documents'])[1 + n % 4] AS kind,
       now() - make_interval(mins => 10 * (20050 - n)) AS at, n >= 20000 AS is_alive
  FROM generate_series(0, 20049) n;
INSERT INTO jobs (id, tenant_id, kind, dialect, external_id, month, state, options, queue, chunk_size, total,
                  succeeded, matches, created_at, updated_at, started_at, finished_at, created_by)
SELECT id, tenant_id, kind, kind, CASE kind WHEN 'kyc' THEN md5('check' || n / 4)::uuid::text ELSE id::text END,
       date_trunc('month', at AT TIME ZONE 'UTC')::date,
       (CASE WHEN NOT is_alive THEN 'completed'
             ELSE (ARRAY['queued', 'running', 'pausing', 'cancelling', 'paused'])[1 + n / 4 % 5] END)::job_state,
       jsonb_build_object('batch', md5('batch' || n), 'lists', jsonb_build_object('own', jsonb_build_object('id', n % 300))),
       (ARRAY['screening', 'verifications', 'faces', 'documents'])[1 + n % 4], 250, 10,
       CASE WHEN is_alive THEN 5 ELSE 10 END, 1, at, at, at, CASE WHEN NOT is_alive THEN at + interval '1 minute' END, 'usr'
  FROM made;
INSERT INTO items (kind, month, job_id, position, ref, payload)
SELECT kind, date_trunc('month', at AT TIME ZONE 'UTC')::date, id, position, 'r' || position, '{}'
  FROM made, generate_series(0, 9) position;
INSERT INTO results (kind, month, job_id, position, status, result, pass_no)
SELECT kind, date_trunc('month', at AT TIME ZONE 'UTC')::date, id, position, 'succeeded', '{}', 1
  FROM made, generate_series(0, 9) position WHERE NOT is_alive OR position < 5;
INSERT INTO job_events (kind, month, job_id, seq, at, state, previous, positions, succeeded, failed, cancelled, expired, matches)
SELECT kind, date_trunc('month', at AT TIME ZONE 'UTC')::date, id, seq, at, 'running',
       CASE seq WHEN 1 THEN 'queued'::job_state END, CASE WHEN seq > 1 THEN '{[0,5)}'::int4multirange END, 5, 0, 0, 0, 0
  FROM made, generate_series(1, 3) seq;
INSERT INTO chunk_claims (job_id, chunk_no, pass_no, holder, expires_at)
SELECT id, 0, 1, 'host/1/boot', now() + interval '1 minute' FROM made WHERE is_alive AND n % 2 = 0;

INSERT INTO uploads (id, tenant_id, name, size, sha256, data, created_by, expires_at)
SELECT md5('upload' || n)::uuid, md5('tenant' || n % 25)::uuid, 'name', 1, repeat('0', 64), 'x', 'usr', now() + make_interval(mins => n)
  FROM generate_series(0, 4999) n;
INSERT INTO upload_uses (job_id, position, upload_id)
SELECT md5('job' || n)::uuid, 0, md5('upload' || n % 5000)::uuid FROM generate_series(3, 20000, 4) n;

-- Lists: 300 versions, those of an eighth of all are tenants' own; each has 200 entries.
INSERT INTO watchlists (id, name, title, version, format, source, sha256, entries, is_current, tenant_id, retired_at)
SELECT n, 'list' || n % 30, 'List', n::text, 'plain', 'file', repeat('0', 64), 200, n >= 270,
       CASE WHEN n % 30 < 4 THEN md5('tenant' || n % 30)::uuid END, CASE WHEN n < 270 THEN now() - interval '2 hours' END
  FROM generate_series(0, 299) n;
INSERT INTO watchlist_entries (watchlist_id, entry_id, entry)
SELECT n, 'e' || entry, '{"topics": ["sanction"]}' FROM generate_series(0, 299) n, generate_series(0, 199) entry;
INSERT INTO exclusions (id, tenant_id, entity_id, list_name, entry_id, decision, reason, salt, subject_hash, entry_hash, job_id, list_version, created_by, created_at)
SELECT md5('exclusion' || n)::uuid, md5('tenant' || n % 25)::uuid, 'c' || n, 'list1', 'e1', 'false_positive', 'not him', '', '', '',
       md5('job' || n)::uuid, '1', 'usr', now() - make_interval(mins => n) FROM generate_series(0, 9999) n;

-- Monitors: 1,000 with 40 subjects and 20 checks each.
INSERT INTO monitors (id, tenant_id, name, check_frequency, threshold, search_type, on_new_match, on_status_change, created_by, created_at, checked_at, next_check_at)
SELECT md5('monitor' || n)::uuid, md5('tenant' || n % 25)::uuid, 'monitor ' || n, CASE WHEN n % 10 = 0 THEN 'on_update' ELSE 'daily' END,
       0.85, 'name', true, true, 'usr', now() - make_interval(hours => n), now(), CASE WHEN n % 10 > 0 THEN now() + make_interval(mins => n) END
  FROM generate_series(0, 999) n;
INSERT INTO monitor_subjects (monitor_id, entity_id, entity, screened_at)
SELECT md5('monitor' || n / 40)::uuid, 'c' || n, '{}', CASE WHEN n % 100 > 0 THEN now() END FROM generate_series(0, 39999) n;
INSERT INTO monitor_hits (monitor_id, entity_id, list_name, entry_id, list_version, score, fingerprint, detail)
SELECT md5('monitor' || n / 40)::uuid, 'c' || n, 'list' || n % 30, 'e' || n % 200, '1', 0.9, '', '{}' FROM generate_series(0, 39999, 2) n;
INSERT INTO monitor_checks (id, monitor_id, cause, state, last_number, subjects, created_by, created_at, finished_at)
SELECT md5('check' || n)::uuid, md5('monitor' || n % 1000)::uuid, 'scheduled', CASE WHEN n < 19980 THEN 'completed' ELSE 'running' END,
       1, 40, 'system', now() - make_interval(mins => 20000 - n), CASE WHEN n < 19980 THEN now() END
  FROM generate_series(0, 19999) n;
INSERT INTO monitor_changes (check_id, position, monitor_id, entity_id, list_name, entry_id, change, is_alert, detail)
SELECT md5('check' || n)::uuid, 0, md5('monitor' || n % 1000)::uuid, 'c' || n, 'list1', 'e1', 'new', true, '{}' FROM generate_series(0, 19999) n;
INSERT INTO monitor_lists (monitor_id, list_name, version_id)
SELECT md5('monitor' || n)::uuid, 'list' || list, 270 + list FROM generate_series(0, 999) n, generate_series(0, 3) list;

-- Verifications: 5,000 with two people behind each; a run each, and its screenings and audit.
INSERT INTO verifications (id, tenant_id, trace, user_id, entity, risk, created_at, screened_at)
SELECT md5('verification' || n)::uuid, md5('tenant' || n % 25)::uuid, left(md5('verification' || n), 21), 'u' || n, '{}', '{}',
       now() - make_interval(mins => n), now() - make_interval(mins => n) FROM generate_series(0, 4999) n;
INSERT INTO stakeholders (verification_id, stakeholder_id, position, role, entity)
SELECT md5('verification' || n)::uuid, left(md5('stakeholder' || position), 21), position, 'trustee', '{}'
  FROM generate_series(0, 4999) n, generate_series(0, 1) position;
INSERT INTO verification_runs (job_id, verification_id, type, source_action, requested_at)
SELECT md5('job' || 4 * n + 1)::uuid, md5('verification' || n)::uuid, 'watchlist', 'manual-api', now() - make_interval(mins => n)
  FROM generate_series(0, 4999) n;
INSERT INTO verification_gates (verification_id, type, job_id)
SELECT md5('verification' || n)::uuid, 'watchlist', md5('job' || 4 * n + 1)::uuid FROM generate_series(4980, 4999) n;
INSERT INTO screenings (screening_id, verification_id, job_id, stakeholder_id, subject, total_hits, matched_sources, sources_checked, is_complete, risk)
SELECT 's' || n || '-' || position, md5('verification' || n)::uuid, md5('job' || 4 * n + 1)::uuid, CASE WHEN position > 0 THEN left(md5('stakeholder' || position), 21) END,
       '{}', 0, '[]', '[]', true, '{}' FROM generate_series(0, 4999) n, generate_series(0, 2) position;
INSERT INTO verification_audit (verification_id, seq, entry, previous, digest)
SELECT md5('verification' || n)::uuid, seq, '{}', '', '' FROM generate_series(0, 4999) n, generate_series(1, 4) seq;
INSERT INTO verification_monitoring (verification_id, frequency, next_run_at, synced_at)
SELECT md5('verification' || n)::uuid, CASE WHEN n % 10 = 0 THEN 'on_update' ELSE 'daily' END,
       CASE WHEN n % 10 > 0 THEN now() + make_interval(mins => n) END, now() - make_interval(mins => n) FROM generate_series(0, 4999) n;
INSERT INTO verification_watched (verification_id, stakeholder_id)
SELECT md5('verification' || n)::uuid, CASE WHEN position > 0 THEN left(md5('stakeholder' || position), 21) END
  FROM generate_series(0, 4999) n, generate_series(0, 2) position;
INSERT INTO verification_lists (verification_id, list_name, version_id)
SELECT md5('verification' || n)::uuid, 'list' || list, 270 + list FROM generate_series(0, 4999) n, generate_series(0, 3) list;

-- Faces: 500 collections of 20, a few that are gone, and twenty batches of images that wait.
INSERT INTO collections (id, tenant_id, name, retention_days, face_count, created_by, created_at)
SELECT md5('collection' || n)::uuid, md5('tenant' || n % 25)::uuid, 'collection', CASE WHEN n % 50 = 0 THEN 30 END, 20, 'usr', now() - make_interval(mins => n)
  FROM generate_series(0, 499) n;
INSERT INTO faces (id, collection_id, external_id, embedding, model_version, quality_score, version, created_at)
SELECT md5('face' || n)::uuid, md5('collection' || n % 500)::uuid, 'p' || n, decode(repeat('00', 512), 'hex'), '1', 0.9, n, now() - make_interval(mins => n)
  FROM generate_series(0, 9999) n;
INSERT INTO face_removals (collection_id, version, face_id, removed_at)
SELECT md5('collection' || n % 500)::uuid, n, md5('gone' || n)::uuid, now() - make_interval(secs => n) FROM generate_series(0, 4999) n;
INSERT INTO face_images (batch, position, part_no, tenant_id, data, expires_at)
SELECT md5('batch' || 4 * (n / 20) + 2)::uuid, n % 20, 0, md5('tenant' || n % 25)::uuid, 'x', now() + make_interval(secs => n)
  FROM generate_series(0, 399) n;

DROP TABLE made;

-- Queries for app/verifications/store.py. One function there per query here, same name.

-- name: insert_verification
INSERT INTO verifications (id, tenant_id, trace, user_id, on_behalf_uid, entity, documents, risk)
VALUES (%(id)s, %(tenant_id)s, %(trace)s, %(user_id)s, %(on_behalf_uid)s, %(entity)s,
        %(documents)s, %(risk)s)
ON CONFLICT (tenant_id, user_id) DO NOTHING
RETURNING *;

-- name: insert_stakeholders
INSERT INTO stakeholders (verification_id, stakeholder_id, position, role, entity)
SELECT %(verification_id)s, stakeholder_id, position, role, entity
  FROM json_to_recordset(%(rows)s)
       AS given (stakeholder_id text, position integer, role text, entity json);

-- name: find_verification
SELECT * FROM verifications WHERE tenant_id = %(tenant_id)s AND trace = %(trace)s;

-- name: find_id
SELECT id FROM verifications WHERE tenant_id = %(tenant_id)s AND trace = %(trace)s;

-- name: load_verification
-- Without the documents.
SELECT id, tenant_id, trace, user_id, on_behalf_uid, entity, status, risk, screened_at, created_at,
       updated_at
  FROM verifications WHERE id = %(id)s;

-- name: list_stakeholders
SELECT verification_id, stakeholder_id, role, entity
  FROM stakeholders
 WHERE verification_id = ANY (%(ids)s)
 ORDER BY verification_id, position;

-- name: list_stakeholder_names
SELECT verification_id, stakeholder_id, role,
       json_build_object('name', entity->'name', 'firstName', entity->'firstName',
                         'middleName', entity->'middleName', 'lastName', entity->'lastName') AS entity
  FROM stakeholders
 WHERE verification_id = ANY (%(ids)s)
 ORDER BY verification_id, position;

-- name: has_stakeholder
SELECT FROM stakeholders
 WHERE verification_id = %(verification_id)s AND stakeholder_id = %(stakeholder_id)s;

-- name: list_verifications
-- Of every entity the names alone.
SELECT id, tenant_id, trace, user_id, on_behalf_uid, status, risk, screened_at, created_at,
       updated_at,
       json_build_object('name', entity->'name', 'firstName', entity->'firstName',
                         'middleName', entity->'middleName', 'lastName', entity->'lastName') AS entity
  FROM verifications
 WHERE tenant_id = %(tenant_id)s
   AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
   AND (created_at, id) < (%(before)s, %(before_id)s)
 ORDER BY created_at DESC, id DESC
 LIMIT %(limit)s;

-- name: set_risk
UPDATE verifications
   SET risk = %(risk)s, screened_at = clock_timestamp(), updated_at = clock_timestamp()
 WHERE id = %(id)s
RETURNING screened_at;

-- name: read_one_moment
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;

-- name: insert_run
INSERT INTO verification_runs (job_id, verification_id, type, source_action, source_uid,
                               source_email)
VALUES (%(job_id)s, %(verification_id)s, %(type)s, %(source_action)s, %(source_uid)s,
        %(source_email)s);

-- name: take_gate
-- Nothing comes back if another run holds it; one that holds it already holds it still. The row of
-- the other run is not locked: that one may be about to end, and wait for what we hold.
WITH taken AS (
    INSERT INTO verification_gates (verification_id, type, job_id)
    SELECT verification_id, type, job_id FROM verification_runs WHERE job_id = %(job_id)s
    ON CONFLICT (verification_id, type) DO NOTHING
    RETURNING job_id)
SELECT job_id FROM taken
 UNION ALL
SELECT job_id FROM verification_gates WHERE job_id = %(job_id)s;

-- name: holder_of_gate
SELECT jobs.external_id AS run_id
  FROM verification_gates AS gate JOIN jobs ON jobs.id = gate.job_id
 WHERE gate.verification_id = %(verification_id)s AND gate.type = %(type)s;

-- name: count_attempt
-- A pass that a worker begins; the other chunks of the same pass, and what is redelivered, are no
-- further attempt.
UPDATE verification_runs SET attempts = attempts + 1, last_pass = %(pass_no)s
 WHERE job_id = %(job_id)s AND last_pass < %(pass_no)s;

-- name: last_holder
-- Who held the gate last: what somebody asked for holds it from the first, any other run from when
-- it was begun.
SELECT jobs.external_id AS run_id
  FROM verification_runs AS run JOIN jobs ON jobs.id = run.job_id
 WHERE run.verification_id = %(verification_id)s AND run.type = %(type)s
   AND jobs.state <> 'rejected'
   AND (jobs.started_at IS NOT NULL OR run.source_action LIKE 'manual-%%')
 ORDER BY jobs.finished_at DESC NULLS FIRST
 LIMIT 1;

-- name: rests_before
SELECT rests - (rested_pass >= %(pass_no)s)::integer AS rests
  FROM verification_runs WHERE job_id = %(job_id)s;

-- name: count_rest
UPDATE verification_runs SET rests = rests + 1, rested_pass = %(pass_no)s
 WHERE job_id = %(job_id)s AND rested_pass < %(pass_no)s;

-- name: note_conflict
UPDATE verification_runs SET conflicting_run = %(holder)s WHERE job_id = %(job_id)s;

-- name: set_outcome
UPDATE verification_runs SET outcome = %(outcome)s WHERE job_id = %(job_id)s;

-- name: load_run
SELECT jobs.id, jobs.external_id AS run_id, run.verification_id, run.type, run.payload,
       run.source_action, run.source_uid, run.source_email, run.requested_at, run.attempts,
       run.conflicting_run, jobs.state, jobs.version, jobs.started_at, jobs.finished_at,
       jobs.error_message
  FROM verification_runs AS run JOIN jobs ON jobs.id = run.job_id
 WHERE run.job_id = %(job_id)s;

-- name: list_runs
-- Of one type or of all, the newest first; or one of them by what the client calls it.
SELECT jobs.id, jobs.external_id AS run_id, run.verification_id, run.type, run.payload,
       run.source_action, run.source_uid, run.source_email, run.requested_at, run.attempts,
       run.conflicting_run, jobs.state, jobs.version, jobs.started_at, jobs.finished_at,
       jobs.error_message
  FROM verification_runs AS run JOIN jobs ON jobs.id = run.job_id
 WHERE run.verification_id = %(verification_id)s
   AND (%(type)s::text IS NULL OR run.type = %(type)s)
   AND (%(run_id)s::text IS NULL OR jobs.external_id = %(run_id)s)
   AND (run.requested_at, run.job_id) < (%(before)s, %(before_id)s)
 ORDER BY run.requested_at DESC, run.job_id DESC
 LIMIT %(limit)s;

-- name: list_outcomes
-- Every item of a run with what came of it, for the conclusion.
SELECT items.ref, items.payload, results.status, results.result, results.error_code,
       results.error_message, results.finished_at
  FROM results JOIN items USING (kind, month, job_id, position)
 WHERE results.kind = %(kind)s AND results.month = %(month)s AND results.job_id = %(job_id)s
   AND items.kind = %(kind)s AND items.month = %(month)s AND items.job_id = %(job_id)s
 ORDER BY results.position;

-- name: insert_screenings
INSERT INTO screenings (screening_id, verification_id, job_id, stakeholder_id, subject,
                        total_hits, matched_sources, sources_checked, is_complete, risk,
                        screened_at)
SELECT screening_id, %(verification_id)s, %(job_id)s, stakeholder_id, subject, total_hits,
       matched_sources, sources_checked, is_complete, risk, screened_at
  FROM json_to_recordset(%(rows)s)
       AS given (screening_id text, stakeholder_id text, subject json, total_hits integer,
                 matched_sources json, sources_checked json, is_complete boolean, risk json,
                 screened_at timestamptz);

-- name: list_screenings
-- Those of the newest run first, and of a run the entity before the stakeholders. `whose` NULL: of everybody; '': of the entity alone; else of a stakeholder.
SELECT each.screening_id, jobs.external_id AS run_id, each.stakeholder_id, each.subject,
       each.total_hits, each.matched_sources, each.sources_checked, each.is_complete, each.risk,
       each.screened_at, run.source_action, run.source_uid, run.source_email
  FROM screenings AS each
  JOIN verification_runs AS run USING (job_id)
  JOIN jobs ON jobs.id = each.job_id
  LEFT JOIN stakeholders ON stakeholders.verification_id = each.verification_id
                        AND stakeholders.stakeholder_id = each.stakeholder_id
 WHERE each.verification_id = %(verification_id)s
   AND (%(whose)s::text IS NULL OR coalesce(each.stakeholder_id, '') = %(whose)s)
   AND (%(job_id)s::uuid IS NULL OR each.job_id = %(job_id)s)
 ORDER BY run.requested_at DESC, each.job_id, stakeholders.position NULLS FIRST
 LIMIT %(limit)s;

-- name: count_hits
-- Of every subject of a run how many there were, in the order of list_screenings.
SELECT each.screening_id, each.stakeholder_id, each.total_hits, each.is_complete
  FROM screenings AS each
  LEFT JOIN stakeholders ON stakeholders.verification_id = each.verification_id
                        AND stakeholders.stakeholder_id = each.stakeholder_id
 WHERE each.job_id = %(job_id)s
 ORDER BY stakeholders.position NULLS FIRST;

-- name: latest_completed
-- The last run of a type that completed.
SELECT jobs.id AS job_id
  FROM verification_runs AS run JOIN jobs ON jobs.id = run.job_id
 WHERE run.verification_id = %(verification_id)s AND run.type = %(type)s
   AND jobs.state = 'completed'
 ORDER BY jobs.finished_at DESC
 LIMIT 1;

-- name: add_audit
SELECT audit_verification(%(verification_id)s, %(action)s, %(run_id)s, %(by)s, %(detail)s) AS seq;

-- name: list_audit
SELECT seq, entry, previous, digest FROM verification_audit
 WHERE verification_id = %(verification_id)s AND seq < %(before)s
 ORDER BY seq DESC
 LIMIT %(limit)s;

-- Ongoing monitoring: who is watched, what was found of them, and every check that was made.
--
-- What dialect A calls a watchlist is a monitor here: a watchlist is a published list.

CREATE TABLE monitors (
    id               uuid PRIMARY KEY,
    tenant_id        uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name             text NOT NULL CHECK (name <> ''),
    description      text,
    check_frequency  text NOT NULL CHECK (check_frequency IN ('daily', 'weekly', 'on_update')),
    -- Lists that are searched; NULL: whatever is loaded at the time of a check.
    lists            text[],
    threshold        double precision NOT NULL CHECK (threshold BETWEEN 0 AND 1),
    search_type      text NOT NULL,
    on_new_match     boolean NOT NULL,
    on_status_change boolean NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    created_by       text NOT NULL,
    updated_at       timestamptz NOT NULL DEFAULT now(),
    checked_at       timestamptz,
    -- When the clock wants a check of everybody; NULL: it does not, as long as nothing fails.
    next_check_at    timestamptz,
    UNIQUE (tenant_id, name)
);
CREATE INDEX monitors_by_tenant ON monitors (tenant_id, created_at DESC, id DESC);
CREATE INDEX monitors_due ON monitors (next_check_at) WHERE next_check_at IS NOT NULL;

CREATE TABLE monitor_subjects (
    monitor_id  uuid NOT NULL REFERENCES monitors (id) ON DELETE CASCADE,
    -- What the tenant calls it.
    entity_id   text NOT NULL CHECK (entity_id <> ''),
    -- The subject as it is now: whoever changes it takes the next number. An index that holds the
    -- number holds exactly this.
    number      bigint GENERATED ALWAYS AS IDENTITY,
    entity      json NOT NULL,
    added_at    timestamptz NOT NULL DEFAULT now(),
    -- When it was last screened, as it is now, against everything that is searched.
    screened_at timestamptz,
    PRIMARY KEY (monitor_id, entity_id)
);
CREATE UNIQUE INDEX monitor_subjects_number ON monitor_subjects (number);
CREATE INDEX monitor_subjects_unscreened ON monitor_subjects (monitor_id, added_at)
 WHERE screened_at IS NULL;

-- What is known of a subject at this moment.
CREATE TABLE monitor_hits (
    monitor_id    uuid NOT NULL,
    entity_id     text NOT NULL,
    list_name     text NOT NULL,
    entry_id      text NOT NULL,
    list_version  text NOT NULL,
    score         double precision NOT NULL,
    -- Of the entry as it is listed, and of the score: what makes a hit another than before.
    fingerprint   text NOT NULL,
    detail        json NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    changed_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (monitor_id, entity_id, list_name, entry_id),
    FOREIGN KEY (monitor_id, entity_id) REFERENCES monitor_subjects ON DELETE CASCADE
);
CREATE INDEX monitor_hits_by_entry ON monitor_hits (list_name, entry_id);

-- A check is a screening job and what came of it; both have one id.
CREATE TABLE monitor_checks (
    id            uuid PRIMARY KEY,
    monitor_id    uuid NOT NULL REFERENCES monitors (id) ON DELETE CASCADE,
    cause         text NOT NULL
                  CHECK (cause IN ('manual', 'scheduled', 'subjects_added', 'list_update')),
    state         text NOT NULL DEFAULT 'running'
                  CHECK (state IN ('running', 'completed', 'failed')),
    -- The list that changed, and between which versions; of a list update only.
    list_name     text,
    from_version  text,
    to_version    text,
    -- Hits on these lists are compared; NULL: on all. And of these entries all that is left is
    -- gone, whether or not somebody was screened.
    scope         text[],
    -- Subjects that have a later number changed after the check began.
    last_number   bigint NOT NULL,
    subjects      integer NOT NULL CHECK (subjects >= 0),
    failed        integer NOT NULL DEFAULT 0,
    matches       integer NOT NULL DEFAULT 0,
    previous      integer NOT NULL DEFAULT 0,
    added         integer NOT NULL DEFAULT 0,
    gone          integer NOT NULL DEFAULT 0,
    changed       integer NOT NULL DEFAULT 0,
    by_list       jsonb NOT NULL DEFAULT '{}',
    list_versions jsonb NOT NULL DEFAULT '{}',
    error_code    text,
    error_message text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    created_by    text NOT NULL,
    finished_at   timestamptz,
    CONSTRAINT finished_iff_over CHECK ((finished_at IS NOT NULL) = (state <> 'running')),
    CONSTRAINT failed_says_why CHECK ((error_code IS NOT NULL) = (state = 'failed'))
);
CREATE INDEX monitor_checks_by_monitor ON monitor_checks (monitor_id, created_at DESC, id DESC);
-- One check of a monitor at a time: two would each compare with what the other has not written yet.
CREATE UNIQUE INDEX monitor_checks_one_running ON monitor_checks (monitor_id)
 WHERE state = 'running';

-- What a check found to be other than before. Written once.
CREATE TABLE monitor_changes (
    check_id     uuid NOT NULL REFERENCES monitor_checks (id) ON DELETE CASCADE,
    position     integer NOT NULL,
    monitor_id   uuid NOT NULL,
    entity_id    text NOT NULL,
    list_name    text NOT NULL,
    entry_id     text NOT NULL,
    change       text NOT NULL CHECK (change IN ('new', 'gone', 'changed')),
    -- The tenant asked to be told of this.
    is_alert     boolean NOT NULL,
    score        double precision,
    score_before double precision,
    -- The hit as it is now, or as it was last.
    detail       json NOT NULL,
    PRIMARY KEY (check_id, position)
);
CREATE INDEX monitor_changes_by_monitor ON monitor_changes (monitor_id);

-- Up to which version of a list the monitor knows everything. `version_id` is no foreign key: that
-- the version is gone only means that everybody is screened.
CREATE TABLE monitor_lists (
    monitor_id uuid NOT NULL REFERENCES monitors (id) ON DELETE CASCADE,
    list_name  text NOT NULL,
    version_id bigint NOT NULL,
    PRIMARY KEY (monitor_id, list_name)
);

-- Who sees to the update of a list, so that it is not done twice at once.
CREATE TABLE monitor_updates (
    list_name    text PRIMARY KEY,
    claimed_till timestamptz NOT NULL
);

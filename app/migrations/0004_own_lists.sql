-- Lists of a tenant's own, topics of lists, how fresh each public list is, and review decisions.

-- A list without a tenant is everybody's; one with a tenant does not exist for the others.
ALTER TABLE watchlists
    ADD COLUMN tenant_id    uuid REFERENCES tenants (id) ON DELETE CASCADE,
    ADD COLUMN created_by   text,
    -- What the whole list is about. Empty: loaded before lists had topics.
    ADD COLUMN topics       text[] NOT NULL DEFAULT '{}',
    -- What single entries say beside it; together, what the list can answer about.
    ADD COLUMN entry_topics text[] NOT NULL DEFAULT '{}',
    -- When a newer version took over, or the list was deleted.
    ADD COLUMN retired_at   timestamptz;

DROP INDEX watchlists_one_current;
CREATE UNIQUE INDEX watchlists_one_current ON watchlists (name)
 WHERE is_current AND tenant_id IS NULL;
CREATE UNIQUE INDEX watchlists_one_current_of_tenant ON watchlists (tenant_id, name)
 WHERE is_current AND tenant_id IS NOT NULL;

-- When somebody last looked whether a public list has changed. Kept apart from the versions: a
-- list that has not changed is fresh, and its version is not touched.
CREATE TABLE watchlist_refreshes (
    name          text PRIMARY KEY,
    -- Set before the publisher is asked, so that two workers do not ask at once.
    attempted_at  timestamptz NOT NULL DEFAULT '-infinity',
    refreshed_at  timestamptz,
    -- Why the last attempt failed; empty when it did not.
    problem       text
);

-- A person's decision that an entity is not (or is) an entry of a list.
CREATE TABLE exclusions (
    id            uuid PRIMARY KEY,
    tenant_id     uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    entity_id     text NOT NULL CHECK (entity_id <> ''),
    list_name     text NOT NULL,
    entry_id      text NOT NULL,
    decision      text NOT NULL CHECK (decision IN ('false_positive', 'true_match')),
    reason        text NOT NULL CHECK (reason <> ''),
    -- What was reviewed, hashed under the salt: the decision is about these two and no others.
    salt          bytea NOT NULL,
    subject_hash  bytea NOT NULL,
    entry_hash    bytea NOT NULL,
    -- Where the reviewer saw it.
    job_id        uuid NOT NULL,
    list_version  text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    created_by    text NOT NULL,
    revoked_at    timestamptz,
    revoked_by    text,
    CONSTRAINT revoked_by_somebody CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);

-- One decision in force about one pair.
CREATE UNIQUE INDEX exclusions_in_force ON exclusions (tenant_id, entity_id, list_name, entry_id)
 WHERE revoked_at IS NULL;
CREATE INDEX exclusions_by_tenant ON exclusions (tenant_id, created_at DESC, id DESC);

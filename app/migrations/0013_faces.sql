-- Faces, the collections they are kept in, keys that are good for one of these, and images that
-- wait for their turn.

CREATE TABLE collections (
    id             uuid        PRIMARY KEY,
    tenant_id      uuid        NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name           text        NOT NULL CHECK (name <> ''),
    description    text        NOT NULL DEFAULT '',
    face_selection text        NOT NULL DEFAULT 'single'
                               CHECK (face_selection IN ('single', 'largest', 'center')),
    -- Faces go so long after they came; without it they stay.
    retention_days integer     CHECK (retention_days > 0),
    is_enabled     boolean     NOT NULL DEFAULT true,
    face_count     integer     NOT NULL DEFAULT 0 CHECK (face_count >= 0),
    -- Grows with every face that comes or goes, in the transaction in which it does: what workers
    -- keep in memory is brought up to date from here.
    version        bigint      NOT NULL DEFAULT 0,
    -- Removals up to this version are listed no longer; who has not heard of them begins anew.
    forgotten      bigint      NOT NULL DEFAULT 0,
    created_by     text        NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX collections_of_tenant ON collections (tenant_id, created_at DESC, id DESC);

CREATE TABLE faces (
    id            uuid        PRIMARY KEY,
    collection_id uuid        NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    -- Who it is, in the caller's system. A person may have several faces.
    external_id   text        NOT NULL CHECK (external_id <> ''),
    -- 128 little-endian float32, of length 1. Biometric data: it goes with the row.
    embedding     bytea       NOT NULL CHECK (octet_length(embedding) = 512),
    model_version text        NOT NULL,
    quality_score real        NOT NULL,
    metadata      jsonb       NOT NULL DEFAULT '{}',
    -- That of the collection when the face came.
    version       bigint      NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now()
);

-- 128 numbers that look random do not pack.
ALTER TABLE faces ALTER COLUMN embedding SET STORAGE EXTERNAL;

CREATE INDEX faces_by_version ON faces (collection_id, version);
CREATE INDEX faces_by_external_id ON faces (collection_id, external_id);
CREATE INDEX faces_by_age ON faces (collection_id, created_at DESC, id DESC);

-- Which faces are gone, and since which version, until everybody has heard of it.
CREATE TABLE face_removals (
    collection_id uuid        NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    version       bigint      NOT NULL,
    face_id       uuid        NOT NULL,
    removed_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (collection_id, version, face_id)
);

CREATE INDEX face_removals_by_age ON face_removals (removed_at);

-- Images as they were sent, in parts, written while the request is read. Each goes with the result
-- of its item; what belongs to no living job goes when it expires.
--
-- Where an object store holds the bytes, each image has one row without data. The row is written
-- before the object and deleted after it, so that no object is there that nobody knows of.
CREATE TABLE face_images (
    -- Of one request; its job's options name it.
    batch      uuid        NOT NULL,
    position   integer     NOT NULL CHECK (position >= 0),
    part_no    integer     NOT NULL CHECK (part_no >= 0),
    tenant_id  uuid        NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    data       bytea       NOT NULL,
    -- Of the object, where the bytes are not here.
    object_size integer    CHECK (object_size >= 0),
    -- Its item has ended: the object is to be deleted, and then the row.
    is_done    boolean     NOT NULL DEFAULT false,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (batch, position, part_no)
);

-- Images are packed already: trying again costs time and saves nothing.
ALTER TABLE face_images ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE INDEX face_images_of_tenant ON face_images (tenant_id);
CREATE INDEX face_images_done ON face_images (batch) WHERE is_done;
CREATE INDEX face_images_by_expiry ON face_images (expires_at);

ALTER TABLE api_keys
    -- The one collection that the key is good for; without it, whatever its scopes allow.
    ADD COLUMN collection_id  uuid REFERENCES collections (id) ON DELETE CASCADE,
    ADD COLUMN rate_limit_rpm integer CHECK (rate_limit_rpm > 0);

-- Whose images these are.
CREATE INDEX jobs_of_face_images ON jobs ((options ->> 'batch')) WHERE kind = 'faces';
-- Jobs that have ended and whose time is over are looked for every few seconds.
CREATE INDEX jobs_ended ON jobs (kind, finished_at) WHERE finished_at IS NOT NULL;

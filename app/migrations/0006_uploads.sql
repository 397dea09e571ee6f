-- Documents that a tenant has sent, to be named by jobs as upload://ID.

CREATE TABLE uploads (
    id          uuid        PRIMARY KEY,
    tenant_id   uuid        NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    -- What the caller calls it. Personal data, like the bytes.
    name        text        NOT NULL,
    size        integer     NOT NULL CHECK (size > 0),
    sha256      text        NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    data        bytea       NOT NULL CHECK (octet_length(data) = size),
    created_by  text        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL
);

-- PDF and DOCX are packed already: trying again costs time and saves nothing.
ALTER TABLE uploads ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE INDEX uploads_of_tenant ON uploads (tenant_id, created_at DESC, id DESC);
CREATE INDEX uploads_by_expiry ON uploads (expires_at);

-- Which items still need which upload. An upload that a living job needs does not expire, and one
-- that the last item has done with goes at once.
CREATE TABLE upload_uses (
    job_id     uuid    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    position   integer NOT NULL CHECK (position >= 0),
    upload_id  uuid    NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    PRIMARY KEY (job_id, position)
);

CREATE INDEX upload_uses_of_upload ON upload_uses (upload_id);

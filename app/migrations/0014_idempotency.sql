-- What clients call their requests (Idempotency-Key), so that one which comes again is known: for a
-- day, then the row goes.
CREATE TABLE idempotency_keys (
    tenant_id   uuid        NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    -- SHA-256 of route and key: what somebody chooses to call a request may be anything.
    digest      bytea       NOT NULL CHECK (octet_length(digest) = 32),
    -- The one request that is at work under the key. From held_until on another may take over.
    holder      uuid        NOT NULL,
    held_until  timestamptz NOT NULL,
    -- SHA-256 of the request, from its first write on.
    fingerprint bytea       CHECK (octet_length(fingerprint) = 32),
    -- Set in the very transaction that wrote something for the request, and so is the job.
    has_written boolean     NOT NULL DEFAULT false,
    job_id      uuid,
    -- The answer, once there is one.
    status      smallint,
    headers     jsonb,
    body        bytea,
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, digest),
    CHECK (num_nulls(status, headers, body) IN (0, 3))
);

CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);

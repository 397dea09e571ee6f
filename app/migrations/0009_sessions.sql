-- People who sign in by dialect D: their names, and refresh tokens that can be taken back.

ALTER TABLE users ADD COLUMN full_name text;

-- Each refresh token is good for one use, which makes the next of its family. One that comes a
-- second time has been copied: the whole family ends.
CREATE TABLE refresh_tokens (
    id         uuid        PRIMARY KEY,
    family     uuid        NOT NULL,
    tenant_id  uuid        NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    user_id    uuid        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- SHA-256 of the token, which is stored nowhere.
    token_hash bytea       NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    revoked_at timestamptz
);

CREATE INDEX refresh_tokens_of_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_of_user ON refresh_tokens (user_id);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);

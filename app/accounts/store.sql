-- Queries for app/accounts/store.py. One function there per query here, same name.

-- name: insert_tenant
INSERT INTO tenants (id, name) VALUES (%(id)s, %(name)s)
ON CONFLICT (name) DO NOTHING
RETURNING id, name, created_at;

-- name: find_tenant
SELECT id, name, created_at FROM tenants WHERE name = %(name)s;

-- name: list_tenants
SELECT id, name, created_at FROM tenants ORDER BY name;

-- name: service_uid
SELECT service_uid FROM tenants WHERE id = %(id)s;

-- name: insert_user
INSERT INTO users (id, email, password_hash, full_name)
VALUES (%(id)s, %(email)s, %(password_hash)s, %(full_name)s)
ON CONFLICT (email) DO NOTHING
RETURNING id, email, is_active, created_at, full_name;

-- name: load_user
SELECT id, email, is_active, created_at, full_name FROM users WHERE id = %(id)s;

-- name: find_user
SELECT id, email, is_active, created_at FROM users WHERE email = %(email)s;

-- name: find_password
SELECT id, password_hash FROM users WHERE email = %(email)s;

-- name: set_password
UPDATE users SET password_hash = %(password_hash)s WHERE email = %(email)s
RETURNING id, email, is_active, created_at;

-- name: set_active
UPDATE users SET is_active = %(is_active)s WHERE email = %(email)s
RETURNING id, email, is_active, created_at;

-- name: save_membership
INSERT INTO memberships (tenant_id, user_id, role)
VALUES (%(tenant_id)s, %(user_id)s, %(role)s)
ON CONFLICT (tenant_id, user_id) DO UPDATE SET role = EXCLUDED.role;

-- name: list_members
SELECT u.id, u.email, u.is_active, u.created_at, t.name AS tenant, m.role
  FROM memberships m
  JOIN users u ON u.id = m.user_id
  JOIN tenants t ON t.id = m.tenant_id
 WHERE %(tenant_id)s::uuid IS NULL OR m.tenant_id = %(tenant_id)s::uuid
 ORDER BY t.name, u.email;

-- name: find_login
-- Without a tenant: the one the user joined first.
SELECT m.user_id, m.tenant_id, m.role
  FROM memberships m
  JOIN users u ON u.id = m.user_id AND u.is_active
 WHERE m.user_id = %(user_id)s
   AND (%(tenant_id)s::uuid IS NULL OR m.tenant_id = %(tenant_id)s::uuid)
 ORDER BY m.created_at, m.tenant_id
 LIMIT 1;

-- name: load_tenant
SELECT id, name, created_at FROM tenants WHERE id = %(id)s;

-- name: list_memberships
SELECT t.id, t.name, t.created_at, m.role
  FROM memberships m
  JOIN users u ON u.id = m.user_id AND u.is_active
  JOIN tenants t ON t.id = m.tenant_id
 WHERE m.user_id = %(user_id)s
 ORDER BY m.created_at, t.id;

-- name: insert_refresh_token
INSERT INTO refresh_tokens (id, family, tenant_id, user_id, token_hash, expires_at)
VALUES (%(id)s, %(family)s, %(tenant_id)s, %(user_id)s, %(token_hash)s,
        now() + make_interval(secs => %(seconds)s));

-- name: lock_user
-- Two things at once that renew or end sessions of a user would each miss what the other writes.
SELECT id FROM users WHERE id = %(id)s FOR NO KEY UPDATE;

-- name: find_refresh_token
SELECT id, family, tenant_id, user_id, used_at IS NOT NULL AS is_used,
       revoked_at IS NOT NULL AS is_revoked, expires_at <= now() AS is_expired
  FROM refresh_tokens
 WHERE token_hash = %(token_hash)s;

-- name: use_refresh_token
UPDATE refresh_tokens SET used_at = now() WHERE id = %(id)s;

-- name: revoke_family
UPDATE refresh_tokens SET revoked_at = COALESCE(revoked_at, now()) WHERE family = %(family)s;

-- name: revoke_sessions
UPDATE refresh_tokens SET revoked_at = now()
 WHERE user_id = %(user_id)s AND revoked_at IS NULL;

-- name: forget_refresh_tokens
-- A day later: until then one that comes again tells that it was copied.
DELETE FROM refresh_tokens WHERE expires_at < now() - interval '1 day';

-- name: insert_key
INSERT INTO api_keys (id, tenant_id, name, prefix, key_hash, scopes, allowed_ips, expires_at,
                      collection_id, rate_limit_rpm)
VALUES (%(id)s, %(tenant_id)s, %(name)s, %(prefix)s, %(key_hash)s, %(scopes)s, %(allowed_ips)s,
        %(expires_at)s, %(collection_id)s, %(rate_limit_rpm)s)
RETURNING id, tenant_id, name, prefix, scopes, allowed_ips, expires_at, revoked_at, last_used_at,
          created_at, collection_id, rate_limit_rpm;

-- name: hold_collection
SELECT id FROM collections WHERE id = %(id)s AND tenant_id = %(tenant_id)s FOR KEY SHARE;

-- name: find_key
SELECT id, tenant_id, name, prefix, scopes, allowed_ips, expires_at, revoked_at, last_used_at,
       created_at, collection_id, rate_limit_rpm
  FROM api_keys
 WHERE key_hash = %(key_hash)s;

-- name: load_key
SELECT id, tenant_id, name, prefix, scopes, allowed_ips, expires_at, revoked_at, last_used_at,
       created_at, collection_id, rate_limit_rpm
  FROM api_keys
 WHERE id = %(id)s;

-- name: touch_key
UPDATE api_keys SET last_used_at = now() WHERE id = %(id)s;

-- name: list_keys
SELECT id, tenant_id, name, prefix, scopes, allowed_ips, expires_at, revoked_at, last_used_at,
       created_at, collection_id, rate_limit_rpm
  FROM api_keys
 WHERE tenant_id = %(tenant_id)s
 ORDER BY created_at, id;

-- name: revoke_key
-- Revoking twice keeps the first time.
UPDATE api_keys SET revoked_at = COALESCE(revoked_at, now())
 WHERE tenant_id = %(tenant_id)s AND id = %(id)s
RETURNING id, tenant_id, name, prefix, scopes, allowed_ips, expires_at, revoked_at, last_used_at,
          created_at, collection_id, rate_limit_rpm;

"""Accounts in Postgres. Every function runs inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from app.accounts.model import ApiKey, Login, Member, RefreshToken, Role, Tenant, User
from app.db import Cursor, load_queries, one

QUERIES = load_queries("app.accounts")


def insert_tenant(tx: Cursor, name: str) -> Tenant | None:
    """Return the new tenant, or None if the name is taken."""
    tx.execute(QUERIES["insert_tenant"], {"id": uuid4(), "name": name})
    return _tenant(tx.fetchone())


def find_tenant(tx: Cursor, name: str) -> Tenant | None:
    tx.execute(QUERIES["find_tenant"], {"name": name})
    return _tenant(tx.fetchone())


def list_tenants(tx: Cursor) -> list[Tenant]:
    tx.execute(QUERIES["list_tenants"])
    return [Tenant(row["id"], row["name"], row["created_at"]) for row in tx.fetchall()]


def service_uid(tx: Cursor, tenant_id: UUID) -> str | None:
    """Return what the tenant is called in dialect B; None if there is no such tenant."""
    tx.execute(QUERIES["service_uid"], {"id": tenant_id})
    row = tx.fetchone()
    return None if row is None else str(row["service_uid"])


def insert_user(
    tx: Cursor, email: str, password_hash: str, full_name: str | None = None
) -> User | None:
    """Return the new user, or None if the address is taken."""
    tx.execute(
        QUERIES["insert_user"],
        {
            "id": uuid4(),
            "email": email,
            "password_hash": password_hash,
            "full_name": full_name,
        },
    )
    return _user(tx.fetchone())


def load_user(tx: Cursor, user_id: UUID) -> User | None:
    tx.execute(QUERIES["load_user"], {"id": user_id})
    return _user(tx.fetchone())


def find_user(tx: Cursor, email: str) -> User | None:
    tx.execute(QUERIES["find_user"], {"email": email})
    return _user(tx.fetchone())


def find_password(tx: Cursor, email: str) -> tuple[UUID, str] | None:
    """Return the user's id and the hash of their password."""
    tx.execute(QUERIES["find_password"], {"email": email})
    row = tx.fetchone()
    return None if row is None else (row["id"], row["password_hash"])


def set_password(tx: Cursor, email: str, password_hash: str) -> User | None:
    tx.execute(QUERIES["set_password"], {"email": email, "password_hash": password_hash})
    return _user(tx.fetchone())


def set_active(tx: Cursor, email: str, is_active: bool) -> User | None:
    tx.execute(QUERIES["set_active"], {"email": email, "is_active": is_active})
    return _user(tx.fetchone())


def save_membership(tx: Cursor, tenant_id: UUID, user_id: UUID, role: Role) -> None:
    """Make the user a member, or give a member another role."""
    tx.execute(
        QUERIES["save_membership"],
        {"tenant_id": tenant_id, "user_id": user_id, "role": role},
    )


def list_members(tx: Cursor, tenant_id: UUID | None) -> list[Member]:
    """Return the members of one tenant, or of all."""
    tx.execute(QUERIES["list_members"], {"tenant_id": tenant_id})
    return [Member(_known(row), row["tenant"], Role(row["role"])) for row in tx.fetchall()]


def find_login(tx: Cursor, user_id: UUID, tenant_id: UUID | None) -> Login | None:
    """Return what an active user is in the tenant, or in the first one they joined."""
    tx.execute(
        QUERIES["find_login"],
        {"user_id": user_id, "tenant_id": tenant_id},
    )
    row = tx.fetchone()
    if row is None:
        return None
    return Login(row["user_id"], row["tenant_id"], Role(row["role"]))


def load_tenant(tx: Cursor, tenant_id: UUID) -> Tenant | None:
    tx.execute(QUERIES["load_tenant"], {"id": tenant_id})
    return _tenant(tx.fetchone())


def list_memberships(tx: Cursor, user_id: UUID) -> list[tuple[Tenant, Role]]:
    """Return the tenants that an active user belongs to, those joined first at the front."""
    tx.execute(QUERIES["list_memberships"], {"user_id": user_id})
    return [
        (Tenant(row["id"], row["name"], row["created_at"]), Role(row["role"]))
        for row in tx.fetchall()
    ]


def insert_refresh_token(
    tx: Cursor, login: Login, *, family: UUID, token_hash: bytes, seconds: float
) -> None:
    tx.execute(
        QUERIES["insert_refresh_token"],
        {
            "id": uuid4(),
            "family": family,
            "tenant_id": login.tenant_id,
            "user_id": login.user_id,
            "token_hash": token_hash,
            "seconds": seconds,
        },
    )


def find_refresh_token(tx: Cursor, token_hash: bytes) -> RefreshToken | None:
    tx.execute(QUERIES["find_refresh_token"], {"token_hash": token_hash})
    row = tx.fetchone()
    return None if row is None else RefreshToken(**row)


def lock_user(tx: Cursor, user_id: UUID) -> None:
    """Keep the sessions of the user from changing until the transaction ends."""
    tx.execute(QUERIES["lock_user"], {"id": user_id})


def use_refresh_token(tx: Cursor, token_id: UUID) -> None:
    tx.execute(QUERIES["use_refresh_token"], {"id": token_id})


def revoke_family(tx: Cursor, family: UUID) -> None:
    tx.execute(QUERIES["revoke_family"], {"family": family})


def revoke_sessions(tx: Cursor, user_id: UUID) -> None:
    tx.execute(QUERIES["revoke_sessions"], {"user_id": user_id})


def forget_refresh_tokens(tx: Cursor) -> int:
    """Delete tokens that have expired, and return how many there were."""
    tx.execute(QUERIES["forget_refresh_tokens"])
    return tx.rowcount


def insert_key(
    tx: Cursor,
    tenant_id: UUID,
    name: str,
    *,
    prefix: str,
    key_hash: bytes,
    scopes: Sequence[str],
    allowed_ips: Sequence[str],
    expires_at: datetime | None,
    collection_id: UUID | None = None,
    rate_limit_rpm: int | None = None,
) -> ApiKey:
    tx.execute(
        QUERIES["insert_key"],
        {
            "id": uuid4(),
            "tenant_id": tenant_id,
            "name": name,
            "prefix": prefix,
            "key_hash": key_hash,
            "scopes": list(scopes),
            "allowed_ips": list(allowed_ips),
            "expires_at": expires_at,
            "collection_id": collection_id,
            "rate_limit_rpm": rate_limit_rpm,
        },
    )
    return _key(one(tx))


def hold_collection(tx: Cursor, tenant_id: UUID, collection_id: UUID) -> bool:
    """Keep a collection from being deleted in this transaction, and return whether it is there."""
    tx.execute(QUERIES["hold_collection"], {"id": collection_id, "tenant_id": tenant_id})
    return tx.fetchone() is not None


def find_key(tx: Cursor, key_hash: bytes) -> ApiKey | None:
    tx.execute(QUERIES["find_key"], {"key_hash": key_hash})
    row = tx.fetchone()
    return None if row is None else _key(row)


def load_key(tx: Cursor, key_id: UUID) -> ApiKey | None:
    tx.execute(QUERIES["load_key"], {"id": key_id})
    row = tx.fetchone()
    return None if row is None else _key(row)


def touch_key(tx: Cursor, key_id: UUID) -> None:
    tx.execute(QUERIES["touch_key"], {"id": key_id})


def list_keys(tx: Cursor, tenant_id: UUID) -> list[ApiKey]:
    tx.execute(QUERIES["list_keys"], {"tenant_id": tenant_id})
    return [_key(row) for row in tx.fetchall()]


def revoke_key(tx: Cursor, tenant_id: UUID, key_id: UUID) -> ApiKey | None:
    tx.execute(QUERIES["revoke_key"], {"tenant_id": tenant_id, "id": key_id})
    row = tx.fetchone()
    return None if row is None else _key(row)


def _tenant(row: Mapping[str, Any] | None) -> Tenant | None:
    return None if row is None else Tenant(row["id"], row["name"], row["created_at"])


def _user(row: Mapping[str, Any] | None) -> User | None:
    return None if row is None else _known(row)


def _known(row: Mapping[str, Any]) -> User:
    full_name = row.get("full_name")
    return User(row["id"], row["email"], row["is_active"], row["created_at"], full_name)


def _key(row: Mapping[str, Any]) -> ApiKey:
    return ApiKey(
        id=row["id"],
        tenant_id=row["tenant_id"],
        name=row["name"],
        prefix=row["prefix"],
        scopes=tuple(row["scopes"]),
        allowed_ips=tuple(row["allowed_ips"]),
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
        created_at=row["created_at"],
        collection_id=row["collection_id"],
        rate_limit_rpm=row["rate_limit_rpm"],
    )

"""Roles, what each may do, and the snapshots of accounts that Python passes around."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID


class Role(StrEnum):
    """What a user is in a tenant. Each role may do all that the one before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


_READ = frozenset(
    {
        *("collections:read", "documents:read", "exclusions:read", "face:read"),
        *("jobs:read", "kyc:read"),
        *("verifications:read", "watchlist:list", "watchlist:read"),
    }
)
_WORK = frozenset(
    {
        *("documents:create", "exclusions:manage", "face:write", "jobs:control"),
        *("kyc:create", "kyc:export", "verifications:create"),
    }
)
_MANAGE = frozenset(
    {
        "collections:manage",
        "keys:manage",
        "lists:manage",
        "users:manage",
        "watchlist:create",
        "watchlist:delete",
        "watchlist:run",
        "watchlist:update",
        "webhooks:manage",
    }
)

#: The only place that says what a role may do.
PERMISSIONS: Mapping[Role, frozenset[str]] = {
    Role.VIEWER: _READ,
    Role.OPERATOR: _READ | _WORK,
    Role.ADMIN: _READ | _WORK | _MANAGE,
}

#: Every permission there is: the scopes a key may carry.
ALL_PERMISSIONS = PERMISSIONS[Role.ADMIN]


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever is behind one request. Carries no email: it travels nowhere."""

    tenant_id: UUID
    #: The id of the user or of the key.
    uid: str
    permissions: frozenset[str]
    source: Literal["user", "api_key", "cli"]
    #: Of a key that is good for one collection only.
    collection_id: UUID | None = None
    #: Requests a minute that a key may make; None: as many as it likes.
    rate_limit_rpm: int | None = None


@dataclass(frozen=True, slots=True)
class Tenant:
    id: UUID
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    id: UUID
    #: Personal data: kept out of repr, and so out of logs and exception texts.
    email: str = field(repr=False)
    is_active: bool
    created_at: datetime
    full_name: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """One of a family of tokens, of which each is good for one use."""

    id: UUID
    family: UUID
    tenant_id: UUID
    user_id: UUID
    is_used: bool
    is_revoked: bool
    is_expired: bool


@dataclass(frozen=True, slots=True)
class Member:
    """A user's place in one tenant."""

    user: User
    tenant: str
    role: Role


@dataclass(frozen=True, slots=True)
class Login:
    """A user who has proved who they are, and the tenant they act for."""

    user_id: UUID
    tenant_id: UUID
    role: Role

    @property
    def caller(self) -> Caller:
        return Caller(self.tenant_id, str(self.user_id), PERMISSIONS[self.role], "user")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """All of a key but the key."""

    id: UUID
    tenant_id: UUID
    name: str
    prefix: str
    scopes: tuple[str, ...]
    allowed_ips: tuple[str, ...]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime
    collection_id: UUID | None = None
    rate_limit_rpm: int | None = None

    def state(self, now: datetime) -> Literal["active", "expired", "revoked"]:
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "active"

"""What can be asked of accounts. Each function is one use case and opens its own transaction."""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.accounts import store
from app.accounts.keys import KEY, hash_key, is_key, make_key, prefix_of
from app.accounts.model import (
    ALL_PERMISSIONS,
    ApiKey,
    Caller,
    Login,
    Member,
    Role,
    Tenant,
    User,
)
from app.accounts.passwords import hash_password, is_password
from app.db import Cursor, Database
from app.errors import (
    AddressNotAllowed,
    CollectionNotFound,
    Conflict,
    ExpiredKey,
    InvalidCredentials,
    InvalidParameter,
    InvalidToken,
    KeyNotFound,
    NotFound,
    RevokedKey,
)

log = logging.getLogger(__name__)

#: `last_used_at` is for people who look for idle keys: a write on every request would be too dear.
TOUCH_AFTER = timedelta(minutes=1)

_NAME_LENGTH = 100
#: One @, something on both sides, nothing invisible: only a letter sent there can say more.
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]{1,189}")


def authenticate_password(
    db: Database, email: str, password: str, tenant_id: UUID | None = None
) -> Login:
    """Return who signs in, and for which tenant: the one given, or the first one they joined.

    Raises InvalidCredentials, in the same words and after the same time whether the user is
    unknown, switched off, a member of nothing, or the password is wrong.
    """
    with db.transaction() as tx:
        known = store.find_password(tx, email.lower()) if _is_email(email) else None

    # No transaction is open meanwhile: the check is slow on purpose.
    matches = is_password(known[1] if known else None, password)

    if known and matches:
        with db.transaction() as tx:
            login = store.find_login(tx, known[0], tenant_id)
        if login is not None:
            return login
    log.warning("login.refused")
    raise InvalidCredentials("The email or the password is wrong.")


def get_login(db: Database, user_id: UUID, tenant_id: UUID | None = None) -> Login:
    """Return what the user is now: to renew a token. Raises InvalidToken if nothing any more."""
    with db.transaction() as tx:
        login = store.find_login(tx, user_id, tenant_id)
    if login is None:
        raise InvalidToken("The user is no longer active here.")
    return login


def authenticate_key(db: Database, key: str, address: str | None = None) -> Caller:
    """Return the caller that the key acts for.

    `address` is where the request comes from; a key that is bound to networks is refused
    without it. Raises InvalidToken, ExpiredToken or Forbidden.
    """
    if not is_key(key):
        raise InvalidToken("The API key is not valid.")
    with db.transaction() as tx:
        return _admitted(tx, store.find_key(tx, hash_key(key)), address)


def check_key(db: Database, key_id: UUID, address: str | None) -> Caller:
    """Return the caller that a key acts for which has been shown before. Raises as above."""
    with db.transaction() as tx:
        return _admitted(tx, store.load_key(tx, key_id), address)


def _admitted(tx: Cursor, found: ApiKey | None, address: str | None) -> Caller:
    now = datetime.now(UTC)
    if found is None:
        raise InvalidToken("The API key is not valid.")
    if found.state(now) == "revoked":
        raise RevokedKey("The API key is not valid.")
    if found.state(now) == "expired":
        raise ExpiredKey("The API key has expired.")
    if found.allowed_ips and not _is_within(address, found.allowed_ips):
        raise AddressNotAllowed("The API key may not be used from this address.")
    if found.last_used_at is None or now - found.last_used_at > TOUCH_AFTER:
        store.touch_key(tx, found.id)
    # A permission that has since been abolished is not a permission.
    permissions = ALL_PERMISSIONS.intersection(found.scopes)
    return Caller(
        found.tenant_id,
        str(found.id),
        permissions,
        "api_key",
        found.collection_id,
        found.rate_limit_rpm,
    )


def create_tenant(db: Database, name: str) -> Tenant:
    with db.transaction() as tx:
        tenant = store.insert_tenant(tx, _name(name))
    if tenant is None:
        raise Conflict(f"A tenant named {name!r} exists already.")
    log.info("tenant.created", extra={"tenant_id": str(tenant.id)})
    return tenant


def ensure_tenant(db: Database, name: str) -> Tenant:
    """Return the tenant of that name, made now if there was none."""
    with db.transaction() as tx:
        # Insert first: of two processes at once, one makes it and both find it.
        tenant = store.insert_tenant(tx, _name(name)) or store.find_tenant(tx, name)
    assert tenant is not None, "a tenant that could not be inserted exists"
    return tenant


def get_tenant(db: Database, name: str) -> Tenant:
    with db.transaction() as tx:
        tenant = store.find_tenant(tx, _name(name))
    if tenant is None:
        raise NotFound(f"There is no tenant named {name!r}.")
    return tenant


def list_tenants(db: Database) -> list[Tenant]:
    with db.transaction() as tx:
        return store.list_tenants(tx)


def service_uid(db: Database, tenant_id: UUID) -> str | None:
    """Return the 28 letters that a tenant is called in dialect B, beside its keys. No secret."""
    with db.transaction() as tx:
        return store.service_uid(tx, tenant_id)


def email_of(db: Database, uid: str) -> str | None:
    """Return the address of a user, or None where the id is no user's."""
    try:
        user_id = UUID(uid)
    except ValueError:
        return None
    with db.transaction() as tx:
        user = store.load_user(tx, user_id)
    return None if user is None else user.email


def create_user(db: Database, tenant_id: UUID, email: str, password: str, role: Role) -> User:
    """Make a user and their first membership."""
    address = read_email(email)
    password_hash = hash_password(password)
    with db.transaction() as tx:
        user = store.insert_user(tx, address, password_hash)
        if user is None:
            raise Conflict("A user with this email exists already.")
        store.save_membership(tx, tenant_id, user.id, role)
    log.info("user.created", extra={"user_id": str(user.id), "tenant_id": str(tenant_id)})
    return user


def grant_role(db: Database, tenant_id: UUID, email: str, role: Role) -> User:
    """Make an existing user a member of the tenant, or give a member another role."""
    with db.transaction() as tx:
        user = _found(store.find_user(tx, read_email(email)))
        store.save_membership(tx, tenant_id, user.id, role)
    log.info("user.role_granted", extra={"user_id": str(user.id), "tenant_id": str(tenant_id)})
    return user


def set_password(db: Database, email: str, password: str) -> User:
    """Replace the password, and end all sessions: the old one may have been known to somebody.

    Access tokens, and the refresh tokens of dialect A, live until they expire. Raises
    InvalidParameter or NotFound.
    """
    password_hash = hash_password(password)
    with db.transaction() as tx:
        # From here on the user's row is locked, as whoever renews a session locks it.
        user = _found(store.set_password(tx, read_email(email), password_hash))
        store.revoke_sessions(tx, user.id)
    log.info("user.password_set", extra={"user_id": str(user.id)})
    return user


def set_active(db: Database, email: str, is_active: bool) -> User:
    """Let the user sign in, or not. Access tokens already given out live until they expire."""
    with db.transaction() as tx:
        user = _found(store.set_active(tx, read_email(email), is_active))
    log.info("user.switched", extra={"user_id": str(user.id), "is_active": is_active})
    return user


def list_members(db: Database, tenant_id: UUID | None = None) -> list[Member]:
    """Return the members of one tenant, or of all."""
    with db.transaction() as tx:
        return store.list_members(tx, tenant_id)


def create_key(
    db: Database,
    tenant_id: UUID,
    name: str,
    scopes: Iterable[str],
    *,
    allowed_ips: Iterable[str] = (),
    expires_at: datetime | None = None,
    prefix: str = KEY,
    collection_id: UUID | None = None,
    rate_limit_rpm: int | None = None,
) -> tuple[ApiKey, str]:
    """Return the new key's record, and the key itself: the only time that anyone sees it.

    One with a `collection_id` is good for that collection of the tenant only. Raises
    InvalidParameter or CollectionNotFound.
    """
    wanted = sorted(set(scopes))
    if not wanted:
        raise InvalidParameter("A key needs at least one scope.")
    if unknown := [scope for scope in wanted if scope not in ALL_PERMISSIONS]:
        raise InvalidParameter(
            f"Unknown scope {unknown[0]!r}; the scopes are {', '.join(sorted(ALL_PERMISSIONS))}."
        )
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise InvalidParameter("The key would have expired before it is made.")
    secret = make_key(prefix)
    with db.transaction() as tx:
        if collection_id is not None and not store.hold_collection(tx, tenant_id, collection_id):
            raise CollectionNotFound("There is no such collection.")
        key = store.insert_key(
            tx,
            tenant_id,
            _name(name),
            prefix=prefix_of(secret),
            key_hash=hash_key(secret),
            scopes=wanted,
            allowed_ips=[_network(text) for text in allowed_ips],
            expires_at=expires_at,
            collection_id=collection_id,
            rate_limit_rpm=rate_limit_rpm,
        )
    log.info("key.created", extra={"key_id": str(key.id), "tenant_id": str(tenant_id)})
    return key, secret


def list_keys(db: Database, tenant_id: UUID) -> list[ApiKey]:
    with db.transaction() as tx:
        return store.list_keys(tx, tenant_id)


def revoke_key(db: Database, tenant_id: UUID, key_id: UUID) -> ApiKey:
    """End the key for good. Another tenant's key is as good as no key at all."""
    with db.transaction() as tx:
        key = store.revoke_key(tx, tenant_id, key_id)
    if key is None:
        raise KeyNotFound(f"This tenant has no key {key_id}.")
    log.info("key.revoked", extra={"key_id": str(key.id), "tenant_id": str(tenant_id)})
    return key


def _name(text: str) -> str:
    if not 1 <= len(text) <= _NAME_LENGTH or text != text.strip() or not text.isprintable():
        raise InvalidParameter(
            f"A name has 1 to {_NAME_LENGTH} visible characters, and no space at either end."
        )
    return text


def read_email(text: str) -> str:
    """Return an address as it is stored, or raise InvalidParameter."""
    if not _is_email(text):
        raise InvalidParameter("This is not an email address.")
    return text.lower()


def _is_email(text: str) -> bool:
    # isprintable: Postgres takes no NUL, and UTF-8 no half of a surrogate pair.
    return text.isprintable() and _EMAIL.fullmatch(text) is not None


def _found(user: User | None) -> User:
    if user is None:
        raise NotFound("There is no user with this email.")
    return user


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError as error:
        raise InvalidParameter(f"{text!r} is neither an IP address nor a network.") from error


def _is_within(address: str | None, networks: Iterable[str]) -> bool:
    try:
        here = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    # A server that listens on IPv6 sees IPv4 callers as ::ffff:a.b.c.d.
    here = getattr(here, "ipv4_mapped", None) or here
    return any(here in ipaddress.ip_network(network) for network in networks)

"""Refresh tokens that can be taken back: random, stored as a hash, good for one use each.

Using one makes the next of its family. One that comes a second time has been copied by somebody,
and nobody can tell who is who: the whole family ends (RFC 9700, 4.14.2).
"""

from __future__ import annotations

import logging
import secrets
from hashlib import sha256
from uuid import UUID, uuid4

from app.accounts import store
from app.accounts.model import Login, RefreshToken, Role, User
from app.accounts.passwords import hash_password
from app.accounts.service import read_email
from app.db import Cursor, Database
from app.errors import Conflict, ExpiredToken, Forbidden, InvalidToken, NotFound

log = logging.getLogger(__name__)

_PREFIX = "rt_"
_BYTES = 32


def register(db: Database, email: str, password: str, full_name: str | None) -> Login:
    """Make a user with a tenant of their own, in which they may do everything.

    Raises InvalidParameter, or Conflict if the address is taken.
    """
    address, password_hash = read_email(email), hash_password(password)
    with db.transaction() as tx:
        user = store.insert_user(tx, address, password_hash, full_name)
        if user is None:
            raise Conflict("A user with this email exists already.")
        tenant = store.insert_tenant(tx, f"user {user.id}")
        assert tenant is not None, "nobody else has a tenant of that name"
        store.save_membership(tx, tenant.id, user.id, Role.ADMIN)
    log.info("user.registered", extra={"user_id": str(user.id), "tenant_id": str(tenant.id)})
    return Login(user.id, tenant.id, Role.ADMIN)


def get_user(db: Database, user_id: UUID) -> User:
    """Return the user. Raises NotFound, or Forbidden if the account is switched off."""
    with db.transaction() as tx:
        user = store.load_user(tx, user_id)
    if user is None:
        raise NotFound("No user stands behind this token.")
    if not user.is_active:
        raise Forbidden("User account is disabled")
    return user


def begin(db: Database, login: Login, *, seconds: int) -> str:
    """Return the first refresh token of a family."""
    token = _make()
    with db.transaction() as tx:
        store.insert_refresh_token(
            tx, login, family=uuid4(), token_hash=_hash(token), seconds=seconds
        )
    return token


def renew(db: Database, token: str, *, seconds: int) -> tuple[Login, str]:
    """Exchange a refresh token for the next one, and what the user may do now.

    Raises InvalidToken, ExpiredToken, or Forbidden if the account is switched off.
    """
    following = _make()
    with db.transaction() as tx:
        known = _locked(tx, token)
        copied = known is not None and (known.is_used or known.is_revoked)
        if known is None:
            login = None
        elif copied:
            store.revoke_family(tx, known.family)
            login = None
        else:
            login = store.find_login(tx, known.user_id, known.tenant_id)
            if login is not None and not known.is_expired:
                store.use_refresh_token(tx, known.id)
                store.insert_refresh_token(
                    tx, login, family=known.family, token_hash=_hash(following), seconds=seconds
                )
    # Raised here and not above: what was revoked stays so.
    if copied:
        log.warning("session.revoked", extra={"user_id": str(known and known.user_id)})
        raise InvalidToken("The refresh token has been used before; sign in again.")
    if known is None:
        raise InvalidToken("The refresh token is not one of ours.")
    if known.is_expired:
        raise ExpiredToken("The refresh token has expired; sign in again.")
    if login is None:
        raise Forbidden("User account is disabled")
    return login, following


def end(db: Database, user_id: UUID, token: str | None = None) -> None:
    """End the session that the refresh token belongs to, or all sessions of the user."""
    with db.transaction() as tx:
        if token is None:
            store.lock_user(tx, user_id)
            store.revoke_sessions(tx, user_id)
            return
        known = _locked(tx, token)
        # Somebody else's is none of theirs to end.
        if known is not None and known.user_id == user_id:
            store.revoke_family(tx, known.family)


def _locked(tx: Cursor, token: str) -> RefreshToken | None:
    """Return the token, and keep the sessions of its user as they are until the end of `tx`."""
    known = store.find_refresh_token(tx, _hash(token))
    if known is None:
        return None
    store.lock_user(tx, known.user_id)
    # Somebody may have used it, or ended it, while we waited.
    return store.find_refresh_token(tx, _hash(token))


def _make() -> str:
    return _PREFIX + secrets.token_urlsafe(_BYTES)


def _hash(token: str) -> bytes:
    # 256 random bits need no slow hash: see keys.py.
    return sha256(token.encode("utf-8", "surrogatepass")).digest()

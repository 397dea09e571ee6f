"""Tenants as dialect C shows them: organizations, of which a user may belong to several."""

from __future__ import annotations

import logging
import secrets
from uuid import UUID

from app.accounts import store
from app.accounts.model import Login, Role, Tenant
from app.db import Database
from app.errors import OrganizationNotFound

log = logging.getLogger(__name__)


def create(db: Database, user_id: UUID, name: str) -> Tenant:
    """Make a tenant of which the user is admin.

    Where somebody else's has the name, this one gets some characters more: that there is another
    is nobody's business.
    """
    with db.transaction() as tx:
        if store.load_user(tx, user_id) is None:
            raise OrganizationNotFound("No user stands behind this token.")
        tenant = store.insert_tenant(tx, name)
        while tenant is None:
            tenant = store.insert_tenant(tx, f"{name} {secrets.token_hex(3)}")
        store.save_membership(tx, tenant.id, user_id, Role.ADMIN)
    log.info("tenant.created", extra={"tenant_id": str(tenant.id)})
    return tenant


def list_all(db: Database, user_id: UUID) -> list[tuple[Tenant, Role]]:
    """Return the organizations that the user belongs to, and as what."""
    with db.transaction() as tx:
        return store.list_memberships(tx, user_id)


def get(db: Database, tenant_id: UUID) -> Tenant:
    with db.transaction() as tx:
        tenant = store.load_tenant(tx, tenant_id)
    if tenant is None:
        raise OrganizationNotFound("There is no such organization.")
    return tenant


def find_login(db: Database, user_id: UUID, tenant_id: UUID) -> Login | None:
    """Return what the user is in that tenant, or None if they do not belong to it."""
    with db.transaction() as tx:
        return store.find_login(tx, user_id, tenant_id)

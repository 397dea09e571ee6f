"""Tenants, users and keys against a real Postgres."""

from __future__ import annotations

import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from app.accounts import service
from app.accounts.model import ALL_PERMISSIONS, PERMISSIONS, Role
from app.errors import (
    Conflict,
    ExpiredToken,
    Forbidden,
    InvalidCredentials,
    InvalidParameter,
    InvalidToken,
    NotFound,
)

pytestmark = pytest.mark.integration

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"


@pytest.fixture
def tenant(database):
    return service.create_tenant(database, "acme")


@pytest.fixture
def user(database, tenant):
    return service.create_user(database, tenant.id, EMAIL, PASSWORD, Role.OPERATOR)


def test_each_role_may_do_all_that_the_one_before_it_may():
    viewer, operator, admin = (PERMISSIONS[role] for role in Role)

    assert viewer < operator < admin
    assert "kyc:read" in viewer
    assert "kyc:create" not in viewer
    assert {"kyc:create", "kyc:export", "jobs:control"} <= operator
    assert "keys:manage" not in operator
    assert {"keys:manage", "users:manage", "lists:manage"} <= admin


def test_a_user_signs_in_with_an_address_typed_in_any_case(database, tenant, user):
    login = service.authenticate_password(database, EMAIL.upper(), PASSWORD)

    assert login.user_id == user.id
    assert login.tenant_id == tenant.id
    assert login.caller.uid == str(user.id)
    assert login.caller.permissions == PERMISSIONS[Role.OPERATOR]
    assert login.caller.source == "user"


@pytest.mark.parametrize(
    ("email", "password"),
    [
        (EMAIL, "correct horse batterz"),
        (EMAIL, ""),
        (EMAIL, PASSWORD + "x" * 100_000),
        (EMAIL, "\x00\ud800 half a surrogate"),
        ("nobody@example.com", PASSWORD),
        ("", PASSWORD),
        ("a\x00b@example.com", PASSWORD),
        ("\ud800@example.com", PASSWORD),
        ("not an address", PASSWORD),
    ],
)
def test_every_failed_login_reads_the_same(database, user, email, password):
    with pytest.raises(InvalidCredentials, match=r"^The email or the password is wrong\.$"):
        service.authenticate_password(database, email, password)


def test_an_unknown_user_takes_as_long_to_refuse_as_a_wrong_password(database, user):
    def seconds(email):
        # Of the processor, and not of the wall's clock: others use the machine too.
        begun = time.thread_time()
        with pytest.raises(InvalidCredentials):
            service.authenticate_password(database, email, "wrong password!")
        return time.thread_time() - begun

    seconds("warm-up@example.com")

    known = min(seconds(EMAIL) for _ in range(4))
    unknown = min(seconds("nobody@example.com") for _ in range(4))

    assert 0.5 < unknown / known < 2


def test_a_user_switched_off_can_neither_sign_in_nor_renew_until_switched_on(database, user):
    service.set_active(database, EMAIL, False)

    with pytest.raises(InvalidCredentials):
        service.authenticate_password(database, EMAIL, PASSWORD)
    with pytest.raises(InvalidToken):
        service.get_login(database, user.id)

    service.set_active(database, EMAIL, True)
    assert service.authenticate_password(database, EMAIL, PASSWORD).user_id == user.id
    assert service.get_login(database, user.id).role is Role.OPERATOR


def test_a_new_password_replaces_the_old_one(database, user):
    service.set_password(database, EMAIL, "another good password")

    assert service.authenticate_password(database, EMAIL, "another good password")
    with pytest.raises(InvalidCredentials):
        service.authenticate_password(database, EMAIL, PASSWORD)


def test_a_member_of_two_tenants_signs_in_to_the_first_unless_they_say_which(
    database, tenant, user
):
    other = service.create_tenant(database, "other")
    service.grant_role(database, other.id, EMAIL, Role.ADMIN)

    by_default = service.authenticate_password(database, EMAIL, PASSWORD)
    chosen = service.authenticate_password(database, EMAIL, PASSWORD, other.id)

    assert (by_default.tenant_id, by_default.role) == (tenant.id, Role.OPERATOR)
    assert (chosen.tenant_id, chosen.role) == (other.id, Role.ADMIN)
    assert service.get_login(database, user.id, other.id) == chosen


def test_nobody_signs_in_to_a_tenant_they_do_not_belong_to(database, user):
    other = service.create_tenant(database, "other")

    with pytest.raises(InvalidCredentials):
        service.authenticate_password(database, EMAIL, PASSWORD, other.id)
    with pytest.raises(InvalidToken):
        service.get_login(database, user.id, other.id)


def test_granting_a_role_again_changes_it(database, tenant, user):
    service.grant_role(database, tenant.id, EMAIL, Role.VIEWER)

    assert [member.role for member in service.list_members(database, tenant.id)] == [Role.VIEWER]


def test_two_users_cannot_share_an_address(database, tenant, user):
    with pytest.raises(Conflict):
        service.create_user(database, tenant.id, EMAIL.title(), PASSWORD, Role.VIEWER)


@pytest.mark.parametrize("email", ["", "ada", "ada@", "@example.com", "a b@c", "a@b@c", "a\x00@b"])
def test_what_is_not_an_address_is_refused(database, tenant, email):
    with pytest.raises(InvalidParameter):
        service.create_user(database, tenant.id, email, PASSWORD, Role.VIEWER)


def test_a_short_password_is_refused_and_makes_no_user(database, tenant):
    with pytest.raises(InvalidParameter, match="12 to 256"):
        service.create_user(database, tenant.id, EMAIL, "too short", Role.VIEWER)

    assert service.list_members(database) == []


def test_passwords_are_stored_as_argon2id_only(database, user):
    with database.transaction() as tx:
        tx.execute("SELECT password_hash FROM users")
        stored = tx.fetchone()["password_hash"]

    assert stored.startswith("$argon2id$")
    assert PASSWORD not in stored


def test_a_tenant_name_is_taken_once(database, tenant):
    with pytest.raises(Conflict, match="'acme' exists already"):
        service.create_tenant(database, "acme")

    assert service.ensure_tenant(database, "acme") == tenant
    assert service.get_tenant(database, "acme") == tenant
    with pytest.raises(NotFound, match="There is no tenant named 'emca'"):
        service.get_tenant(database, "emca")


def test_many_processes_that_ensure_one_tenant_get_the_same_one(database):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: service.ensure_tenant(database, "demo"), range(24)))

    assert len({tenant.id for tenant in made}) == 1
    assert [tenant.name for tenant in service.list_tenants(database)] == ["demo"]


@pytest.mark.parametrize("name", ["", " acme", "acme ", "a\nb", "a\x00b", "x" * 101])
def test_a_name_is_short_and_visible(database, name):
    with pytest.raises(InvalidParameter):
        service.create_tenant(database, name)


def test_a_key_acts_for_its_tenant_with_its_scopes_only(database, tenant):
    key, secret = service.create_key(database, tenant.id, "nightly", ["kyc:read", "kyc:create"])

    caller = service.authenticate_key(database, secret)

    assert re.fullmatch(r"sk_[A-Za-z0-9_-]{43}", secret)
    assert secret.startswith(key.prefix)
    assert caller.tenant_id == tenant.id
    assert caller.uid == str(key.id)
    assert caller.permissions == {"kyc:read", "kyc:create"}
    assert caller.source == "api_key"


def test_a_key_is_stored_nowhere(database, tenant):
    _, secret = service.create_key(database, tenant.id, "nightly", ["kyc:read"])

    with database.transaction() as tx:
        tx.execute("SELECT api_keys::text AS everything FROM api_keys")
        assert secret[11:] not in tx.fetchone()["everything"]


def test_a_revoked_key_stops_working_and_keeps_its_first_date(database, tenant):
    key, secret = service.create_key(database, tenant.id, "nightly", ["kyc:read"])

    first = service.revoke_key(database, tenant.id, key.id)
    second = service.revoke_key(database, tenant.id, key.id)

    assert first.revoked_at == second.revoked_at
    with pytest.raises(InvalidToken):
        service.authenticate_key(database, secret)


def test_another_tenants_key_cannot_be_revoked(database, tenant):
    other = service.create_tenant(database, "other")
    key, secret = service.create_key(database, tenant.id, "nightly", ["kyc:read"])

    with pytest.raises(NotFound):
        service.revoke_key(database, other.id, key.id)
    with pytest.raises(NotFound):
        service.revoke_key(database, tenant.id, uuid4())

    assert service.authenticate_key(database, secret).tenant_id == tenant.id


def test_an_expired_key_says_so(database, tenant):
    soon = datetime.now(UTC) + timedelta(hours=1)
    key, secret = service.create_key(database, tenant.id, "guest", ["kyc:read"], expires_at=soon)
    assert service.authenticate_key(database, secret)

    with database.transaction() as tx:
        tx.execute("UPDATE api_keys SET expires_at = now() WHERE id = %s", (key.id,))

    with pytest.raises(ExpiredToken):
        service.authenticate_key(database, secret)


@pytest.mark.parametrize(
    "text", ["", "sk_", "sk_" + "a" * 43, "sk_" + "é" * 43, "sk_\x00", "a.b.c"]
)
def test_what_is_no_key_is_refused(database, text):
    with pytest.raises(InvalidToken):
        service.authenticate_key(database, text)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("2001:db8::7", True),
        ("10.2.0.1", False),
        ("2001:db9::7", False),
        ("not an address", False),
        (None, False),
    ],
)
def test_a_key_bound_to_networks_works_from_them_only(database, tenant, address, allowed):
    key, secret = service.create_key(
        database, tenant.id, "office", ["kyc:read"], allowed_ips=["10.1.2.9/16", "2001:db8::/32"]
    )
    assert key.allowed_ips == ("10.1.0.0/16", "2001:db8::/32")

    if allowed:
        assert service.authenticate_key(database, secret, address)
    else:
        with pytest.raises(Forbidden):
            service.authenticate_key(database, secret, address)


def test_a_key_remembers_when_it_was_last_used(database, tenant):
    key, secret = service.create_key(database, tenant.id, "nightly", ["kyc:read"])
    assert key.last_used_at is None

    service.authenticate_key(database, secret)
    first = service.list_keys(database, tenant.id)[0].last_used_at
    service.authenticate_key(database, secret)
    second = service.list_keys(database, tenant.id)[0].last_used_at

    assert first is not None
    assert second == first, "a second use within the minute need not be written"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"scopes": []}, "at least one scope"),
        ({"scopes": ["kyc:reed"]}, "Unknown scope 'kyc:reed'"),
        ({"name": ""}, "A name has"),
        ({"allowed_ips": ["10.0.0.300"]}, "neither an IP address nor a network"),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "expired before"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused_with_a_reason(database, tenant, given, said):
    wanted = {"name": "nightly", "scopes": sorted(ALL_PERMISSIONS), **given}

    with pytest.raises(InvalidParameter, match=said):
        service.create_key(database, tenant.id, **wanted)

    assert service.list_keys(database, tenant.id) == []


def test_no_address_password_or_key_reaches_the_log(database, tenant, user, caplog):
    caplog.set_level(logging.DEBUG)

    _, secret = service.create_key(database, tenant.id, "nightly", ["kyc:read"])
    service.authenticate_key(database, secret)
    service.authenticate_password(database, EMAIL, PASSWORD)
    with pytest.raises(InvalidCredentials):
        service.authenticate_password(database, "stranger@example.com", "some other password")

    said = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "key.created" in said
    assert "login.refused" in said
    for mark in (EMAIL, PASSWORD, secret, "stranger", "some other password"):
        assert mark not in said
    assert EMAIL not in repr(user)

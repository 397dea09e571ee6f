"""Tokens that are not ours, not for this, not any more; and secrets that change."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from werkzeug.test import TestResponse

from app.accounts import service as accounts
from app.accounts.model import ALL_PERMISSIONS, Role
from app.api import auth, tokens
from app.api.exports import links
from app.api.exports.links import Export
from app.errors import InvalidToken
from app.factory import create_app
from tests.contract.test_routes import assert_refused
from tests.kyc import waiting

__all__ = ["waiting"]

pytestmark = pytest.mark.integration

#: A path of every dialect that any token with its permission may read.
PATHS = ("/kyc/jobs", "/v1/jobs", "/api/batch/active", "/v5/verifications")
FACES = "/api/v1/collections/x/faces"
NEWER = "0b7e-5d19-4a66-9f3d-28c1-e7a0-6b4f-d35e"
NEW = "9d2c-a7f1-44be-8c03-51e6-b8d9-0f7a-62c4"


@pytest.fixture(autouse=True)
def _know_nothing() -> None:
    """What a process has checked it believes: a test must not live on another's tokens."""
    tokens._CHECKED.clear()
    auth._known_keys.clear()


def claims(tenant, **more) -> dict:
    now = datetime.now(UTC)
    whole = {
        **{"sub": "usr_x", "tenant": str(tenant.id), "permissions": sorted(ALL_PERMISSIONS)},
        **{"type": "access", "iss": tokens.ISSUER, "aud": tokens.AUDIENCE, "jti": "1"},
        **{"iat": now, "nbf": now, "exp": now + timedelta(hours=1), **more},
    }
    return {name: value for name, value in whole.items() if value is not None}


def part(value: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def plain(tenant) -> dict:
    now = int(time.time())
    return {**claims(tenant), "iat": now, "nbf": now, "exp": now + 3600}


def signed_by_hand(header: dict, tenant, secret: bytes, digest: str = "sha256") -> str:
    """What PyJWT refuses to write."""
    text = f"{part(header)}.{part(plain(tenant))}"
    made = hmac.digest(secret, text.encode(), digest)
    return f"{text}.{base64.urlsafe_b64encode(made).decode().rstrip('=')}"


def rsa_pair() -> tuple[rsa.RSAPrivateKey, bytes]:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private, public


def forgeries(settings, tenant) -> Iterator[tuple[str, str]]:
    """Every way to make a token that is not ours, with a name for it."""
    private, public = rsa_pair()
    good = jwt.encode(claims(tenant), settings.jwt_secret, "HS256")
    head, body, mark = good.split(".")
    other = part({**plain(tenant), "tenant": str(uuid4())})
    yield "alg none", jwt.encode(claims(tenant), None, algorithm="none")
    for word in ("none", "None", "NONE", "", None):
        yield f"alg {word}", f"{part({'alg': word, 'typ': 'JWT'})}.{part(plain(tenant))}."
        yield (
            f"alg {word}, signed",
            f"{part({'alg': word, 'typ': 'JWT'})}.{part(plain(tenant))}.{mark}",
        )
    yield "no alg", f"{part({'typ': 'JWT'})}.{part(plain(tenant))}.{mark}"
    yield "another key", jwt.encode(claims(tenant), NEW, "HS256")
    yield "the empty key", signed_by_hand({"alg": "HS256"}, tenant, b"")
    yield (
        "HS384, our key",
        signed_by_hand({"alg": "HS384"}, tenant, settings.jwt_secret.encode(), "sha384"),
    )
    yield (
        "HS512, our key",
        signed_by_hand({"alg": "HS512"}, tenant, settings.jwt_secret.encode(), "sha512"),
    )
    yield "RS256", jwt.encode(claims(tenant), private, "RS256")
    yield "RS256, HMAC", signed_by_hand({"alg": "RS256"}, tenant, settings.jwt_secret.encode())
    yield "HS256 by a public key", signed_by_hand({"alg": "HS256"}, tenant, public)
    for name, value in {
        "jwk": {"kty": "oct", "k": base64.urlsafe_b64encode(NEW.encode()).decode()},
        "kid": "../../../../dev/null",
        "jku": "http://127.0.0.1:9/keys",
        "x5u": "http://127.0.0.1:9/keys",
    }.items():
        yield (
            f"a key in {name}",
            signed_by_hand({"alg": "HS256", name: value}, tenant, NEW.encode()),
        )
    yield "another body", f"{head}.{other}.{mark}"
    yield "no signature", f"{head}.{body}."
    yield "two parts", f"{head}.{body}"
    yield "a changed signature", good[:-4] + ("aaaa" if good[-4:] != "aaaa" else "bbbb")
    yield "of another audience", jwt.encode(claims(tenant, aud="x"), settings.jwt_secret, "HS256")
    yield "of another issuer", jwt.encode(claims(tenant, iss="x"), settings.jwt_secret, "HS256")
    yield "of no audience", jwt.encode(claims(tenant, aud=None), settings.jwt_secret, "HS256")
    yield "without an end", jwt.encode(claims(tenant, exp=None), settings.jwt_secret, "HS256")
    yield (
        "not yet",
        jwt.encode(
            claims(tenant, nbf=datetime(2999, 1, 1, tzinfo=UTC)), settings.jwt_secret, "HS256"
        ),
    )
    yield (
        "a refresh token",
        jwt.encode(claims(tenant, type="refresh"), settings.jwt_secret, "HS256"),
    )
    yield (
        "a ticket's audience",
        jwt.encode(claims(tenant, aud=tokens.TICKET_AUDIENCE), settings.jwt_secret, "HS256"),
    )


def ask(web, path: str, token: str) -> TestResponse:
    return web.test_client().get(path, headers={"Authorization": f"Bearer {token}"})


def test_no_forged_token_opens_a_door_of_any_dialect(web, settings, tenant):
    good = jwt.encode(claims(tenant), settings.jwt_secret, "HS256")
    assert {ask(web, path, good).status_code for path in PATHS} == {200}
    assert ask(web, FACES, good).status_code == 404

    let_in = [
        (name, path)
        for name, forged in forgeries(settings, tenant)
        for path in (*PATHS, FACES)
        if ask(web, path, forged).status_code != 401
    ]
    assert let_in == []


def test_a_forged_token_is_refused_in_the_shape_of_the_dialect(web, settings, tenant):
    forged = jwt.encode(claims(tenant), NEW, "HS256")
    for path in ("/kyc/jobs", "/v1/jobs", "/api/batch/active", "/v5/verifications"):
        assert_refused(ask(web, path, forged), path, 401, "invalid_token")
    body = ask(web, FACES, forged).json
    assert body["error"]["code"] == "TOKEN_INVALID"


def test_a_token_that_has_expired_is_refused_everywhere(web, settings, tenant):
    # Longer ago than any clock on the way could be wrong.
    past = datetime.now(UTC) - timedelta(hours=1)
    old = jwt.encode(
        claims(tenant, iat=past, nbf=past, exp=past + timedelta(seconds=1)),
        settings.jwt_secret,
        "HS256",
    )
    for path in (*PATHS, FACES):
        assert ask(web, path, old).status_code == 401


@pytest.fixture
def user(database, tenant):
    email, password = "ada@example.com", "correct horse battery"
    accounts.create_user(database, tenant.id, email, password, Role.ADMIN)
    return {"email": email, "password": password}


def test_what_one_dialect_gives_for_renewal_renews_in_no_other_and_opens_nothing(web, user):
    """A: a JWT of its own type. C and D: a session, which both of them know as theirs."""
    anyone = web.test_client()
    a = anyone.post("/kyc/auth/token", json=user).json["refresh_token"]
    d = anyone.post("/api/auth/login", json=user).json["tokens"]["refresh_token"]

    for place in ("/api/auth/refresh", "/api/v1/auth/refresh"):
        assert anyone.post(place, json={"refresh_token": a}).status_code == 401
    assert anyone.post("/kyc/auth/token", json={"refresh_token": d}).status_code == 401
    for path in (*PATHS, FACES):
        assert {ask(web, path, each).status_code for each in (a, d)} == {401}


def test_a_ticket_is_no_token_and_good_for_one_path(web, settings, tenant):
    who = tokens.read_access  # Only in an app context.
    with web.app_context():
        caller = who(jwt.encode(claims(tenant), settings.jwt_secret, "HS256"))
        ticket = tokens.make_ticket(caller, {"jobs:read"}, "/v1/jobs/1/events")
        assert tokens.read_ticket(ticket, "/v1/jobs/1/events").tenant_id == tenant.id
        with pytest.raises(InvalidToken):
            tokens.read_ticket(ticket, "/v1/jobs/2/events")
    for path in (*PATHS, FACES):
        for each in (ticket, ticket.removeprefix(tokens.TICKET_PREFIX)):
            assert ask(web, path, each).status_code == 401


@pytest.fixture
def apps(settings, web):
    """Three servers: before the secret is changed, after it, and when the old one is left out."""
    after = replace(
        settings, jwt_secret=NEW, jwt_previous_secrets=f"{NEWER}, {settings.jwt_secret}"
    )
    made = [create_app(after), create_app(replace(settings, jwt_secret=NEW))]
    yield web, *made
    for app in made:
        app.extensions["muster"].close()


def test_what_the_last_secret_signed_is_believed_until_it_expires_or_the_secret_is_left_out(
    apps, settings, tenant, user
):
    before, after, later = apps
    given = before.test_client().post("/kyc/auth/token", json=user).json
    access, refresh = given["access_token"], given["refresh_token"]
    with before.app_context():
        caller = tokens.read_access(access)
        ticket = tokens.make_ticket(caller, {"jobs:read"}, "/v1/jobs/1/events")
    short = tokens.mint_access(settings, tenant.id, "u", {"kyc:read"}, lifetime=timedelta(hours=-1))

    tokens._CHECKED.clear()
    assert ask(after, "/kyc/jobs", access).status_code == 200
    renewed = after.test_client().post("/kyc/auth/token", json={"refresh_token": refresh})
    assert renewed.status_code == 200
    with after.app_context():
        assert tokens.read_ticket(ticket, "/v1/jobs/1/events").tenant_id == tenant.id
    assert ask(after, "/kyc/jobs", short).json["code"] == "expired_token"

    # The old secret signs nothing any more: what is new holds without it.
    fresh = renewed.json["access_token"]
    assert jwt.decode(fresh, NEW, algorithms=["HS256"], audience=tokens.AUDIENCE)
    tokens._CHECKED.clear()
    assert ask(later, "/kyc/jobs", fresh).status_code == 200
    assert ask(later, "/kyc/jobs", access).json["code"] == "invalid_token"
    gone = later.test_client().post("/kyc/auth/token", json={"refresh_token": refresh})
    assert gone.status_code == 401
    with later.app_context(), pytest.raises(InvalidToken):
        tokens.read_ticket(ticket, "/v1/jobs/1/events")


def test_a_link_to_an_export_outlives_a_change_of_the_secret_and_not_its_removal(
    apps, settings, tenant, waiting
):
    before, after, later = apps
    export = Export(tenant.id, waiting().external_id, "csv")
    expires = int(time.time()) + 600
    query = {"expires": expires, "signature": links.sign(settings.jwt_secret, export, expires)}

    said = [
        app.test_client().get(f"/exports/download/{export.key}", query_string=query).json["code"]
        for app in (before, after, later)
    ]
    # The job has not ended, which only who has a good link is told.
    assert said == ["invalid_state", "invalid_state", "invalid_signature"]


def test_a_session_outlives_a_change_of_the_secret(apps, user):
    """Those of dialects C and D are rows, and signed by nothing."""
    before, _, later = apps
    given = before.test_client().post("/api/auth/login", json=user).json["tokens"]

    renewed = later.test_client().post(
        "/api/auth/refresh", json={"refresh_token": given["refresh_token"]}
    )
    assert renewed.status_code == 200


def test_a_key_that_is_revoked_stops_within_seconds_in_every_process(web, database, tenant):
    key, secret = accounts.create_key(database, tenant.id, "nightly", ["kyc:read"])
    assert ask(web, "/kyc/jobs", secret).status_code == 200

    accounts.revoke_key(database, tenant.id, key.id)
    # Another process has a memory of its own: it is as good as its clock.
    assert auth.KEY_SECONDS <= 5
    assert auth._known_keys
    assert all(
        until - time.monotonic() <= auth.KEY_SECONDS for until, _ in auth._known_keys.values()
    )
    auth._known_keys.clear()
    assert ask(web, "/kyc/jobs", secret).status_code == 401

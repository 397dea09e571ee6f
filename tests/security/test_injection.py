"""SQL in every parameter: it is a text like any other, and finds, changes and breaks nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import quote

import pytest

from app.accounts import service as accounts
from app.accounts.model import Role
from app.api.openapi import document
from app.factory import create_app
from app.settings import Settings
from tests.contract.test_routes import ROUTES, fill
from tests.faces_api import admin_of
from tests.kyc import house_list
from tests.scene import build
from tests.security.bodies import BODIES, spoilt, texts
from tests.tagging import inline, start

__all__ = ["house_list"]

pytestmark = pytest.mark.integration

#: Each would show itself: by an error of Postgres, by rows that are not asked for, or by waiting.
SQL = (
    *("'", "''", '"', "\\'", "x' OR '1'='1", "x') OR ('1'='1' --", "1; DROP TABLE jobs; --"),
    *("x' UNION SELECT NULL, version() --", "1 OR pg_sleep(30) IS NULL", "'||pg_sleep(30)||'"),
    *("%s", "%(tenant_id)s", "%%", "{0}", "$1", "$$", ":x", "E'\\x27'", "/*", "--", "\\"),
)
#: A text without any of that, that no parameter knows either.
PLAIN = "qqqq"


def query_parameters() -> list[tuple[str, str, str]]:
    app = create_app(
        Settings.build(
            database_url="postgresql://nobody@127.0.0.1:1/none",
            redis_url="redis://127.0.0.1:1/0",
            jwt_secret="a9f3-2b7c-8e1d-4f6a-0c5e-7d2b-9a8f-1e3c",
        )
    )
    return [
        (method.upper(), re.sub(r"{(\w+)}", r"<\1>", path), parameter["name"])
        for path, methods in document(app)["paths"].items()
        for method, operation in methods.items()
        for parameter in operation["parameters"]
        if parameter["in"] == "query"
    ]


QUERIES = query_parameters()


@pytest.fixture(scope="module")
def web(settings):
    """Nobody works here: who waits for a result is told so at once."""
    app = create_app(replace(settings, sync_seconds=0.1))
    yield app
    app.extensions["muster"].close()


@pytest.fixture
def admin(web, settings, tenant, house_list):
    return admin_of(web, settings, tenant)


@pytest.fixture
def scene(admin, tenant):
    return build(admin, tenant, works=False)


def counts(database) -> dict[str, int]:
    with database.transaction() as tx:
        tx.execute("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'")
        names = sorted(row["name"] for row in tx.fetchall())
        found = {}
        for name in names:
            tx.execute(f"SELECT count(*) AS n FROM {name}")
            found[name] = tx.fetchone()["n"]
    return found


def size(answer) -> int:
    """How much there is in an answer, whatever it repeats of what was sent."""
    body = answer.get_json(silent=True)
    rows = [len(each) for each in _lists(body)]
    return sum(rows)


def _lists(body) -> list[list]:
    if isinstance(body, list):
        return [body, *(found for each in body for found in _lists(each))]
    if isinstance(body, dict):
        return [found for each in body.values() for found in _lists(each)]
    return []


def test_no_query_parameter_takes_sql(admin, scene, database):
    assert len(QUERIES) > 60
    before = counts(database)
    wrong = []
    for method, rule, name in QUERIES:
        path = scene.fill(rule) or fill(rule)
        if method != "GET":
            continue
        usual = admin.get(path, query_string={name: PLAIN})
        for text in SQL:
            answer = admin.get(path, query_string={name: text})
            same = (answer.status_code, size(answer)) == (usual.status_code, size(usual))
            if answer.status_code >= 500 or not same:
                wrong.append((rule, name, text, answer.status_code, usual.status_code))

    assert wrong == []
    assert counts(database) == before


def test_no_path_takes_sql(admin, scene, database):
    before = counts(database)
    wrong = []
    for method, rule in ROUTES:
        for name in re.findall(r"<(\w+)>", rule):

            def path(text: str, rule=rule, name=name) -> str:
                whole = scene.fill(rule.replace(f"<{name}>", "@")) or fill(
                    rule.replace(f"<{name}>", "@")
                )
                return whole.replace("@", quote(text, safe=""))

            body = BODIES.get((method, rule))
            given = {} if body is None else {"json": body}
            usual = admin.open(path(PLAIN), method=method, **given)
            # What has a slash is another path.
            for text in (each for each in SQL if "/" not in each):
                answer = admin.open(path(text), method=method, **given)
                if answer.status_code >= 500 or answer.status_code != usual.status_code:
                    wrong.append((method, rule, name, text, answer.status_code))

    assert wrong == []
    assert counts(database) == before


def test_no_text_in_a_body_is_run_as_sql(admin, scene, database, settings, resources):
    """Stored to the letter or refused, but never a failure, and no row of anybody else's moves."""
    other = accounts.ensure_tenant(resources.db, "other")
    failed = []
    sent = 0
    for (method, rule), body in BODIES.items():
        path = scene.fill(rule) or fill(rule)
        for place in texts(body):
            text = SQL[sent % len(SQL)]
            answer = admin.open(path, method=method, json=spoilt(body, place, text))
            sent += 1
            if answer.status_code >= 500 and answer.status_code != 503:
                failed.append((method, rule, place, text, answer.get_data(as_text=True)))

    assert failed == []
    assert sent > 80
    assert counts(database)["jobs"] > 0
    with database.transaction() as tx:
        tx.execute("SELECT count(*) AS n FROM jobs WHERE tenant_id = %s", (other.id,))
        assert tx.fetchone()["n"] == 0
    # What was stored is what was sent.
    named = spoilt(BODIES["POST", "/kyc/watchlists"], ("name",), SQL[4])
    assert admin.post("/kyc/watchlists", json=named).status_code in {201, 409}
    assert SQL[4] in admin.get("/kyc/watchlists?limit=100").get_data(as_text=True)


def test_a_login_takes_no_sql_for_a_password(web, database, tenant):
    email, password = "ada@example.com", "correct horse battery"
    accounts.create_user(database, tenant.id, email, password, Role.ADMIN)
    for path in ("/kyc/auth/token", "/api/auth/login", "/api/v1/auth/login"):
        for text in (SQL[0], SQL[4], SQL[9]):
            for body in (
                {"email": email, "password": text},
                {"email": f"{email}{text}", "password": password},
            ):
                answer = web.test_client().post(path, json=body)
                # 429: who guesses is held off.
                assert answer.status_code in {400, 401, 422, 429}, (path, body)


def test_a_search_looks_for_what_was_typed_and_takes_no_pattern(admin):
    start(admin, [inline(1), inline(2), {**inline(3), "title": "100% of it_"}])

    def found(text: str) -> int:
        return admin.get("/api/history/documents/search", query_string={"q": text}).json["total"]

    assert found("Note") == 2
    assert (found("%"), found("_"), found("100%")) == (1, 1, 1)
    assert (found("N%e"), found("Not_"), found("\\")) == (0, 0, 0)

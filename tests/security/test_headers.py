"""What every answer says to browsers and caches, and what no caller can put into its headers."""

from __future__ import annotations

import re

import pytest

from app.accounts.model import ALL_PERMISSIONS
from app.api import tokens
from tests.contract.test_routes import ROUTES, fill

pytestmark = pytest.mark.integration

#: CR LF in every way that may become one on its way through a server.
BREAKS = (
    "%0d%0aX-Injected: 1",
    "%0aX-Injected:%201",
    "%E5%98%8D%E5%98%8AX-Injected: 1",
    "%0d%0a%0d%0a<p>",
)


@pytest.fixture
def admin(web, settings, tenant):
    client = web.test_client()
    token = tokens.mint_access(settings, tenant.id, "usr_admin", ALL_PERMISSIONS)
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def assert_guarded(answer) -> None:
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    # What may be kept is asked for again: a poll, by its ETag.
    assert answer.headers["Cache-Control"] in {"no-store", "private, no-store", "private, no-cache"}
    assert "html" not in answer.headers.get("Content-Type", "")


@pytest.mark.parametrize("who", ["admin", "anybody"])
def test_every_answer_of_every_route_keeps_browsers_and_caches_from_harm(web, admin, who):
    client = admin if who == "admin" else web.test_client()

    for method, rule in ROUTES:
        answer = client.open(fill(rule), method=method)
        assert_guarded(answer)
        # Dialect B says of every answer that it is to be asked for again.
        if "ETag" not in answer.headers and not rule.startswith("/v5"):
            assert "no-store" in answer.headers["Cache-Control"]
    for path, method in (("/nothing", "GET"), ("/kyc/jobs", "PATCH"), ("/", "TRACE")):
        assert_guarded(client.open(path, method=method))


def assert_not_injected(answer) -> None:
    assert answer.status_code < 500, answer.get_data(as_text=True)
    assert "X-Injected" not in answer.headers
    for name, value in answer.headers:
        assert not re.search(r"[\r\n]", name + value), (name, value)


def test_no_path_and_no_query_makes_a_header(admin):
    for method, rule in ROUTES:
        for text in BREAKS:
            if "<" in rule:
                path = re.sub(r"<[a-z_]+>", text, rule.replace("<type>", "watchlist"))
                assert_not_injected(admin.open(path, method=method))
            query = "&".join(
                f"{name}={text}" for name in ("format", "cursor", "after", "status", "limit", "q")
            )
            assert_not_injected(admin.open(f"{fill(rule)}?{query}", method=method))


def test_no_id_and_no_file_name_makes_a_header(admin, tenant):
    """Ids that clients choose become addresses and names of files."""
    broken = 'x"\r\nX-Injected: 1'
    bodies = [
        ("/api/batch/start", {"job_id": broken, "documents": [{"title": "x", "text": "x"}]}),
        ("/kyc/jobs", {"entities": [{"entity_id": broken, "subject": {"full_name": "A B"}}]}),
        ("/kyc/watchlists", {"name": broken}),
        ("/v5/verifications", {"type": "individual", "name": "A B", "userId": broken}),
    ]
    for path, body in bodies:
        assert_not_injected(admin.post(path, json=body))
    made = admin.post("/kyc/lists", query_string={"name": broken}, data="id,name\n1,Ann\n")
    assert_not_injected(made)
    boundary = "b0undary"
    form = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="files"; filename="a%0d%0aX-Injected: 1.txt"\r\n'
        f"Content-Type: text/plain\r\n\r\nA text.\r\n--{boundary}--\r\n"
    )
    kept = admin.post(
        "/api/batch/upload", data=form, content_type=f"multipart/form-data; boundary={boundary}"
    )
    assert kept.status_code == 201, kept.json
    assert_not_injected(kept)


@pytest.mark.parametrize("name", ["X-Request-ID", "Idempotency-Key", "Prefer", "If-None-Match"])
@pytest.mark.parametrize(
    "text", ["a\tb", "é", "x" * 5_000, "a%0d%0aX-Injected: 1", "<script>", "\x7f"]
)
def test_no_header_comes_back_as_another(admin, name, text):
    # A key is looked at where something is made.
    method = "POST" if name == "Idempotency-Key" else "GET"
    sent = {name: text.encode().decode("latin-1")}
    answer = admin.open("/kyc/jobs", method=method, headers=sent)

    assert_not_injected(answer)
    if name == "X-Request-ID" and not re.fullmatch(r"[\x20-\x7e]{1,128}", text):
        assert answer.headers["X-Request-ID"].startswith("req_")

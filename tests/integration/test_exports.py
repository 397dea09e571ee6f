"""Results leave as files behind links that are signed, expire, and lead nowhere else."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import re
import time
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from pypdf import PdfReader

from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from app.api.exports import links, pdf
from app.api.exports.links import Export
from app.errors import NotAcceptable
from app.factory import create_app
from tests.kyc import CLEAR, LISTED, NOT_LOADED, assert_flat, ended, house_list, screener, waiting

__all__ = ["house_list", "screener", "waiting"]

pytestmark = pytest.mark.integration

FORMULA = {"entity_id": "=cmd|' /C calc'!A0", "subject": {"full_name": "Harriet Ploughwright"}}
SCRIPT = {"entity_id": "<script>alert(1)</script>", "subject": {"full_name": "A <b>B</b> & Co"}}
CYRILLIC = {"entity_id": "ж", "subject": {"full_name": "Оттолине Вексфорд"}}


@pytest.fixture
def job_id(client, house_list, screener) -> str:
    entities = [LISTED, CLEAR, NOT_LOADED, FORMULA, SCRIPT, CYRILLIC]
    made = client.post("/kyc/jobs", json={"entities": entities}).json["job_id"]
    ended(client, made)
    return made


def link(client, job_id: str, format: str) -> str:
    answer = client.get(f"/exports/{job_id}", query_string={"format": format})
    assert answer.status_code == 200, answer.json
    assert answer.json["bucket"] == "exports"
    assert answer.json["key"].endswith(f"/{job_id}.{format}")
    assert answer.json["request_id"] == answer.headers["X-Request-ID"]
    return answer.json["presigned_url"]


def follow(web, url: str):
    """Without a token, as whoever was given the link does."""
    parts = urlsplit(url)
    return web.test_client().get(parts.path, query_string=parts.query)


def test_behind_a_proxy_that_is_named_a_link_leads_back_through_it(client, settings, job_id):
    claims = {
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "Host": "api.example.org",
    }

    def leads_to(proxies: str) -> str:
        behind = create_app(replace(settings, proxies=proxies)).test_client()
        behind.environ_base |= client.environ_base
        return behind.get(f"/exports/{job_id}?format=json", headers=claims).json["presigned_url"]

    assert leads_to("127.0.0.1").startswith("https://api.example.org/exports/download/")
    assert leads_to("10.0.0.1").startswith("http://api.example.org/exports/download/")


def changed(url: str, **query: str) -> str:
    parts = urlsplit(url)
    return parts._replace(query=urlencode({**dict(parse_qsl(parts.query)), **query})).geturl()


def test_the_link_is_whole_and_good_for_an_hour(client, web, job_id):
    url = link(client, job_id, "csv")

    assert url.startswith("http://localhost/exports/download/exports/tenants/")
    expires = int(dict(parse_qsl(urlsplit(url).query))["expires"])
    assert 3_500 < expires - time.time() <= 3_600
    answer = follow(web, url)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "attachment" in answer.headers["Content-Disposition"]


def test_json_is_what_the_poll_says(client, web, job_id):
    exported = follow(web, link(client, job_id, "json")).json

    assert exported == client.get(f"/kyc/jobs/{job_id}").json


def test_csv_runs_no_formula_where_it_is_opened(client, web, job_id):
    answer = follow(web, link(client, job_id, "csv"))

    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))
    assert answer.mimetype == "text/csv"
    assert rows[0]["match_id"] == "h-1"
    assert rows[3]["entity_id"] == "'" + FORMULA["entity_id"]
    assert len(rows) == 6


def test_html_says_all_and_runs_nothing(client, web, job_id):
    answer = follow(web, link(client, job_id, "html"))

    page = answer.get_data(as_text=True)
    assert answer.mimetype == "text/html"
    assert "script" not in answer.headers["Content-Security-Policy"]
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "A &lt;b&gt;B&lt;/b&gt; &amp; Co" in page
    assert "Zebulon Quartermain" in page
    assert "house v1" in page
    assert "failed: List un is not loaded." in page
    assert "Оттолине Вексфорд" in page
    assert not re.search(r"(?:src|href)=", page), "it loads nothing"


def test_pdf_says_the_same_in_latin_letters(client, web, job_id):
    answer = follow(web, link(client, job_id, "pdf"))

    assert answer.mimetype == "application/pdf"
    text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(answer.data)).pages)
    text = " ".join(text.split())
    assert "1. listed (Zebulon Quartermain): 1 match" in text
    assert "house v1: Zebulon Quartermain = Zebulon Quartermain [h-1]" in text
    assert "([Ottoline Veksford]): 1 match" in text
    assert "failed: List un is not loaded." in text
    assert "Entities: 6" in text


def test_without_a_format_it_is_pdf_as_the_original_has_it(client, web, job_id):
    answer = client.get(f"/exports/{job_id}")

    assert answer.json["key"].endswith(".pdf")


def test_a_server_without_the_extra_says_how_to_have_pdfs(client, web, job_id, monkeypatch):
    monkeypatch.setattr(pdf, "can_write", lambda: False)

    refused = client.get(f"/exports/{job_id}?format=pdf")

    assert "muster[pdf]" in assert_flat(refused, 406, "not_acceptable")["message"]
    assert client.get(f"/exports/{job_id}").json["key"].endswith(".html")


def test_a_report_that_can_only_be_too_long_for_a_pdf_is_given_as_a_page(
    client, job_id, monkeypatch
):
    monkeypatch.setattr(pdf, "MOST_LINES", 6)

    refused = client.get(f"/exports/{job_id}?format=pdf")

    assert "csv" in assert_flat(refused, 406, "not_acceptable")["message"]
    assert client.get(f"/exports/{job_id}").json["key"].endswith(".html")


def test_a_report_that_is_too_long_for_a_pdf_is_refused_and_not_cut(
    client, web, job_id, monkeypatch
):
    url = link(client, job_id, "pdf")
    monkeypatch.setattr(pdf, "MOST_LINES", 5)

    assert "csv" in assert_flat(follow(web, url), 406, "not_acceptable")["message"]


def test_a_pdf_holds_no_more_than_ten_thousand_lines():
    facts = [("fact", "of many")] * 10_001

    with pytest.raises(NotAcceptable, match="csv"):
        b"".join(pdf.write("Report", facts, ()))


def test_a_link_that_was_changed_is_refused(client, web, settings, job_id):
    url = link(client, job_id, "csv")
    later = str(int(time.time()) + 100_000)

    for other in (
        changed(url, expires=later),
        changed(url, signature="0" * 64),
        changed(url, signature="ü"),
        changed(url, signature=""),
        changed(url, expires="soon"),
        changed(url, expires="９９９"),
        url.replace(".csv", ".json"),
        url.replace(".csv", ".exe"),
        url.replace(f"{job_id}.csv", "../secret.csv"),
        url.partition("?")[0],
    ):
        error = assert_flat(follow(web, other), 403, "invalid_signature")
        assert "changed on the way" in error["message"]


def test_a_link_that_has_expired_says_where_to_get_another(client, web, settings, tenant, job_id):
    export = Export(tenant.id, job_id, "csv")
    expires = int(time.time()) - 1
    query = {"expires": expires, "signature": links.sign(settings.jwt_secret, export, expires)}

    answer = web.test_client().get(f"/exports/download/{export.key}", query_string=query)

    assert f"/exports/{job_id}" in assert_flat(answer, 410, "link_expired")["message"]


def test_a_link_outlives_no_job(client, web, job_id):
    url = link(client, job_id, "csv")
    assert client.delete(f"/v1/jobs/{job_id}").status_code == 204

    assert_flat(follow(web, url), 404, "export_not_found")


def test_only_a_completed_job_is_exported(client, waiting):
    job = waiting()

    assert_flat(client.get(f"/exports/{job.external_id}"), 409, "invalid_state")


def test_another_tenants_job_and_no_job_at_all_are_not_found(
    client, web, settings, resources, job_id
):
    other = accounts.ensure_tenant(resources.db, "other")
    token = tokens.mint_access(settings, other.id, "usr_x", PERMISSIONS[Role.ADMIN])
    bearer = {"Authorization": f"Bearer {token}"}

    assert_flat(web.test_client().get(f"/exports/{job_id}", headers=bearer), 404, "job_not_found")
    assert_flat(client.get("/exports/nonsense"), 404, "job_not_found")
    assert_flat(client.get("/exports/nothing/here"), 404, "not_found")


def test_a_format_that_does_not_exist_is_told_so(client, job_id):
    error = assert_flat(client.get(f"/exports/{job_id}?format=xls"), 400, "invalid_parameter")

    assert "json, csv, html, pdf" in error["message"]


def test_the_key_of_the_links_is_not_the_one_of_the_tokens(settings, tenant):
    """Whoever could guess one must not have the other."""
    export = Export(tenant.id, "x" * 36, "csv")
    text = f"{export.key}\n1".encode()

    signature = links.sign(settings.jwt_secret, export, 1)

    assert signature != links.sign(settings.jwt_secret + "x", export, 1)
    assert signature != hmac.new(settings.jwt_secret.encode(), text, hashlib.sha256).hexdigest()
    own = hmac.digest(settings.jwt_secret.encode(), b"muster export links", "sha256")
    assert signature == hmac.new(own, text, hashlib.sha256).hexdigest()

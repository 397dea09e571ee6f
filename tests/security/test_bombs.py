"""Words to leave out, and lists, that are made to cost more than they are worth."""

from __future__ import annotations

import gzip
import time

import pytest

from app.accounts.model import ALL_PERMISSIONS
from app.api import tokens
from app.tagging import config
from app.tagging.engine import Tagger
from app.tagging.model import Document

#: Each makes an expression that goes back and back, where it is taken for one.
EXPRESSIONS = (
    "(a+)+$",
    "(a|aa)+$",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "(.*a){25}",
    "a{1,65535}",
    "[",
    "(",
)


def seconds(words: list[str], text: str) -> float:
    tagger = Tagger(config.read({"exclusion_words": words}))
    began = time.thread_time()
    tagger.tag(Document("A note", text))
    return time.thread_time() - began


def test_words_to_leave_out_are_words_and_never_expressions():
    text = "The bank was fined. " + "a" * 5_000 + "! " + "aaaa " * 2_000
    plain = seconds(["report"], text)

    # Beside the same text without them: an expression that goes back takes longer than we live.
    assert seconds([*EXPRESSIONS], text) < 20 * plain + 5
    assert (
        seconds([f"{each}{n}" for n in range(140) for each in EXPRESSIONS], text) < 20 * plain + 5
    )


@pytest.fixture
def admin(web, settings, tenant):
    client = web.test_client()
    token = tokens.mint_access(settings, tenant.id, "usr_admin", ALL_PERMISSIONS)
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


@pytest.mark.integration
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (gzip.compress(b"id,name\n" + b"1,Ann\n" * 1_000_000), "text/csv"),
        (b"[" * 1_000_000, "application/x-ndjson"),
        (b'{"a":' * 200_000, "application/x-ndjson"),
        (b'{"id": "1", "name": ' + b"9" * 1_000_000 + b"}", "application/x-ndjson"),
        (b'id,name\n1,"' + b"A" * 8_000_000, "text/csv"),
        (b"id" + b",name" * 500_000 + b"\n", "text/csv"),
        (b'<!DOCTYPE a [<!ENTITY b "&b;&b;">]><a>&b;</a>', "text/csv"),
        (b"PK\x03\x04" + bytes(1_000), "text/csv"),
    ],
    ids=["packed", "lists", "objects", "digits", "a cell", "columns", "entities", "a zip"],
)
def test_a_list_that_is_a_bomb_is_refused(admin, database, body, kind):
    answer = admin.post("/kyc/lists?name=bomb", data=body, content_type=kind)

    assert answer.status_code in {400, 413}, answer.get_data(as_text=True)[:500]
    assert len(answer.get_data()) < 100_000
    with database.transaction() as tx:
        tx.execute("SELECT count(*) AS n FROM watchlist_entries")
        assert tx.fetchone()["n"] == 0


@pytest.mark.integration
def test_a_packed_list_is_not_unpacked(admin):
    body = gzip.compress(b"id,name\n1,Ann\n")

    answer = admin.post(
        "/kyc/lists?name=bomb",
        data=body,
        content_type="text/csv",
        headers={"Content-Encoding": "gzip"},
    )

    assert answer.status_code in {400, 415}

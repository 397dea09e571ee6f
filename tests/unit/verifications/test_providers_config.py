"""Who is asked stands in the server's settings; what is wrong there is said with its place."""

from __future__ import annotations

import json

import pytest

from app.errors import Misconfigured
from app.verifications.providers import config

YENTE = {"kind": "yente", "base_url": "https://api.example.com"}
HTTP = {"kind": "http", "url": "https://screening.example.com/check?v=2"}


def test_without_anything_the_built_in_engine_is_all_there_is():
    assert config.read("") == ()
    assert config.uses_built_in("")
    assert not config.are_there("")


def test_providers_are_read_in_their_order_with_what_they_need(monkeypatch, tmp_path):
    monkeypatch.setenv("OUR_KEY", "s3cret")
    file = tmp_path / "providers.json"
    text = json.dumps(
        {
            "open": {**YENTE, "key_env": "OUR_KEY", "dataset": "sanctions"},
            "ours": {**HTTP, "key_env": "OUR_KEY", "key_header": "x-api-key"},
        }
    )
    file.write_text(text)

    for given in (text, str(file)):
        one, other = config.read(given)
        assert (one.name, one.dataset, one.key_scheme) == ("open", "sanctions", "ApiKey")
        assert (other.key_header, other.key_scheme) == ("x-api-key", "")
        assert config.are_there(given)
    assert "s3cret" not in repr(one)


def test_the_built_in_engine_can_be_switched_off():
    given = json.dumps({"muster": False, "open": YENTE})

    assert not config.uses_built_in(given)
    assert [each.name for each in config.read(given)] == ["open"]


@pytest.mark.parametrize(
    "given",
    [
        "{",
        "/no/such/file",
        {"Open": YENTE},
        {"open": []},
        {"open": {"kind": "soap"}},
        {"open": {"kind": "yente"}},
        {"open": {**YENTE, "base_url": "ftp://x"}},
        {"open": {**YENTE, "base_url": "https://user:pw@x"}},
        {"open": {**YENTE, "base_url": "https://x/?y=1"}},
        {"open": {**YENTE, "url": "https://x"}},
        {"open": {**YENTE, "seconds": 0}},
        {"open": {**YENTE, "tries": 99}},
        {"open": {**YENTE, "tries": True}},
        {"open": {**YENTE, "threshold": 2}},
        {"open": {**YENTE, "dataset": "../x"}},
        {"open": {**YENTE, "key_env": "NOT_SET_ANYWHERE"}},
        {"open": {**YENTE, "key_file": "/no/such/file"}},
        {"ours": {**HTTP, "fields": {"colour": "x"}}},
        {"ours": {**HTTP, "hits": "a b"}},
        {"muster": "yes"},
    ],
)
def test_what_is_wrong_is_said_and_names_the_setting(given):
    text = given if isinstance(given, str) else json.dumps(given)

    with pytest.raises(Misconfigured, match="MUSTER_SCREENING_PROVIDERS"):
        config.read(text)

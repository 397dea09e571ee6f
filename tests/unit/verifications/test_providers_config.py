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
    assert config.named("") == []


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
        assert [each.name for each in config.named(given)] == ["open", "ours"]
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


def test_one_that_is_set_up_wrongly_keeps_no_other_from_being_asked():
    wrong = {**YENTE, "title": "Register", "key_env": "NOT_SET_ANYWHERE", "category": "crime"}
    text = json.dumps({"muster": False, "register": wrong, "open": YENTE, "x\x00": []})

    good, broken = config.read_each(text)

    assert [each.name for each in good] == ["open"]
    register, nameless = broken
    assert register.named == config.Named("register", "Register", "criminal", "yente")
    assert "NOT_SET_ANYWHERE" in register.problem
    assert nameless.named.name == "providers"
    assert [each.name for each in config.named(text)] == ["register", "open", "providers"]


def test_a_setting_that_cannot_be_read_stands_for_sources_that_nobody_asked():
    good, (broken,) = config.read_each("{")

    assert good == []
    assert config.named("{") == [broken.named]
    assert config.uses_built_in("{")

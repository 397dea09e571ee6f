"""Settings come from the environment, whole and checked, or the program does not start."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from app.errors import Misconfigured
from app.settings import KNOWN_SECRETS, SECRET_LENGTH, Settings, parse_hosts, reference

ROOT = Path(__file__).parents[2]

REQUIRED = {
    "DATABASE_URL": "postgresql://user:word@127.0.0.1:5432/name",
    "REDIS_URL": "redis://:word@127.0.0.1:6379/0",
    "MUSTER_JWT_SECRET": "a9f3-2b7c-8e1d-4f6a-0c5e-7d2b-9a8f-1e3c",
}


def refused(**env: str) -> str:
    with pytest.raises(Misconfigured) as caught:
        Settings.from_env({**REQUIRED, **env})
    return str(caught.value)


def test_two_servers_and_a_secret_are_enough():
    settings = Settings.from_env(REQUIRED)

    assert settings.database_url == REQUIRED["DATABASE_URL"]
    assert settings.is_production


def test_every_missing_setting_is_named_at_once():
    with pytest.raises(Misconfigured) as caught:
        Settings.from_env({})

    for variable in REQUIRED:
        assert f"{variable} is not set" in str(caught.value)


def test_an_empty_variable_is_as_good_as_none():
    assert Settings.from_env({**REQUIRED, "MUSTER_CHUNK_SIZE": ""}).chunk_size == 250
    assert "DATABASE_URL is not set" in refused(DATABASE_URL="")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MUSTER_CHUNK_SIZE", "many"),
        ("MUSTER_CHUNK_SIZE", "0"),
        ("MUSTER_MAX_ENTITIES", "10001"),
        ("MUSTER_SYNC_SECONDS", "nan"),
        ("MUSTER_SYNC_SECONDS", "inf"),
        ("MUSTER_ENV", "prod"),
        ("MUSTER_MAX_BODY_BYTES", "1e9"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(variable, value):
    message = refused(**{variable: value})

    assert variable in message
    assert repr(value) in message


def test_secrets_of_the_past_must_be_as_good_and_are_not_shown_either():
    first, second = "a9f3-2b7c-8e1d-4f6a-0c5e-7d2b-9a8f-1e3c", "0b7e-5d19-4a66-9f3d-28c1-e7a0-6b4f"
    given = {**REQUIRED, "MUSTER_JWT_PREVIOUS_SECRETS": f"{first}, {second}"}

    settings = Settings.from_env(given)

    assert settings.jwt_secrets == (REQUIRED["MUSTER_JWT_SECRET"], first, second)
    assert first not in repr(settings)
    message = refused(MUSTER_JWT_PREVIOUS_SECRETS=f"{first},hunter2")
    assert "MUSTER_JWT_PREVIOUS_SECRETS" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    "secret", ["short", "x" * SECRET_LENGTH, "ab" * SECRET_LENGTH, *sorted(KNOWN_SECRETS)]
)
def test_a_guessable_secret_is_refused_and_not_repeated(secret):
    message = refused(MUSTER_JWT_SECRET=secret)

    assert "MUSTER_JWT_SECRET" in message
    assert "must be a random text" in message
    assert f"(it is {secret!r})" not in message


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "hunter2"),
        ("DATABASE_URL", "mysql://user:hunter2@127.0.0.1/name"),
        ("DATABASE_URL", "postgresql://user:hunter2%zz@127.0.0.1/name"),
        ("DATABASE_URL", "postgresql://user:hunter2@127.0.0.1/name?colour=red"),
        ("DATABASE_URL", "postgresql://user:hunter2@[::1/name"),
        ("DATABASE_URL", "postgresql://user:hunter2@127.0.0.1:port/name"),
        ("DATABASE_URL", "postgresql://user:hunter2@127.0.0.1:99999/name"),
        ("DATABASE_URL", "postgresql://user:hunter2\udcff@127.0.0.1/name"),
        ("REDIS_URL", "hunter2"),
        ("REDIS_URL", "http://:hunter2@127.0.0.1:6379/0"),
        ("REDIS_URL", "redis://:hunter2@127.0.0.1:port/0"),
        ("REDIS_URL", "redis://:hunter2@127.0.0.1:99999/0"),
        ("REDIS_URL", "redis://:hunter2/slash@127.0.0.1:6379/0"),
        ("REDIS_URL", "redis://:hunter2@[::1/0"),
        ("REDIS_URL", "redis://:hunter2@127.0.0.1:6379/first"),
        ("REDIS_URL", "unix:///run/hunter2.sock"),
    ],
)
def test_an_address_that_could_not_be_called_is_refused_and_not_repeated(variable, value):
    message = refused(**{variable: value})

    assert message.startswith(f"{variable}: must be ")
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "postgres://user@db.example/name?sslmode=require"),
        ("DATABASE_URL", "postgresql://user@first:5432,second:5433/name"),
        ("DATABASE_URL", "host=/run/postgresql dbname=name"),
        ("REDIS_URL", "redis://cache"),
        ("REDIS_URL", "redis://cache:6379/"),
        ("REDIS_URL", "redis://user:word@[::1]:6379/15"),
        ("REDIS_URL", "rediss://cache:6380/0?ssl_cert_reqs=required"),
    ],
)
def test_an_address_may_be_written_as_its_server_allows(variable, value):
    settings = Settings.from_env({**REQUIRED, variable: value})

    assert getattr(settings, variable.lower()) == value


def test_no_secret_is_shown_where_settings_are_printed():
    settings = Settings.from_env({**REQUIRED, "MUSTER_FLOWER_AUTH": "ops:hunter2"})

    for secret in [*REQUIRED.values(), "hunter2"]:
        assert secret not in repr(settings)


@pytest.mark.parametrize("name", ["MUSTER_CLAIM_SECONDS", "MUSTER_CHUNK_SECONDS"])
def test_times_that_would_run_chunks_twice_are_refused(name):
    assert name in refused(**{name: "25", "MUSTER_VISIBILITY_TIMEOUT": "25"})


def test_intervals_of_lists_are_read_with_their_units():
    settings = Settings.from_env({**REQUIRED, "MUSTER_LIST_INTERVALS": "ofac=12h un=1d,eu=30m"})

    assert [settings.list_interval(name) for name in ("ofac", "un", "eu", "uk")] == [
        *(43_200.0, 86_400.0, 1_800.0, None),
    ]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MUSTER_DOCUMENT_URLS", "all"),
        ("MUSTER_DOCUMENT_HOSTS", "10.0.0.0/33"),
        ("MUSTER_DOCUMENT_HOSTS", "10.1.0.1/16"),
        ("MUSTER_DOCUMENT_HOSTS", "999.1.1.1"),
        ("MUSTER_DOCUMENT_HOSTS", "files.intern https://files.intern/"),
        ("MUSTER_DOCUMENT_HOSTS", "*.intern"),
        ("MUSTER_DOCUMENT_ROOTS", "documents"),
        ("MUSTER_DOCUMENT_ROOTS", "/srv/a:"),
    ],
)
def test_where_documents_may_come_from_is_said_exactly_or_refused(variable, value):
    assert variable in refused(**{variable: value})


def test_hosts_of_documents_are_networks_addresses_and_names():
    networks, names = parse_hosts("Files.Intern 10.1.0.0/16, ::1 127.0.0.1")

    assert [str(network) for network in networks] == ["10.1.0.0/16", "::1/128", "127.0.0.1/32"]
    assert names == {"files.intern"}


@pytest.mark.parametrize("text", ["ofac", "ofac=12", "ofac=0h", "ofac=-1h", "OFAC=1h", "=1h"])
def test_an_interval_that_says_no_list_or_no_time_is_refused(text):
    assert "MUSTER_LIST_INTERVALS" in refused(MUSTER_LIST_INTERVALS=text)


def test_settings_survive_the_way_to_a_child():
    settings = Settings.from_env({**REQUIRED, "MUSTER_CHUNK_SIZE": "7", "MUSTER_INDEX_DIR": "x/y"})

    assert Settings.from_env(settings.to_env()) == settings


def test_every_default_is_a_value_that_the_variable_could_hold():
    settings = Settings.from_env(REQUIRED)

    assert Settings.from_env(settings.to_env()) == settings


def test_every_setting_says_what_it_is_for():
    for each in dataclasses.fields(Settings):
        assert each.metadata["why"].endswith(".")
        assert each.metadata["variable"].isupper()


def test_the_reference_page_is_generated_from_the_settings():
    """If this fails: python -m app.settings > docs/settings.md"""
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == reference()


def test_every_variable_that_any_program_here_reads_is_on_the_page():
    places = ["Procfile", "docker-compose.yml", "Dockerfile", "dev.py"]
    sources = [ROOT / place for place in places]
    for folder in ("app", "workers", "devtools", "deploy", "benchmarks"):
        sources += (ROOT / folder).rglob("*.py")

    named = {
        name
        for source in sources
        for name in re.findall(r"\bMUSTER_[A-Z_]+[A-Z]\b", source.read_text(encoding="utf-8"))
    }

    page = reference()
    assert sorted(name for name in named if f"`{name}`" not in page) == []

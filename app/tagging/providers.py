"""Which remote models jobs may name: the server's own settings, and nothing that a request says.

    {"openai": {"base_url": "https://api.openai.com/v1", "key_env": "OPENAI_API_KEY",
                "models": ["gpt-4o-mini"]}}

A job calls it `openai/gpt-4o-mini`. The key is read from an environment variable or a file of the
server's; a provider in one's own network may do without.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.errors import InvalidConfig, Misconfigured
from app.settings import read_secret
from app.tagging.config import LOCAL

_VARIABLE = "MUSTER_TAGGING_PROVIDERS"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_KEYS = frozenset({"base_url", "key_env", "key_file", "models"})


@dataclass(frozen=True, slots=True)
class Provider:
    """An OpenAI-compatible endpoint. Its key is shown nowhere, not even in tracebacks."""

    name: str
    base_url: str
    models: tuple[str, ...]
    key: str = field(default="", repr=False)

    @property
    def model_names(self) -> list[str]:
        return [f"{self.name}/{model}" for model in self.models]


def read(text: str) -> dict[str, Provider]:
    """Return the providers by name, or raise Misconfigured with what is wrong and where."""
    text = text.strip()
    if not text:
        return {}
    if not text.startswith("{"):
        try:
            text = Path(text).read_text(encoding="utf-8")
        except (OSError, ValueError):
            raise Misconfigured(f"{_VARIABLE}: there is no file of that name to read.") from None
    try:
        given = json.loads(text)
    except ValueError:
        raise Misconfigured(f"{_VARIABLE} is not JSON.") from None
    if not isinstance(given, dict):
        raise Misconfigured(f"{_VARIABLE} must be an object: a provider under each name.")
    return {name: _provider(name, each) for name, each in given.items()}


def choose(providers: Mapping[str, Provider], model_name: str) -> tuple[Provider, str]:
    """Return the provider and its model that a job calls by `model_name`.

    Raises InvalidConfig naming those there are.
    """
    name, _, model = model_name.partition("/")
    provider = providers.get(name)
    if provider is None or model not in provider.models:
        known = [LOCAL, *(each for p in providers.values() for each in p.model_names)]
        message = f"is not configured on this server; there are {', '.join(known)}"
        raise InvalidConfig(
            f"config.model_name {message}.",
            problems=[{"path": "config.model_name", "message": message}],
        )
    return provider, model


def _provider(name: str, given: Any) -> Provider:
    where = f"{_VARIABLE}, {name[:40]!r}"
    if not _NAME.fullmatch(name) or name == "local":
        raise Misconfigured(f"{where}: a name has small letters and digits, and is not `local`.")
    if not isinstance(given, dict):
        raise Misconfigured(f"{where} must be an object with base_url and models.")
    if unknown := sorted(set(given) - _KEYS):
        known = ", ".join(sorted(_KEYS))
        raise Misconfigured(f"{where}: {unknown[0][:40]!r} is not known; there are {known}.")
    models = given.get("models")
    if not isinstance(models, list) or not models or not all(isinstance(m, str) for m in models):
        raise Misconfigured(f"{where}: models must be a list of names.")
    return Provider(
        name, _base_url(given.get("base_url"), where), tuple(models), _key(given, where)
    )


def _base_url(given: Any, where: str) -> str:
    wrong = Misconfigured(
        f"{where}: base_url must be an address such as https://api.openai.com/v1, without user,"
        " password or query."
    )
    if not isinstance(given, str):
        raise wrong
    try:
        url = urlsplit(given)
        _ = url.port  # raises where it is none
    except ValueError:
        raise wrong from None
    if url.scheme not in {"http", "https"} or not url.hostname or "@" in url.netloc or url.query:
        raise wrong
    return given.rstrip("/")


def _key(given: Mapping[str, Any], where: str) -> str:
    if "key_env" in given:
        key = read_secret(str(given["key_env"]))
        missing = f"the variable {given['key_env']} is not set"
    elif "key_file" in given:
        try:
            key = Path(str(given["key_file"])).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            key = ""
        missing = "its key_file cannot be read, or is empty"
    else:
        return ""
    if not key:
        raise Misconfigured(f"{where}: {missing}.")
    # A key that cannot stand in a header would be quoted by the error about it.
    if not re.fullmatch(r"[!-~]+", key):
        raise Misconfigured(f"{where}: its key holds characters that no key has.")
    return key

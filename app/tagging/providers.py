"""Which remote models jobs may name: the server's own settings, and nothing that a request says.

    {"openai": {"base_url": "https://api.openai.com/v1", "key_env": "OPENAI_API_KEY",
                "models": ["gpt-4o-mini"]}}

A job calls it `openai/gpt-4o-mini`. The key is read from an environment variable or a file of the
server's; a provider in one's own network may do without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.errors import InvalidConfig, Misconfigured
from app.providers.settings import NAME, check_keys, read_key, read_object, split_url
from app.tagging.config import LOCAL

_VARIABLE = "MUSTER_TAGGING_PROVIDERS"
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
    given = read_object(_VARIABLE, text.strip())
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
    if not NAME.fullmatch(name) or name == "local":
        raise Misconfigured(f"{where}: a name has small letters and digits, and is not `local`.")
    if not isinstance(given, dict):
        raise Misconfigured(f"{where} must be an object with base_url and models.")
    check_keys(given, _KEYS, where)
    models = given.get("models")
    if not isinstance(models, list) or not models or not all(isinstance(m, str) for m in models):
        raise Misconfigured(f"{where}: models must be a list of names.")
    return Provider(
        name, _base_url(given.get("base_url"), where), tuple(models), read_key(given, where)
    )


def _base_url(given: Any, where: str) -> str:
    url = split_url(given)
    if url is None or url.query:
        raise Misconfigured(
            f"{where}: base_url must be an address such as https://api.openai.com/v1, without user,"
            " password or query."
        )
    return str(given).rstrip("/")

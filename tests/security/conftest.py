"""The client and clock of the integration tests. docs/threat-model.md names every test here."""

from __future__ import annotations

from tests.integration.conftest import (
    _probe_kinds,
    client,
    finished,
    reload,
    settings,
    submit,
    tenant,
    token,
    web,
    worker,
)

__all__ = [
    "_probe_kinds",
    "client",
    "finished",
    "reload",
    "settings",
    "submit",
    "tenant",
    "token",
    "web",
    "worker",
]

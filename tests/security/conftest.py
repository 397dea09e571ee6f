"""The client and clock of the integration tests. docs/threat-model.md names every test here."""

from __future__ import annotations

from tests.integration.conftest import client, settings, tenant, token, web, worker

__all__ = ["client", "settings", "tenant", "token", "web", "worker"]

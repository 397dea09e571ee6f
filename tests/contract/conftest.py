"""The contract tests use the same client, worker and clock as the integration tests."""

from __future__ import annotations

from tests.integration.conftest import client, settings, tenant, token, web

__all__ = ["client", "settings", "tenant", "token", "web"]

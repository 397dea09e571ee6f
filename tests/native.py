"""What the tests of the native API share."""

from __future__ import annotations

import json
from typing import Any


def assert_problem(response, status: int, code: str) -> dict[str, Any]:
    """Every error of the native API is an RFC 9457 problem. Returns the body."""
    body = json.loads(response.get_data())
    kind = f"urn:muster:problem:{code.replace('_', '-')}"
    assert (response.status_code, body.get("type")) == (status, kind), body
    assert response.headers["Content-Type"] == "application/problem+json"
    assert {"title", "status", "detail", "instance", "request_id"} <= body.keys()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == response.headers["X-Request-ID"]
    assert "Traceback" not in json.dumps(body)
    return body

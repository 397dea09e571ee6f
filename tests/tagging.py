"""What the tests of dialect D share."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.conftest import until

TEXT = (
    "The bank was fined for money laundering. Prosecutors in Latvia say that its managers had"
    " ignored warnings about shell companies for years, and that bribes were paid in cash."
)
CONFIG = {"num_tags": 5}


def inline(number: int, **more: Any) -> dict[str, Any]:
    return {"title": f"Note {number}", "text": f"{TEXT} This is note {number}.", **more}


def start(client, documents: list[dict[str, Any]], **more: Any):
    """Start a job and return the answer, which must be a yes."""
    body = {"documents": documents, "config": CONFIG, **more}
    answer = client.post("/api/batch/start", json=body)
    assert answer.status_code == 200, answer.json
    return answer


def status(client, job_id: str) -> dict[str, Any]:
    answer = client.get(f"/api/batch/jobs/{job_id}/status")
    assert answer.status_code == 200, answer.json
    return answer.json


def ended(client, job_id: str, seconds: float = 60) -> dict[str, Any]:
    until(
        lambda: status(client, job_id)["status"] in {"completed", "failed", "cancelled"},
        seconds,
        lambda: f"it ends: {status(client, job_id)}",
    )
    return status(client, job_id)


def results(client, job_id: str) -> list[dict[str, Any]]:
    answer = client.get(f"/api/batch/jobs/{job_id}/results")
    assert answer.status_code == 200
    return [json.loads(line) for line in answer.text.splitlines()]


def assert_detail(response, status: int, detail: str | None = None) -> dict[str, Any]:
    """Every error of dialect D is {"detail": "..."}. Returns the body."""
    body = response.get_json()
    assert response.status_code == status, body
    assert response.headers["Content-Type"] == "application/json"
    assert isinstance(body["detail"], str)
    assert body["detail"]
    if detail is not None:
        assert body["detail"] == detail
    assert "Traceback" not in json.dumps(body)
    return body

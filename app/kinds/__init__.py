"""What each kind of job does to one item.

To add a kind: write app/kinds/<kind>.py, list it below, give it a schema and an endpoint under
the same file name. Nothing in jobs/ or workers/ needs to change.
"""

from __future__ import annotations

from app.jobs.endings import CONCLUSIONS
from app.kinds import documents, faces, kyc, verifications
from app.kinds.base import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind for kind in (kyc.KIND, documents.KIND, verifications.KIND, faces.KIND)
}
CONCLUSIONS.update({kind.name: kind.conclude for kind in KINDS.values() if kind.conclude})

__all__ = ["KINDS", "Kind"]

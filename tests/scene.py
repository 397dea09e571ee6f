"""A tenant that has one of everything: what there is to be found, guessed, or changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.faces_api import form_of
from tests.integration.conftest import until
from tests.kyc import CLEAR, LISTED
from tests.tagging import inline
from tests.verifications import JANE, TRUST

#: The longest prefix that fits says what a name in a path stands for.
Ids = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Scene:
    ids: Ids

    def fill(self, rule: str) -> str | None:
        """Return the path of a rule of the URL map with these ids, or None if one is not here."""
        prefix = max((p for p in self.ids if rule.startswith(p + "/")), key=len, default=None)
        names = re.findall(r"<(\w+)>", rule)
        known = self.ids[prefix] if prefix is not None else {}
        if not names or not known.keys() >= set(names):
            return None
        return re.sub(r"<(\w+)>", lambda found: known[found[1]], rule)


def build(admin: Any, tenant: Any, *, works: bool) -> Scene:
    """Make one of everything through the API; `works` says that a worker screens and checks.

    `admin` is a client of dialect C's tests, which writes forms too. The list `house` is loaded.
    """

    def made(path: str, **given: Any) -> Any:
        answer = admin.post(path, **given)
        assert answer.status_code < 300, (path, answer.get_data(as_text=True))
        return answer.json

    screening = made("/kyc/jobs", json={"entities": [LISTED, CLEAR]})["job_id"]
    tagging = made("/api/batch/start", json={"documents": [inline(1)], "config": {}})["job_id"]
    made("/kyc/lists?name=own", data="id,name\n1,Somebody Else\n", content_type="text/csv")
    watched = made("/kyc/watchlists", json={"name": "customers"})["watchlist"]["watchlist_id"]
    made(f"/kyc/watchlists/{watched}/subjects", json={"subjects": [LISTED, CLEAR]})
    org = f"/api/v1/organizations/{tenant.id}"
    collection = made(f"{org}/collections", json={"name": "x"})["data"]["id"]
    key = made(f"{org}/api-keys", json={"name": "k"})["data"]["id"]
    faces = made(f"/api/v1/collections/{collection}/faces/batch-async", data=form_of([b"x"]))
    verified = made("/v5/verifications", json={**TRUST, "stakeholders": [JANE]})
    trace = verified["trace"]
    run = made(f"/v5/verifications/{trace}/watchlist")["data"]["jobId"]
    jobs = admin.get("/v1/jobs?limit=100").json["data"]
    native = next(job["id"] for job in jobs if job["external_id"] == screening)
    kyc = {"job_id": screening, "name": "own", "watchlist_id": watched}
    kyc |= {"entity_id": LISTED["entity_id"]}
    if works:
        kyc |= _of_workers(admin, screening, watched)
    stakeholder = admin.get(f"/v5/verifications/{trace}").json["data"]["stakeholders"][0]
    history = next(
        job["id"] for job in admin.get("/api/history/jobs").json["jobs"] if job["job_id"] == tagging
    )
    document = admin.get(f"/api/history/jobs/{history}").json["documents"]
    return Scene(
        {
            "/kyc": kyc,
            "/exports": {"job_id": screening},
            "/v1": {"job_id": native},
            "/api/batch": {"job_id": tagging},
            "/api/history": {"job_id": history}
            | ({"document_id": document[0]["id"]} if document else {}),
            "/api/v1": {
                **{"org_id": str(tenant.id), "collection_id": collection, "key_id": key},
                **{"job_id": faces["data"]["job_id"], "face_id": str(tenant.id)},
            },
            "/v5": {
                **{
                    "trace": trace,
                    "stakeholder_id": stakeholder["stakeholderId"],
                    "type": "watchlist",
                },
                **{"job_id": run},
            },
        }
    )


def _of_workers(admin: Any, screening: str, watched: str) -> dict[str, str]:
    """Return the ids of what only a worker brings about: a decision about a match, and a check."""

    def ended() -> bool:
        answer = admin.get(f"/kyc/jobs/{screening}", query_string={"results": "false"})
        return bool(answer.json["job_status"] == "completed")

    until(ended, 60, "the job ends")
    about = {"job_id": screening, "entity_id": LISTED["entity_id"], "list_name": "house"}
    decided = admin.post(
        "/kyc/exclusions", json={**about, "entry_id": "h-1", "reason": "Another person."}
    )
    assert decided.status_code == 200, decided.json
    checked = admin.post(f"/kyc/watchlists/{watched}/monitor").json
    return {
        "exclusion_id": decided.json["exclusion"]["exclusion_id"],
        "check_id": checked["data"]["check_id"],
    }

"""The demo of verifications: three of them over HTTP, their runs, their risk, and one's record.

A client like any other, as `app/demo.py` is.

    python -m app.demo_verifications --url http://127.0.0.1:8000 --token ...
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

import click
import requests
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.demo import LONGEST_PAUSE, Api, Demo, DemoFailed, Json

VERIFICATIONS: tuple[Json, ...] = (
    {
        "type": "trust",
        "subType": "familyTrust",
        "name": "Ploughwright Family Trust",
        "country": "AUS",
        "inputRisk": "low",
        "stakeholders": [
            {
                "role": "trustee",
                "entity": {
                    "type": "individual",
                    "name": "Ramzan Kadyrov",
                    "dateOfBirth": "1976-10-05",
                },
            },
            {"role": "beneficiary", "entity": {"type": "individual", "name": "Ada Ploughwright"}},
        ],
    },
    {"type": "company", "name": "Rosneft Oil Company", "country": "RUS", "inputRisk": "medium"},
    {
        "type": "individual",
        "name": "Harriet Ploughwright",
        "dateOfBirth": "1980-04-12",
        "inputRisk": "low",
    },
)


class Verifier(Api):
    """The calls that a client of verifications needs."""

    def create(self, body: Json) -> str:
        return str(self._data("POST", "/v5/verifications", json=body)["trace"])

    def dispatch(self, trace: str) -> str:
        return str(self._data("POST", f"/v5/verifications/{trace}/watchlist")["jobId"])

    def dispatch_again(self, trace: str) -> str | None:
        """Return the run that is in the way, or None if it has ended meanwhile."""
        path = f"{self.url}/v5/verifications/{trace}/watchlist"
        body = self._session.post(path, timeout=30).json()
        return (body["error"] or {}).get("conflictingJobId")

    def wait(self, trace: str, job_id: str, deadline: float) -> Json:
        path = f"/v5/verifications/{trace}/jobs/watchlist/{job_id}"
        while time.monotonic() < deadline:
            result: Json = self._data("GET", path)["result"]
            if "completedAt" in result:
                return result
            time.sleep(LONGEST_PAUSE / 4)
        raise DemoFailed(f"The run {job_id} is still not finished. Is a worker running?")

    def read(self, trace: str) -> Json:
        return self._data("GET", f"/v5/verifications/{trace}")

    def record(self, trace: str) -> Json:
        return self._data("GET", f"/v5/verifications/{trace}/record")

    def _data(self, method: str, path: str, **given: Any) -> Json:
        answer = self._call(method, path, **given)
        try:
            body = answer.json()
        except requests.JSONDecodeError:
            body = None
        if not isinstance(body, dict) or not isinstance(body.get("data"), dict):
            raise DemoFailed(f"{answer.url} does not answer as /v5 does. Is it really Muster?")
        data: Json = body["data"]
        return data


@click.command(cls=Demo, help="Screen three verifications over HTTP and show their risk.")
@click.option("--url", envvar="MUSTER_URL", default="http://127.0.0.1:8000", show_default=True)
@click.option("--token", envvar="MUSTER_TOKEN", required=True, help="A JWT or an sk_ key.")
@click.option("--timeout", default=120.0, show_default=True, help="Seconds to wait for the runs.")
@click.option("--passing", is_flag=True, help="The server ends with the demo, as in `dev.py demo`.")
def main(url: str, token: str, timeout: float, passing: bool) -> None:
    console = Console(highlight=False)
    deadline = time.monotonic() + timeout
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        api = Verifier(url.rstrip("/"), session)
        traces = [api.create(body) for body in VERIFICATIONS]
        runs = [(trace, api.dispatch(trace)) for trace in traces]
        console.print(f"Dispatched {len(runs)} runs to {api.url}/v5/verifications/…/watchlist")
        held = api.dispatch_again(traces[0])
        if held is not None:
            console.print(f"A second one of the first is answered 429 and names {held}")
        results = [api.wait(trace, job_id, deadline) for trace, job_id in runs]
        failed = [each for each in results if each["status"] != "completed"]
        if failed:
            raise DemoFailed(f"A run {failed[0]['status']}: {failed[0].get('errorSummary')}")
        console.print(_table([api.read(trace) for trace in traces]))
        record = api.record(traces[0])
    _check(console, record)
    onwards = "python3 dev.py up" if passing else f"muster verify show {traces[0]}"
    console.print("\nWhere to go next", style="bold")
    console.print(f"  {onwards}\n  docs/verifications.md")


def _table(known: list[Json]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="What the runs found", title_justify="left")
    for column in ("Verification", "Subjects", "Risk", "Score", "Because of"):
        table.add_column(column, justify="right" if column == "Score" else "left")
    for each in known:
        risk = each["idvRisk"]
        names = {who["stakeholderId"]: who["name"] for who in each["stakeholders"]}
        reasons = [
            f"{names.get(why['stakeholderId'], each['name'])}: {why['category']},"
            f" {why['source']} {why['recordId']} at {why['score']:.2f}"
            for why in risk["reasons"]
        ]
        subjects = str(1 + len(names))
        cells = (each["name"], subjects, risk["description"], str(risk["score"]))
        table.add_row(*map(Text, (*cells, "\n".join(reasons) or "nobody is listed")))
    return table


def _check(console: Console, record: Json) -> None:
    """Do what an auditor would: follow the chain of digests through the record."""
    before = "0" * 64
    for entry in record["audit"]:
        text = f"{entry['previous']}\n{entry['text']}".encode()
        if entry["previous"] != before or hashlib.sha256(text).hexdigest() != entry["digest"]:
            raise DemoFailed("The audit of the first verification is not whole.")
        before = entry["digest"]
    console.print(
        f"The record of the first holds {len(record['audit'])} entries of audit and"
        f" {len(record['screenings'])} screenings; its chain of digests was checked here, to"
        f" {before[:16]}…"
    )


if __name__ == "__main__":
    main()

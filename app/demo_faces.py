"""The demo of faces: six portraits over HTTP, and who is found again on another photograph.

A client like any other: it registers, makes a collection and a key for it, and with that key sends
one photograph each of three people, beside two images that are none. Then it asks whose faces are
on three other photographs: of two of them, taken years apart, and of somebody who is not enrolled.

    python -m app.demo_faces --url http://127.0.0.1:8000 FOLDER
"""

from __future__ import annotations

import secrets
import sys
import time
from pathlib import Path
from typing import Any

#: What a shell reports for a program that was interrupted: 128 + SIGINT.
INTERRUPTED = 130

try:
    import click
    import requests
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
except KeyboardInterrupt:
    raise SystemExit(INTERRUPTED) from None

REQUEST_SECONDS = 60.0
POLL_SECONDS = 0.2
PLAIN_WIDTH = 132

Json = dict[str, Any]

#: Who is enrolled by which photograph, and who is asked about by which other.
ENROLLED = {
    "person-a": "person_a_1.jpg",
    "person-b": "person_b_1.jpg",
    "person-c": "impostor_1.jpg",
}
ASKED = {
    "person_a_2.jpg": "person-a",
    "person_b_2.jpg": "person-b",
    "impostor_2.jpg": None,
}
#: What else is in the batch, and fails alone.
BROKEN = {"a web page": b"<!doctype html><html><body>404</body></html>", "nothing": b""}


class DemoFailed(click.ClickException):
    """What went wrong, as one sentence; click prints it and ends with status 1."""


@click.command(help="Enrol portraits over HTTP, and find people again.")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--url", envvar="MUSTER_URL", default="http://127.0.0.1:8000", show_default=True)
@click.option("--timeout", default=120.0, show_default=True, help="Seconds to wait for the job.")
def main(folder: Path, url: str, timeout: float) -> None:
    terminal = Console(highlight=False)
    console = terminal if terminal.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)
    with requests.Session() as session:
        api = Api(url.rstrip("/"), session)
        organization, collection = api.begin()
        images = {who: (folder / name).read_bytes() for who, name in ENROLLED.items()} | BROKEN
        console.print(f"Enrolling {len(images)} images into a new collection at {url}")
        began = time.monotonic()
        job = api.wait(organization, api.enrol(collection, images), began + timeout)
        seconds = time.monotonic() - began
        console.print(_enrolled(job))
        succeeded, failed = job["succeeded"], job["failed"]
        console.print(f"{succeeded} enrolled, {failed} failed, in {seconds:.1f} s.", style="bold")
        found = {name: api.identify(collection, (folder / name).read_bytes()) for name in ASKED}
    console.print(_asked(found))
    right = sum(_best(each) == ASKED[name] for name, each in found.items())
    console.print(f"{right} of {len(ASKED)} answers are right.", style="bold")
    console.print("\nRead on: docs/faces.md")
    if right < len(ASKED) or succeeded < len(ENROLLED):
        sys.exit(1)


class Api:
    """The calls that a client of faces needs."""

    def __init__(self, url: str, session: requests.Session) -> None:
        self._url = f"{url}/api/v1"
        self._session = session
        self._key: dict[str, str] = {}

    def begin(self) -> tuple[str, str]:
        """Register, and make a collection and a key for it; return organization and collection."""
        account = {
            "email": f"demo-{secrets.token_hex(6)}@example.com",
            "password": secrets.token_urlsafe(24),
        }
        made = self._call("POST", "/auth/register", json=account)
        self._session.headers["Authorization"] = f"Bearer {made['tokens']['access_token']}"
        organization = str(made["organization_id"])
        place = f"/organizations/{organization}"
        collection = self._call("POST", f"{place}/collections", json={"name": "demo"})["id"]
        wanted = {"name": "demo", "collection_id": collection}
        key = self._call("POST", f"{place}/api-keys", json=wanted)["key"]
        self._key = {"X-API-Key": key, "Authorization": ""}
        return organization, str(collection)

    def enrol(self, collection: str, images: dict[str, bytes]) -> str:
        """Send a batch with the key, and return the id of its job."""
        files = [("images", (f"{n}.jpg", data)) for n, data in enumerate(images.values())]
        ids = [("external_ids[]", who) for who in images]
        place = f"/collections/{collection}/faces/batch-async"
        made = self._call("POST", place, files=files, data=ids, headers=self._key)
        return str(made["job_id"])

    def wait(self, organization: str, job_id: str, deadline: float) -> Json:
        """Poll with the token until the job has ended."""
        while time.monotonic() < deadline:
            job = self._call("GET", f"/organizations/{organization}/batch/{job_id}")
            if job["status"] == "done":
                return job
            if job["status"] == "failed":
                raise DemoFailed(f"The job failed: {job['error_message']}")
            time.sleep(POLL_SECONDS)
        raise DemoFailed(f"Job {job_id} is still not finished. Is a worker for faces running?")

    def identify(self, collection: str, image: bytes) -> Json:
        place = f"/collections/{collection}/identify"
        return self._call("POST", place, files={"image": image}, headers=self._key)

    def _call(self, method: str, path: str, **given: Any) -> Json:
        try:
            answer = self._session.request(
                method, self._url + path, timeout=REQUEST_SECONDS, **given
            )
            body = answer.json()
        except requests.JSONDecodeError as error:
            raise DemoFailed(f"{self._url} answered no JSON. Is it really Muster?") from error
        except requests.RequestException as error:
            raise DemoFailed(
                f"{self._url} cannot be reached. Is Muster running there? "
                "`python3 dev.py up` starts it."
            ) from error
        if not answer.ok:
            raise DemoFailed(f"{path} was refused: {body['error']['message']}")
        data: Json = body["data"]
        return data


def _enrolled(job: Json) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="What came of the batch", title_justify="left")
    for name in ("External id", "Face", "Error", "Why"):
        table.add_column(name)
    for item in job["results"]:
        cells = (
            item["external_id"],
            item.get("face_id", ""),
            item.get("error", ""),
            item.get("error_message", ""),
        )
        table.add_row(*map(Text, cells))
    return table


def _asked(found: dict[str, Json]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Whose face is this?", title_justify="left")
    for name in ("Photograph", "Found", "Similarity", "Right answer", "Search"):
        table.add_column(name)
    for name, each in found.items():
        likeness = f"{each['matches'][0]['similarity']:.3f}" if each["matches"] else ""
        cells = (
            name,
            _best(each) or "nobody",
            likeness,
            ASKED[name] or "nobody, as not enrolled",
            f"{each['query_time_ms']} ms among {each['searched']}",
        )
        table.add_row(*map(Text, cells))
    return table


def _best(found: Json) -> str | None:
    return str(found["matches"][0]["external_id"]) if found["matches"] else None


if __name__ == "__main__":
    main()

"""Lists: loaded whole or not at all, fetched when they changed, opened by many processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.errors import NotFound, Unavailable, WatchlistRejected
from app.screening import resident, store
from app.screening.lists.catalogue import KnownList
from app.screening.lists.load import load_list
from app.screening.lists.update import update
from app.screening.model import ENGINE_VERSION, Subject

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _nothing_open():
    """A process remembers the indexes it opened; tests must not meet those of earlier ones."""
    resident._open.clear()
    yield
    resident._open.clear()


def a_list(path: Path, *names: str) -> Path:
    records = [{"id": f"e{n}", "type": "person", "name": name} for n, name in enumerate(names)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


PEOPLE = ("Amara Oduya", "Boris Ketterling", "Chen Daiyu", "Dalia Farsakh", "Emil Grabowski")


def current(database, name: str):
    with database.transaction() as tx:
        return store.current_versions(tx).get(name)


def count_rows(database, table: str) -> int:
    with database.transaction() as tx:
        tx.execute(f"SELECT count(*) AS n FROM {table}")
        return tx.fetchone()["n"]


# -- loading -------------------------------------------------------------------------------------


def test_a_loaded_list_is_in_force_with_its_entries_and_its_speed(database, tmp_path):
    report = load_list(database, "internal", a_list(tmp_path / "list.jsonl", *PEOPLE))

    version = current(database, "internal")
    assert (report.entries, report.added, report.unchanged) == (5, 5, False)
    assert version.entries == 5
    assert version.source == "list.jsonl"
    assert version.seconds_per_entity > 0
    with database.transaction() as tx:
        assert [entry.name for entry in store.load_entries(tx, version.id)] == [*PEOPLE]


def test_a_new_version_replaces_the_old_one_and_leaves_it_readable(database, tmp_path):
    load_list(database, "internal", a_list(tmp_path / "1.jsonl", *PEOPLE), version="one")
    before = current(database, "internal")

    changed = ("Amara Oduya", "Boris Ketterling", "Chen Daiyu", "Dalia Farsach", "E. Grabowski")
    report = load_list(
        database, "internal", a_list(tmp_path / "2.jsonl", *changed, "Fen Hua"), version="two"
    )

    assert (report.version, report.added, report.removed, report.changed) == ("two", 1, 0, 2)
    assert current(database, "internal").version == "two"
    with database.transaction() as tx:
        assert [v.version for v in store.list_versions(tx, "internal")] == ["two", "one"]
        assert len(list(store.load_entries(tx, before.id))) == 5


def test_the_same_file_again_changes_nothing(database, tmp_path):
    path = a_list(tmp_path / "list.jsonl", *PEOPLE)
    load_list(database, "internal", path)
    before = current(database, "internal")

    report = load_list(database, "internal", path)

    assert report.unchanged
    assert current(database, "internal") == before
    assert count_rows(database, "watchlists") == 1


def test_a_list_that_lost_more_than_a_fifth_is_refused_unless_told_otherwise(database, tmp_path):
    load_list(database, "internal", a_list(tmp_path / "1.jsonl", *PEOPLE))
    shrunk = a_list(tmp_path / "2.jsonl", *PEOPLE[:3])

    with pytest.raises(WatchlistRejected, match="more than a fifth is gone"):
        load_list(database, "internal", shrunk)
    assert current(database, "internal").entries == 5
    assert count_rows(database, "watchlist_entries") == 5

    report = load_list(database, "internal", shrunk, allow_shrink=True)
    assert (report.entries, report.removed) == (3, 2)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"id": "1", "name": "A B"}\n{"id": "2", "na', "list.jsonl, line 2"),
        ('{"id": "1", "name": "A B"}\n{"id": "1", "name": "C D"}\n', "id of an earlier one"),
        ("\n\n", "not one entry"),
    ],
)
def test_a_broken_file_leaves_the_loaded_list_in_force(database, tmp_path, text, told):
    load_list(database, "internal", a_list(tmp_path / "good.jsonl", *PEOPLE))
    (tmp_path / "list.jsonl").write_text(text)

    with pytest.raises(WatchlistRejected, match=told):
        load_list(database, "internal", tmp_path / "list.jsonl")

    assert current(database, "internal").entries == 5
    assert count_rows(database, "watchlists") == 1


def test_a_file_over_the_limit_is_not_even_read(database, tmp_path):
    path = a_list(tmp_path / "list.jsonl", *PEOPLE)

    with pytest.raises(WatchlistRejected, match="MUSTER_LIST_MAX_BYTES"):
        load_list(database, "internal", path, max_bytes=100)


def test_the_malformed_un_list_is_refused_by_line_and_the_good_one_stays(database, shared_data):
    folder = shared_data / "watchlists" / "un"
    load_list(database, "un", folder / "consolidated_20260227.xml")

    with pytest.raises(WatchlistRejected, match=r"consolidated_malformed\.xml, line 53"):
        load_list(database, "un", folder / "consolidated_malformed.xml")

    version = current(database, "un")
    assert (version.entries, version.version) == (1003, "2026-02-27")


def test_the_whole_sdn_list_loads_from_the_files_ofac_publishes(database, shared_data, tmp_path):
    for name in ("sdn_202201.csv", "alt_202201.csv", "add_202201.csv"):
        (tmp_path / name).symlink_to(shared_data / "watchlists" / "ofac" / name)

    report = load_list(database, "ofac", tmp_path)

    assert report.entries == 9044
    with database.transaction() as tx:
        entries = {e.id: e for e in store.load_entries(tx, current(database, "ofac").id)}
    assert entries["ofac-15036"].identifiers[0].value == "IMO 9187629"


_REAL = {
    "ofac_cons": (
        *("ofac/cons_prim.csv", "ofac/cons_alt.csv"),
        *("ofac/cons_add.csv", "ofac/cons_comments.csv"),
    ),
    "ofac": ("ofac/cons_sample.xml",),
    "un": ("un/consolidated_20260227.xml",),
    "us_csl": ("csl/consolidated.csv",),
    "eu": ("eu/fsf_sample.xml",),
    "uk": ("uk/hmt_conlist_sample.csv",),
    "opensanctions": ("opensanctions/entities.ftm.json",),
    "opensanctions_default": ("opensanctions/targets.simple.csv",),
    "us_congress": ("opensanctions/us_congress_senzing.json",),
}


def test_every_real_list_loads_without_being_told_its_format(database, shared_data):
    loaded = {
        name: load_list(database, name, [shared_data / "watchlists" / file for file in files])
        for name, files in _REAL.items()
    }

    assert {name: report.entries for name, report in loaded.items()} == {
        "ofac_cons": 442,
        "ofac": 8,
        "un": 1003,
        "us_csl": 14048,
        "eu": 7,
        "uk": 6,
        "opensanctions": 14,
        "opensanctions_default": 5600,
        "us_congress": 1317,
    }
    with database.transaction() as tx:
        versions = store.current_versions(tx)
        formats = {name: store.get_format(tx, version.id) for name, version in versions.items()}
        stored = {name: list(store.load_entries(tx, v.id)) for name, v in versions.items()}
    assert {name: len(entries) for name, entries in stored.items()} == {
        name: report.entries for name, report in loaded.items()
    }
    assert formats["opensanctions_default"] == "targets"
    assert formats["us_congress"] == "senzing"
    assert (versions["eu"].version, versions["uk"].version) == ("2020-04-15", "2020-04-27")
    assert versions["ofac"].version == "2020-04-22"


@pytest.mark.parametrize(
    ("name", "file", "told"),
    [
        ("eu", "eu/fsf_sample.xml", r"fsf_sample\.xml, line \d+: this is not well-formed XML"),
        ("us_csl", "csl/consolidated.csv", r"consolidated\.csv, line \d+"),
        ("uk", "uk/hmt_conlist_sample.csv", r"hmt_conlist_sample\.csv, line \d+"),
        ("opensanctions", "opensanctions/entities.ftm.json", r"entities\.ftm\.json, line \d+"),
    ],
)
def test_a_real_list_cut_short_leaves_the_loaded_one_in_force(
    database, shared_data, tmp_path, name, file, told
):
    whole = shared_data / "watchlists" / file
    load_list(database, name, whole)
    before = current(database, name)
    short = tmp_path / whole.name
    short.write_bytes(whole.read_bytes()[:-20])

    with pytest.raises(WatchlistRejected, match=told):
        load_list(database, name, short)

    assert current(database, name) == before


def test_a_list_of_ones_own_in_a_published_format_is_recognised(database, shared_data):
    report = load_list(database, "partner", shared_data / "watchlists" / "eu" / "fsf_sample.xml")

    assert report.entries == 7


def test_another_publishers_file_is_not_loaded_as_this_list(database, shared_data):
    with pytest.raises(WatchlistRejected, match="a UN list begins with CONSOLIDATED_LIST"):
        load_list(database, "un", shared_data / "watchlists" / "eu" / "fsf_sample.xml")


# -- opening -------------------------------------------------------------------------------------


def test_loading_leaves_the_index_for_the_workers(database, tmp_path):
    load_list(
        database, "internal", a_list(tmp_path / "l.jsonl", *PEOPLE), index_dir=tmp_path / "index"
    )
    version = current(database, "internal")

    assert resident.folder_of(tmp_path / "index", version.id, version.sha256).exists()
    index = resident.open_index(database, tmp_path / "index", version.id)
    assert [m.entry.id for m in index.screen([Subject("Oduya, Amara")])[0]] == ["e0"]


def test_an_index_that_is_missing_is_built_and_then_kept(database, tmp_path):
    load_list(database, "internal", a_list(tmp_path / "l.jsonl", *PEOPLE))
    version = current(database, "internal")

    first = resident.open_index(database, tmp_path / "index", version.id)

    assert resident.open_index(database, tmp_path / "index", version.id) is first
    assert [p.name for p in (tmp_path / "index").iterdir() if p.is_dir()] == [
        f"{version.id}-{version.sha256[:12]}-engine{ENGINE_VERSION}"
    ]


def test_a_damaged_index_is_built_again(database, tmp_path):
    load_list(
        database, "internal", a_list(tmp_path / "l.jsonl", *PEOPLE), index_dir=tmp_path / "index"
    )
    version = current(database, "internal")
    folder = resident.folder_of(tmp_path / "index", version.id, version.sha256)
    victim = max(folder.glob("*.npy"), key=lambda path: path.stat().st_size)
    content = bytearray(victim.read_bytes())
    content[-1] ^= 0xFF
    victim.write_bytes(content)

    index = resident.open_index(database, tmp_path / "index", version.id)

    assert [m.entry.id for m in index.screen([Subject("Chen Daiyu")])[0]] == ["e2"]
    resident._open.clear()
    assert resident._open_folder(folder) is not None


def test_a_version_that_is_not_loaded_has_no_index(database, tmp_path):
    with pytest.raises(NotFound):
        resident.open_index(database, tmp_path, 4711)


_OPEN_AND_SCREEN = """
import logging, sys
from pathlib import Path
from app.db import Database
from app.screening.model import Subject
from app.screening.resident import open_index
logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stderr)
db = Database(sys.argv[1])
sys.stdin.readline()
index = open_index(db, Path(sys.argv[2]), int(sys.argv[3]))
print([m.entry.id for m in index.screen([Subject("Dalia Farsakh")])[0]])
db.close()
"""


def test_processes_that_need_one_index_at_once_build_it_once(database, settings, tmp_path):
    load_list(database, "internal", a_list(tmp_path / "l.jsonl", *PEOPLE))
    version = current(database, "internal")
    command = [sys.executable, "-c", _OPEN_AND_SCREEN]
    arguments = [settings.database_url, str(tmp_path / "index"), str(version.id)]
    processes = [
        subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()

    said = [process.communicate(timeout=60) for process in processes]

    assert [out.strip() for out, _ in said] == ["['e3']"] * 3, said
    assert sum("index.built" in err for _, err in said) == 1


# -- fetching ------------------------------------------------------------------------------------


@dataclass
class Publisher:
    """What a small HTTP server of the test's own publishes, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    status: int | None = None


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    published = Publisher()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = published.files.get(self.path, b"")
            etag = f'"{hash(body)}"'
            status = published.status or (200 if self.path in published.files else 404)
            if status == 200 and self.headers.get("If-None-Match") == etag:
                status = 304
            published.asked.append((self.path, status))
            self.send_response(status)
            self.send_header("ETag", etag)
            self.send_header("Last-Modified", "Wed, 01 Jul 2026 12:00:00 GMT")
            self.end_headers()
            if status == 200:
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the tests' output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    published.url = f"http://127.0.0.1:{server.server_port}"
    yield published
    server.shutdown()
    thread.join()
    server.server_close()


def ofac_like(publisher: Publisher) -> KnownList:
    return KnownList("ofac", "OFAC", "ofac", publisher.url, ("SDN.CSV", "ALT.CSV"))


def publish_ofac(publisher: Publisher, *names: str) -> None:
    nothing = ",".join(["-0- "] * 8)
    rows = [f'{n},"{name}","individual","SDGT",{nothing}\r\n' for n, name in enumerate(names, 1)]
    publisher.files["/SDN.CSV"] = "".join(rows).encode() + b"\x1a"
    publisher.files["/ALT.CSV"] = b'1,12,"aka","A. ODUYA",-0- \r\n\x1a'


def test_a_list_is_fetched_once_and_again_only_when_it_changed(database, settings, publisher):
    publish_ofac(publisher, *PEOPLE)
    known = ofac_like(publisher)

    first = update(database, settings, "ofac", known=known)
    second = update(database, settings, "ofac", known=known)
    publish_ofac(publisher, *PEOPLE, "Fen Hua")
    third = update(database, settings, "ofac", known=known)

    assert (first.entries, first.version, first.unchanged) == (5, "2026-07-01", False)
    assert second.unchanged
    assert (third.entries, third.added) == (6, 1)
    statuses = [status for _, status in publisher.asked]
    # The third time one file of the two had changed, and the other was needed as well.
    assert statuses == [200, 200, 304, 304, 200, 304, 200]
    assert current(database, "ofac").source == publisher.url


def test_a_publisher_that_fails_leaves_the_loaded_list_in_force(database, settings, publisher):
    publish_ofac(publisher, *PEOPLE)
    update(database, settings, "ofac", known=ofac_like(publisher))
    publisher.status = 503

    with pytest.raises(Unavailable, match="503"):
        update(database, settings, "ofac", known=ofac_like(publisher))

    assert current(database, "ofac").entries == 5


def test_a_page_instead_of_a_list_is_refused(database, settings, publisher):
    publisher.files["/un.xml"] = b"<html><body>We will be back soon</body></html>"
    known = KnownList("un", "UN", "un", f"{publisher.url}/un.xml")

    with pytest.raises(WatchlistRejected, match=r"un\.xml, line 1"):
        update(database, settings, "un", known=known)


def test_a_download_without_end_is_broken_off(database, settings, publisher):
    publish_ofac(publisher, *("Somebody Ordinary" for _ in range(2000)))
    small = type(settings).build(
        database_url=settings.database_url,
        redis_url=settings.redis_url,
        jwt_secret=settings.jwt_secret,
        index_dir=settings.index_dir,
        list_max_bytes=1000,
    )

    with pytest.raises(WatchlistRejected, match="larger than the 1,000 bytes"):
        update(database, small, "ofac", known=ofac_like(publisher))


def test_a_list_without_a_publisher_cannot_be_fetched(database, settings):
    with pytest.raises(WatchlistRejected, match="load it from a file"):
        update(database, settings, "sample")

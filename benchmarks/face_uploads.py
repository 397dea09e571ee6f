"""What a web process takes while 100 images of 10 MB are posted to it, and how fast that goes.

Through the Procfile's gunicorn with one process, into Postgres on a disk. The figure is by how much
its peak memory (VmHWM) grows beyond what a batch of one small image took.
"""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from app import embedded
from app.accounts.model import PERMISSIONS, Role
from app.api.tokens import mint_access
from app.faces import collections
from benchmarks import machine
from benchmarks.figure import Figure, Goal, Measure, Skipped
from benchmarks.stage import Stage, staged

Say = Callable[[str], None]

IMAGES = 100
SIZE = 10 * 1024 * 1024
GOAL = Goal(20)
_BOUNDARY = "benchmark-of-uploads"
_BLOCK = random.Random(7).randbytes(1024 * 1024)


def measure(say: Say) -> Figure:
    if not Path("/proc/self/status").exists():
        raise Skipped("peak memory is read from /proc/PID/status, which is Linux's alone")
    with staged(say=say) as stage:
        durable = stage.check_durable()
        port = embedded.free_port()
        web = stage.start_web(port, MUSTER_WEB_WORKERS="1")
        (process,) = web.children()
        place = _place(stage)
        _post(port, place, stage, images=1, size=1000)
        before = _peak(process)
        say(f"{IMAGES} images of {SIZE // 1024 // 1024} MB")
        begun = time.perf_counter()
        _post(port, place, stage, images=IMAGES, size=SIZE)
        seconds = time.perf_counter() - begun
        grown = _peak(process) - before
        _check_stored(stage)
        say("a client that hangs up")
        _hang_up(port, place, stage)
        stage.stop(web)
        conditions = machine.conditions(
            ("gunicorn", "Werkzeug", "psycopg2-binary"),
            work=f"one request of {IMAGES} images of {SIZE:,} random bytes",
            durability=durable,
            checked="all bytes are in Postgres; of a request that breaks off after half nothing is",
        )
    return Figure(
        name="face_uploads",
        headline=Measure("peak memory of the web process beyond a small batch", grown, "MB", GOAL),
        more=[
            Measure("its peak with the small batch alone", before, "MB"),
            Measure("taken in", IMAGES * SIZE / 1e6 / seconds, "MB/s"),
        ],
        peers=[Measure("the images themselves", IMAGES * SIZE / 1e6, "MB")],
        conditions=conditions,
    )


def _place(stage: Stage) -> str:
    collection = collections.create(stage.db, stage.tenant.id, name="bench", created_by="bench")
    return f"/api/v1/collections/{collection.id}/faces/batch-async"


def _body(images: int, size: int) -> Iterator[bytes]:
    for n in range(images):
        head = (
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="external_ids[]"\r\n\r\n{n}\r\n'
        )
        head += (
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="images"; filename="{n}"\r\n'
        )
        yield f"{head}Content-Type: image/jpeg\r\n\r\n".encode()
        left = size
        while left:
            yield _BLOCK[:left]
            left -= min(left, len(_BLOCK))
        yield b"\r\n"
    yield f"--{_BOUNDARY}--\r\n".encode()


def _headers(stage: Stage, length: int) -> dict[str, str]:
    token = mint_access(stage.settings, stage.tenant.id, "usr_bench", PERMISSIONS[Role.ADMIN])
    return {
        "Authorization": f"Bearer {token}",
        "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
        "Content-Length": str(length),
    }


def _post(port: int, place: str, stage: Stage, *, images: int, size: int) -> None:
    length = sum(map(len, _body(images, size)))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request("POST", place, _body(images, size), _headers(stage, length))
    answer = connection.getresponse()
    raw = answer.read()
    assert answer.status == 202, raw[:500]
    assert json.loads(raw)["data"]["total"] == images
    connection.close()


def _check_stored(stage: Stage) -> None:
    stored = stage.query("SELECT sum(octet_length(data))::bigint AS bytes FROM face_images")
    assert stored == IMAGES * SIZE + 1000, stored


def _hang_up(port: int, place: str, stage: Stage) -> None:
    before = stage.query("SELECT count(*) AS parts FROM face_images")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest("POST", place)
    for name, value in _headers(stage, 20 * SIZE).items():
        connection.putheader(name, value)
    connection.endheaders()
    sent = 0
    for block in _body(10, SIZE):
        connection.send(block)
        sent += len(block)
        if sent > 5 * SIZE:
            break
    connection.close()
    deadline = time.monotonic() + 30
    while stage.query("SELECT count(*) AS parts FROM face_images") != before:
        assert time.monotonic() < deadline, "what was sent is still there"
        time.sleep(0.1)


def _peak(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1000
    raise AssertionError("every process has a peak")

"""Uploads over a real socket, into a real web process: what breaks off leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from app.faces import collections
from tests.faces_api import BASE, images_left
from tests.integration.conftest import until
from tests.kyc import serving

pytestmark = pytest.mark.integration

BOUNDARY = "a-boundary"
IMAGE = bytes(range(256)) * 4096
MEGABYTES = len(IMAGE) / 1e6


@pytest.fixture
def web_process(settings, tmp_path):
    with serving(settings, tmp_path) as web:
        yield web


@pytest.fixture
def place(resources, tenant) -> str:
    made = collections.create(resources.db, tenant.id, name="x", created_by="usr_test")
    return f"{BASE}/collections/{made.id}/faces/batch-async"


@pytest.fixture
def head(settings, tenant, place) -> bytes:
    token = tokens.mint_access(settings, tenant.id, "usr_x", PERMISSIONS[Role.ADMIN])
    return (
        f"POST {place} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
    ).encode()


def part(number: int, data: bytes = IMAGE) -> bytes:
    begin = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
    head = f'{begin}"external_ids[]"\r\n\r\np{number}\r\n{begin}"images"; filename="x"\r\n\r\n'
    return head.encode() + data + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def connected(web) -> socket.socket:
    url = urlsplit(web.url)
    return socket.create_connection((url.hostname, url.port), timeout=60)


def answer_of(connection: socket.socket) -> bytes:
    received = b""
    while block := connection.recv(65_536):
        received += block
        if b"\r\n\r\n" in received and received.rstrip().endswith(b"}"):
            break
    return received


def test_a_client_that_hangs_up_leaves_nothing_behind(web_process, head, database):
    with connected(web_process) as connection:
        connection.sendall(head + b"Content-Length: 90000000\r\n\r\n" + part(0) + part(1)[:500_000])
        until(lambda: images_left(database) >= 4, 30, "the first image is being stored")

    until(lambda: images_left(database) == 0, 30, "all of it is gone")


def test_a_body_of_unknown_length_is_taken_as_well(web_process, head, database):
    with connected(web_process) as connection:
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        for block in (part(0), part(1), END):
            connection.sendall(f"{len(block):x}\r\n".encode() + block + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        answer = answer_of(connection)

    assert answer.startswith(b"HTTP/1.1 202 "), answer[:500]
    assert images_left(database) == 8


def test_a_body_that_is_shorter_than_it_says_leaves_nothing_behind(web_process, head, database):
    with connected(web_process) as connection:
        body = part(0)
        connection.sendall(head + b"Content-Length: 90000000\r\n\r\n" + body)
        connection.shutdown(socket.SHUT_WR)
        answer = answer_of(connection)

    assert b" 400 " in answer.partition(b"\r\n")[0] or answer == b""
    until(lambda: images_left(database) == 0, 30, "all of it is gone")


def test_a_process_that_is_killed_leaves_what_the_sweep_deletes(
    web_process, head, database, resources
):
    from tests.faces_api import move
    from workers import sweep

    connection = connected(web_process)
    connection.sendall(head + b"Content-Length: 90000000\r\n\r\n" + part(0) + part(1)[:500_000])
    until(lambda: images_left(database) >= 4, 30, "the first image is being stored")
    for pid in web_pids(web_process):
        os.kill(pid, signal.SIGKILL)
    connection.close()

    left = images_left(database)
    sweep.sweep(resources)
    assert images_left(database) == left > 0, "it might be on its way still"
    move(database, "face_images", "expires_at", 3_601)
    sweep.sweep(resources)
    assert images_left(database) == 0


def web_pids(web) -> list[int]:
    """The processes that serve on this port: gunicorn's workers, by their parent."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"PORT={web.port}\0".encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    parents = {pid for pid in found if any(_parent(other) == pid for other in found)}
    return [pid for pid in found if pid not in parents]


def _parent(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(re.search(r"^PPid:\s+(\d+)", status, re.MULTILINE)[1])

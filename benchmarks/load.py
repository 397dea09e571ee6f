"""A load generator: one process, raw sockets kept open, one request on each at a time.

    python -m benchmarks.load PORT CONNECTIONS SECONDS [CORE] < request

Reads the whole request from standard input, and writes one JSON object: answers by status, the
seconds they took together, all answers with those of the warm-up, percentiles of the latency.
Python's http.client would be slower than what it measures.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from collections import Counter
from typing import Any

#: What is not measured at first: caches, connections and branch predictors settle.
WARM_UP_SECONDS = 1.0
LONGEST_WAIT = 10.0


def run(port: int, connections: int, seconds: float, request: bytes) -> dict[str, Any]:
    sockets = {sock.fileno(): sock for sock in (_connect(port) for _ in range(connections))}
    poller = select.epoll() if hasattr(select, "epoll") else select.poll()
    sent: dict[int, float] = {}
    for number, sock in sockets.items():
        poller.register(number, select.POLLIN)
        sent[number] = time.perf_counter()
        sock.sendall(request)

    statuses: Counter[str] = Counter()
    answers = 0
    waits: list[float] = []
    bodies: set[int] = set()
    start = time.perf_counter() + WARM_UP_SECONDS
    end = start + seconds
    while (now := time.perf_counter()) < end:
        ready = poller.poll(LONGEST_WAIT if hasattr(select, "epoll") else LONGEST_WAIT * 1000)
        if not ready:
            raise SystemExit(f"no answer within {LONGEST_WAIT:g} s")
        for number, _ in ready:
            sock = sockets[number]
            status, size = _read(sock)
            now = time.perf_counter()
            answers += 1
            if now >= start:
                statuses[status] += 1
                waits.append(now - sent[number])
                bodies.add(size)
            sent[number] = now
            sock.sendall(request)
    for sock in sockets.values():
        sock.close()
    waits.sort()
    return {
        "statuses": statuses,
        "seconds": seconds,
        "answers": answers,
        "median_ms": 1000 * waits[len(waits) // 2],
        "p99_ms": 1000 * waits[len(waits) * 99 // 100],
        "body_bytes": sorted(bodies),
    }


def _connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=LONGEST_WAIT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _read(sock: socket.socket) -> tuple[str, int]:
    """Read one answer; return its status and the size of its body."""
    data = sock.recv(1 << 16)
    while b"\r\n\r\n" not in data:
        data += _more(sock)
    head, _, body = data.partition(b"\r\n\r\n")
    status = head[9:12].decode()
    at = head.lower().find(b"content-length:")
    length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 and status != "304" else 0
    left = length - len(body)
    while left > 0:
        left -= len(_more(sock))
    return status, length


def _more(sock: socket.socket) -> bytes:
    data = sock.recv(1 << 16)
    if not data:
        raise SystemExit("the server closed a connection")
    return data


if __name__ == "__main__":
    if len(sys.argv) > 4 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(sys.argv[4])})
    told = run(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.stdin.buffer.read())
    print(json.dumps(told))

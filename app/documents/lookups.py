"""Many hosts looked up at once, within one time for all of them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

#: Returns the addresses of a host.
Resolve = Callable[[str, int], Sequence[str]]

#: Look-ups of one request at the same time: the servers that answer them are shared.
_AT_ONCE = 16


def look_up_all(
    resolve: Resolve, hosts: Mapping[str, int], seconds: float
) -> dict[str, Sequence[str]]:
    """Return the addresses of each host, given with a port, for which an answer came in time.

    There are none of a host that was not found. The system's look-up knows no time-out: threads
    wait for it, and begin no other when the time is up.
    """
    ends = time.monotonic() + seconds
    waiting: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
    for each in hosts.items():
        waiting.put(each)
    answers: queue.SimpleQueue[tuple[str, Sequence[str]]] = queue.SimpleQueue()
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            try:
                host, port = waiting.get_nowait()
            except queue.Empty:
                return
            found: Sequence[str] = ()
            with suppress(OSError, UnicodeError):
                found = resolve(host, port)
            answers.put((host, found))

    for _ in range(min(_AT_ONCE, len(hosts))):
        threading.Thread(target=run, daemon=True, name="look-up").start()
    found: dict[str, Sequence[str]] = {}
    with suppress(queue.Empty):
        while len(found) < len(hosts):
            host, addresses = answers.get(timeout=max(0.0, ends - time.monotonic()))
            found[host] = addresses
    over.set()
    return found

"""How much memory the items in hand may take: beyond it they fail, and not the machine."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STATM = Path("/proc/self/statm")
_PAGE = resource.getpagesize()


@contextmanager
def memory(size: int) -> Iterator[None]:
    """Let this process take so many bytes beyond what it holds, until the end of the block.

    More is a MemoryError, or the end of the process where C code has no better answer. What is
    mapped from a file and only read, as an index is, counts for nothing. Only Linux can do this;
    elsewhere there is no limit.
    """
    if not _STATM.exists():
        yield
        return
    held = int(_STATM.read_text().split()[5]) * _PAGE
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = held + size
    if any(limit != resource.RLIM_INFINITY and limit <= wanted for limit in (soft, hard)):
        # Somebody else has set a lower one, for all that the process does.
        yield
        return
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))

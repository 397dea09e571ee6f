"""Compiling everything once, so that no job pays for it: python -m app.screening.compiled.warm."""

from __future__ import annotations

import logging
import time

from app.screening.compiled import cache
from app.screening.compiled.names import CompiledNames
from app.screening.model import EntityType
from app.screening.names import prepare

log = logging.getLogger(__name__)


def ensure() -> type[CompiledNames]:
    """Return the names whose loops are compiled, compiling them if this machine has not yet.

    One process at a time: numba keeps what it compiles as if it were alone.
    """
    if not cache.is_ready():
        with cache.only_one():
            if not cache.is_ready():
                log.info("loops.compiled", extra={"seconds": round(warm(), 1)})
                cache.mark_ready()
    return CompiledNames


def warm() -> float:
    """Run every loop once, and return the seconds that loading or compiling them took."""
    started = time.perf_counter()
    names = [prepare("Acme Trading Ltd", EntityType.ORGANISATION)]
    found = CompiledNames.build(names, EntityType.ORGANISATION).find(names, 0.85, names.__getitem__)
    assert found.scores.tolist() == [1.0]
    return time.perf_counter() - started


if __name__ == "__main__":
    ensure()

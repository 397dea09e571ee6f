"""The one place that knows how our loops are compiled: numba, once per machine, kept on disk.

Only the modules of this package import it, and whoever opens a large index imports them: a
process that screens nothing, or only short lists, never loads the compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba import config

from app.screening.arrays import Array
from app.screening.compiled import cache

F = TypeVar("F", bound=Callable[..., object])


def jit(function: F) -> F:
    """Compile a function that plain code calls; keep what was compiled on disk."""
    return cast(F, numba.njit(cache=True)(function))


def inner(function: F) -> F:
    """Compile a function that only compiled ones call: in half the time, without the way in."""
    # numba knows these options, and its types do not.
    compiler = cast(Any, numba.njit)(cache=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
    return cast(F, compiler(function))


def frozen(array: Array, dtype: type[np.generic]) -> Array:
    """Return the array as every loop expects it: of this type, in one piece, and read-only.

    Arrays mapped from disk cannot be written; were those in memory different, everything would be
    compiled twice.
    """
    found = np.ascontiguousarray(array, dtype).view(np.ndarray)
    found.flags.writeable = False
    return found


# What NUMBA_CACHE_DIR would set; numba's types do not know it.
setattr(config, "CACHE_DIR", str(cache.settled()))  # noqa: B010

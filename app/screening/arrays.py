"""A folder of flat arrays that many processes open at once and share.

The files are mapped, not read: the pages are in memory once per machine, however many workers
look at them. A manifest, written last, says how long each file is and what it adds up to, so that
a folder that was cut short or damaged is noticed before anybody trusts it.
"""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_MANIFEST = "manifest.json"


class Damaged(Exception):
    """The folder is not what was written. Build it again."""


def save(folder: Path, arrays: Mapping[str, Array], facts: Mapping[str, object]) -> None:
    """Write every array to a file of its own, and the manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, array in arrays.items():
        path = folder / f"{name}.npy"
        np.save(path, array, allow_pickle=False)
        files[name] = {"bytes": path.stat().st_size, "crc32": _crc32(path)}
    manifest = json.dumps({"facts": dict(facts), "files": files}, indent=1)
    (folder / _MANIFEST).write_text(manifest, encoding="utf-8")


def open_folder(folder: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Map every array of the folder, or raise Damaged."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        arrays = {}
        for name, file in manifest["files"].items():
            path = folder / f"{name}.npy"
            if path.stat().st_size != file["bytes"] or _crc32(path) != file["crc32"]:
                raise Damaged(f"the index file {name} is not as it was written")
            arrays[name] = _map(path)
        return arrays, manifest["facts"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged("the index folder cannot be read") from error


def _map(path: Path) -> Array:
    # The view sheds numpy's memmap class, which makes each access several times slower and offers
    # nothing we use.
    return np.load(path, mmap_mode="r").view(np.ndarray)


def _crc32(path: Path) -> int:
    total = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total = zlib.crc32(block, total)
    return total


def spread(starts: Array, counts: Array) -> Array:
    """Return the positions of many runs, one after the other.

    >>> spread(np.array([5, 20]), np.array([2, 3])).tolist()
    [5, 6, 20, 21, 22]
    """
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - counts), counts) + np.arange(total)


def pack_texts(texts: list[str]) -> dict[str, Array]:
    """Return many texts as one array of bytes and their ends."""
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return {"bytes": np.frombuffer(b"".join(encoded), np.uint8), "ends": ends}


def unpack_texts(bytes_: Array, ends: Array) -> list[str]:
    blob = bytes_.tobytes()
    bounds = ends.tolist()
    return [blob[start:end].decode() for start, end in itertools.pairwise(bounds)]


def text_at(bytes_: Array, ends: Array, number: int) -> str:
    return bytes_[ends[number] : ends[number + 1]].tobytes().decode()

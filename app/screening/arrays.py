"""A folder of flat arrays that many processes open at once and share.

The files are mapped, not read: the pages are in memory once per machine, however many workers
look at them. A manifest, written last, says how long each file is and what it adds up to, so that
a folder that was cut short or damaged is noticed before anybody trusts it. Adding up a large list
takes a second, so it is done once: a note says which files, untouched since, were right since the
machine started.
"""

from __future__ import annotations

import itertools
import json
import os
import zlib
from array import array
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_MANIFEST = "manifest.json"
_NOTE = "checked.json"
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Damaged(Exception):
    """The folder is not what was written. Build it again."""


def save(folder: Path, arrays: Mapping[str, Array], facts: Mapping[str, object]) -> None:
    """Write every array to a file of its own, and the manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, each in arrays.items():
        path = folder / f"{name}.npy"
        np.save(path, each, allow_pickle=False)
        files[name] = {"bytes": path.stat().st_size, "crc32": _crc32(path)}
    manifest = json.dumps({"facts": dict(facts), "files": files}, indent=1)
    (folder / _MANIFEST).write_text(manifest, encoding="utf-8")
    _note(folder, _seen(folder, files))


def open_folder(folder: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Map every array of the folder, or raise Damaged."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        files = manifest["files"]
        seen = _seen(folder, files)
        if seen is None or seen != _noted(folder):
            _check(folder, files)
            _note(folder, seen)
        return {name: _map(folder / f"{name}.npy") for name in files}, manifest["facts"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged("the index folder cannot be read") from error


def _check(folder: Path, files: Mapping[str, Any]) -> None:
    for name, file in files.items():
        path = folder / f"{name}.npy"
        if path.stat().st_size != file["bytes"] or _crc32(path) != file["crc32"]:
            raise Damaged(f"the index file {name} is not as it was written")


def _seen(folder: Path, files: Iterable[str]) -> dict[str, Any] | None:
    """Return which files these are, or None where nobody can tell when the machine started."""
    try:
        boot = _BOOT.read_text().strip()
    except OSError:
        return None
    found = {name: (folder / f"{name}.npy").stat() for name in files}
    its = {name: [s.st_size, s.st_mtime_ns, s.st_ino] for name, s in found.items()}
    return {"boot": boot, "files": its}


def _noted(folder: Path) -> object:
    try:
        return json.loads((folder / _NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _note(folder: Path, seen: dict[str, Any] | None) -> None:
    """Say that these files are right. Whoever may not write here checks them again."""
    if seen is not None:
        with suppress(OSError):
            part = folder / f".{_NOTE}.{os.getpid()}"
            part.write_text(json.dumps(seen), encoding="utf-8")
            part.replace(folder / _NOTE)


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


class TextPacker:
    """Packs texts as they come."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("q", [0])

    def add(self, text: str) -> None:
        self._bytes += text.encode()
        self._ends.append(len(self._bytes))

    def packed(self) -> dict[str, Array]:
        """Return what `pack_texts` returns."""
        return {
            "bytes": np.frombuffer(bytes(self._bytes), np.uint8),
            "ends": np.array(self._ends, np.int64),
        }


def unpack_texts(bytes_: Array, ends: Array) -> list[str]:
    blob = bytes_.tobytes()
    bounds = ends.tolist()
    return [blob[start:end].decode() for start, end in itertools.pairwise(bounds)]


class Texts:
    """Packed texts, one of which is asked for now and then.

    A view of memory is sliced several times as fast as an array is.
    """

    def __init__(self, bytes_: Array, ends: Array) -> None:
        self._bytes = bytes_.data
        self._ends = ends.data

    def __getitem__(self, number: int) -> str:
        return str(self.encoded(number), "utf-8")

    def encoded(self, number: int) -> memoryview:
        """Return the text in UTF-8, without copying it."""
        return self._bytes[self._ends[number] : self._ends[number + 1]]

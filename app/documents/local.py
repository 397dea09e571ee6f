"""Files of this machine, under the folders that the settings name and nowhere else.

The path is resolved first, and must lie under a root; then it is walked from the root, folder by
folder, each opened within the one before and none of them a link. So a link may lead about
inside a root, and one that is put in the way between the two is refused.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from uuid import UUID

from app.documents import codes
from app.documents.model import Content, Hint
from app.errors import ItemError
from app.settings import Settings

_SUFFIX_LENGTH = 8


def suffix_of(name: str) -> str:
    """Return the end of a name, in lower case and without the dot; nothing if it is long."""
    suffix = PurePosixPath(name).suffix[1:].lower()
    return suffix if len(suffix) <= _SUFFIX_LENGTH else ""


class LocalFiles:
    def __init__(self, settings: Settings) -> None:
        self._roots = [each for each in settings.document_roots.split(os.pathsep) if each]
        self._max_bytes = settings.document_max_bytes

    def read(self, path: str, tenant_id: UUID) -> Content:
        """Return the file. Raises ItemError."""
        descriptor = self._open(path, tenant_id)
        with open(descriptor, "rb") as file:
            try:
                # A file can grow while it is read.
                data = file.read(self._max_bytes + 1)
            except OSError as error:
                raise _not_found() from error
        if len(data) > self._max_bytes:
            raise self._too_large()
        return Content(data, Hint(suffix=suffix_of(path)))

    def check(self, path: str, tenant_id: UUID) -> None:
        """Raise ItemError if the file could not be read."""
        os.close(self._open(path, tenant_id))

    def _open(self, path: str, tenant_id: UUID) -> int:
        """Return a descriptor of an ordinary file of an allowed size."""
        root, parts = self._place(path, tenant_id)
        try:
            descriptor = _walk(root, parts)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.ENXIO}:
                raise _not_allowed() from error
            # Also what we may not read: to say that it is there would be telling.
            raise _not_found() from error
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise ItemError(codes.PATH_NOT_ALLOWED, "The path does not lead to an ordinary file.")
        if status.st_size > self._max_bytes:
            os.close(descriptor)
            raise self._too_large()
        return descriptor

    def _place(self, path: str, tenant_id: UUID) -> tuple[Path, Sequence[str]]:
        """Return the root that the path lies under, and the way from there."""
        if not self._roots:
            raise ItemError(
                codes.SOURCE_NOT_CONFIGURED,
                "This server takes no documents by path; upload the document instead"
                " (MUSTER_DOCUMENT_ROOTS).",
            )
        if "\0" in path:
            raise ItemError(codes.INVALID_SOURCE, "A path cannot have a NUL in it.")
        for each in self._roots:
            root = Path(os.path.realpath(each.replace("{tenant}", str(tenant_id))))
            # What is not absolute is meant from a root on.
            found = Path(os.path.realpath(root / path))
            if (
                found != root
                and found.is_relative_to(root)
                and (Path(path).is_absolute() or os.path.exists(found) or each == self._roots[-1])
            ):
                return root, found.relative_to(root).parts
        raise _not_allowed()

    def _too_large(self) -> ItemError:
        return ItemError(
            codes.DOCUMENT_TOO_LARGE,
            f"The file is larger than the {self._max_bytes:,} bytes allowed"
            " (MUSTER_DOCUMENT_MAX_BYTES).",
        )


def _walk(root: Path, parts: Sequence[str]) -> int:
    """Return a descriptor of the file, never having followed a link. Raises OSError."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        # Not to wait for somebody who writes, should it be a pipe.
        return os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)


def _not_allowed() -> ItemError:
    return ItemError(
        codes.PATH_NOT_ALLOWED, "The path does not lie under a folder that this server reads."
    )


def _not_found() -> ItemError:
    return ItemError(codes.NOT_FOUND, "There is no such file, or it cannot be read.")

"""Fetching a list from its publisher, when it has changed, and loading it."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import requests

from app.db import Database
from app.errors import Unavailable, WatchlistRejected
from app.screening import store
from app.screening.lists import catalogue
from app.screening.lists.catalogue import KnownList
from app.screening.lists.load import LoadReport, Progress, load_list
from app.settings import Settings
from app.version import VERSION

log = logging.getLogger(__name__)

_BLOCK = 1 << 16
_HEADERS = {"User-Agent": f"muster/{VERSION}"}


@dataclass(frozen=True, slots=True)
class _Fetched:
    path: Path
    validators: Mapping[str, str]
    published_at: datetime | None


def update(
    db: Database,
    settings: Settings,
    name: str,
    *,
    allow_shrink: bool = False,
    known: KnownList | None = None,
    progress: Progress | None = None,
) -> LoadReport:
    """Fetch the list and load it, unless the publisher says that it has not changed.

    `known` stands in for the catalogue's line. Raises WatchlistRejected for a file that will not
    be loaded, Unavailable for a publisher that does not answer.
    """
    known = known or catalogue.find(name)
    if known is None or not known.addresses:
        raise WatchlistRejected(
            f"no publisher's address is known for the list {name!r}; load it from a file"
        )
    with db.transaction() as tx:
        current = store.current_versions(tx).get(name)
        before = store.get_validators(tx, name)
    with tempfile.TemporaryDirectory(prefix="muster-list-") as folder, requests.Session() as web:
        web.headers.update(_HEADERS)
        fetched = [_fetch(web, a, Path(folder), settings, before.get(a)) for a in known.addresses]
        if current is not None and not any(fetched):
            log.info("watchlist.not_modified", extra={"list": name})
            with db.transaction() as tx:
                store.note_refresh(tx, name)
            return LoadReport(current.version, current.entries, unchanged=True)
        # A list of several files is loaded whole: what has not changed is needed too.
        files = [
            found or _fetch(web, address, Path(folder), settings, None)
            for address, found in zip(known.addresses, fetched, strict=True)
        ]
        whole = [file for file in files if file is not None]
        return load_list(
            db,
            name,
            [file.path for file in whole],
            format=known.format,
            allow_shrink=allow_shrink,
            index_dir=settings.index_dir,
            max_bytes=settings.list_max_bytes,
            source=known.url,
            published_at=max((f.published_at for f in whole if f.published_at), default=None),
            validators={
                address: dict(file.validators)
                for address, file in zip(known.addresses, whole, strict=True)
            },
            progress=progress,
        )


def _fetch(
    web: requests.Session, address: str, folder: Path, settings: Settings, before: Any
) -> _Fetched | None:
    """Fetch one file, or return None if the publisher says that we have it."""
    path = folder / (PurePosixPath(urlsplit(address).path).name or "list")
    try:
        # The timeout is for silence; the size is what bounds a slow drip.
        with web.get(
            address, headers=before or {}, stream=True, timeout=settings.list_timeout
        ) as answer:
            if answer.status_code == requests.codes.not_modified and before:
                return None
            if answer.status_code != requests.codes.ok:
                raise Unavailable(
                    f"the publisher of {path.name} answered {answer.status_code}; try again later"
                )
            _store(answer, path, settings.list_max_bytes)
            return _Fetched(path, _conditions(answer), _modified(answer))
    except requests.RequestException as error:
        raise Unavailable(
            f"{path.name} could not be fetched from its publisher; try again later"
        ) from error


def _store(answer: requests.Response, path: Path, max_bytes: int) -> None:
    size = 0
    with path.open("wb") as file:
        for block in answer.iter_content(_BLOCK):
            size += len(block)
            if size > max_bytes:
                raise WatchlistRejected(
                    f"{path.name} is larger than the {max_bytes:,} bytes allowed"
                    " (MUSTER_LIST_MAX_BYTES)"
                )
            file.write(block)


def _conditions(answer: requests.Response) -> dict[str, str]:
    """Return the headers that ask for this file only if it is not this one."""
    asked = {"If-None-Match": "ETag", "If-Modified-Since": "Last-Modified"}
    return {ask: answer.headers[told] for ask, told in asked.items() if told in answer.headers}


def _modified(answer: requests.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(answer.headers.get("Last-Modified", ""))
    except ValueError:
        return None

"""/kyc/lists: what is loaded, and a tenant's own lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request

from app.api import kyc_render
from app.api.auth import requires
from app.api.body import read_body
from app.api.context import caller, resources
from app.api.kyc_entities import load
from app.errors import InvalidParameter, ListNotFound, TooLarge
from app.kinds import kyc
from app.screening import store
from app.screening.freshness import Freshness
from app.screening.model import ListVersion
from app.screening.topics import coverage
from schemas.kyc import UploadSchema

if TYPE_CHECKING:
    from app.screening.lists.own import Limits, Upload, Uploaded

bp = Blueprint("kyc_lists", __name__, url_prefix="/kyc/lists")

CSV = "text/csv"
NDJSON = "application/x-ndjson"
#: What a list may be sent as, and how the reader of our own format calls it.
FILE_TYPES = {
    CSV: "csv",
    NDJSON: "jsonl",
    "application/jsonl": "jsonl",
    "application/x-jsonlines": "jsonl",
}

_UPLOAD = UploadSchema()


@bp.get("")
@requires("kyc:read")
def show_all() -> Response:
    """Say which lists are loaded, in which version, with how many entries."""
    loaded = [_shown(*each) for each in kyc.loaded_lists(resources(), caller().tenant_id)]
    return jsonify(status="success", lists=loaded, count=len(loaded))


@bp.get("/<name>")
@requires("watchlist:read")
def show(name: str) -> Response:
    """Show one list with all its versions, the newest first."""
    loaded = kyc.loaded_lists(resources(), caller().tenant_id)
    found = next((each for each in loaded if each[0].name == name), None)
    if found is None:
        raise ListNotFound("No list of this name is loaded.")
    version, fresh = found
    with resources().db.transaction() as tx:
        versions = store.list_versions(tx, name, version.tenant_id)
    shown = [
        {
            "version": each.version,
            "loaded_at": kyc_render.stamp(each.loaded_at),
            "entities": each.entries,
            "in_force": each.id == version.id,
        }
        for each in versions
    ]
    return jsonify(status="success", list={**_shown(version, fresh), "versions": shown})


@bp.post("")
@requires("watchlist:create")
def create() -> Response:
    """Store a list of the tenant's own, CSV or JSON lines in the format `plain`."""
    from app.screening.lists import own

    upload = _read()
    if upload.name == "":
        raise InvalidParameter("name: say what the list shall be called.")
    return _stored(own.create(resources().db, upload, _limits()))


@bp.post("/<name>")
@requires("watchlist:update")
def add_version(name: str) -> Response:
    """Store a new version of the tenant's own list and put it in force."""
    # Here and not above: reading a list loads what the web does without otherwise.
    from app.screening.lists import own

    own.find(resources().db, caller().tenant_id, name)
    return _stored(own.add_version(resources().db, _read(name), _limits()))


@bp.delete("/<name>")
@requires("watchlist:delete")
def delete(name: str) -> Response:
    """Take the tenant's own list out of use; jobs that were submitted before keep it."""
    from app.screening.lists import own

    own.delete(resources().db, caller().tenant_id, name)
    return jsonify(status="success", list_name=name, deleted=True)


def _shown(version: ListVersion, fresh: Freshness) -> dict[str, Any]:
    return {
        "list_name": version.name,
        "description": version.title,
        "version": version.version,
        "published_at": version.published_at and kyc_render.stamp(version.published_at),
        "loaded_at": kyc_render.stamp(version.loaded_at),
        "entities": version.entries,
        "own": version.tenant_id is not None,
        "topics": list(coverage(version)),
        "refreshed_at": kyc_render.stamp(fresh.refreshed_at),
        "refresh_seconds": fresh.interval,
        "stale": fresh.is_stale,
    }


def _stored(done: Uploaded) -> Response:
    version = done.version
    response = jsonify(
        status="success",
        list_name=version.name,
        version=version.version,
        entities=version.entries,
        added=done.difference.added,
        removed=done.difference.removed,
        changed=done.difference.changed,
        unchanged=done.unchanged,
    )
    response.headers["Location"] = f"/kyc/lists/{version.name}"
    return response


def _limits() -> Limits:
    from app.screening.lists.own import Limits

    settings = resources().settings
    return Limits(lists=settings.own_lists, entries=settings.own_list_max_entries)


def _read(name: str | None = None) -> Upload:
    """Return what the request holds. Raises InvalidParameter and TooLarge."""
    from app.screening.lists.own import Upload

    given = load(_UPLOAD, request.args.to_dict())
    if request.mimetype not in FILE_TYPES:
        raise InvalidParameter(f"Send the list as Content-Type: {CSV} or {NDJSON}.")
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if charset not in {"utf-8", "utf8", "us-ascii", "ascii"}:
        raise InvalidParameter("Send the list in UTF-8; other charsets are not read.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise InvalidParameter("Send the list without Content-Encoding; it is not unpacked.")
    content, most = read_body(), resources().settings.own_list_max_bytes
    if len(content) > most:
        raise TooLarge(f"A list may hold at most {most:,} bytes.", max_bytes=most)
    return Upload(
        tenant_id=caller().tenant_id,
        created_by=caller().uid,
        name=name or given.get("name", ""),
        content=content,
        file_type=FILE_TYPES[request.mimetype],
        title=given.get("title"),
        version=given.get("version"),
        topics=given.get("topics", ()),
        allow_shrink=given["allow_shrink"],
    )

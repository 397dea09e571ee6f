"""What an operation of the OpenAPI document is made of: what the code of a route does not say."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from app.api.openapi_shapes import TEXT, Shape
from app.api.paging import LARGEST_PAGE, PAGE


@dataclass(frozen=True, slots=True)
class Operation:
    answers: str
    body: str | None = None
    query: tuple[Shape, ...] = ()
    #: Statuses beside those that follow from what the route takes and requires.
    more: tuple[HTTPStatus, ...] = ()
    #: Media types of the answer beside JSON.
    media: tuple[str, ...] = ()
    optional_body: bool = False
    #: The body is a list file, in one of the types that are taken.
    uploads: bool = False
    #: Of an answer that says yes.
    status: HTTPStatus = HTTPStatus.OK


def query(name: str, schema: Shape, says: str) -> Shape:
    return {"name": name, "in": "query", "schema": schema, "description": says}


LIMIT = query(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": PAGE},
    "Entries of one page.",
)
CURSOR = query("cursor", TEXT, "The next_cursor of the page before.")
AFTER = query("after", TEXT, "The next_cursor of the page before.")
CONFLICT = (HTTPStatus.CONFLICT,)

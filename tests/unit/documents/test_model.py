"""What a document may name as its source."""

from __future__ import annotations

from uuid import uuid4

import pytest

from app.documents.model import Source, SourceKind
from app.errors import ItemError


def code_of(**given: str | None) -> str:
    with pytest.raises(ItemError) as caught:
        Source.of(**given)
    return caught.value.code


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("https://host/a.pdf", "url"),
        ("HTTP://host/a.pdf", "url"),
        ("upload://1", "upload"),
        ("s3://bucket/key", "s3"),
        ("/srv/a.pdf", "local"),
        ("a.pdf", "local"),
        ("C:\\a.pdf", "local"),
        (" https://host/a.pdf\n", "url"),
    ],
)
def test_the_path_tells_the_kind(path, kind):
    assert Source.of(path=path) == Source(SourceKind(kind), path.strip())
    assert Source.of(path=path, kind=kind) == Source.of(path=path)


def test_a_text_that_comes_along_wins():
    assert Source.of(text="text", path="https://host/", kind="url") == Source(
        SourceKind.INLINE, "text"
    )


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"text": "", "path": ""},
        {"path": "  "},
        {"path": "/srv/a.pdf", "kind": "url"},
        {"path": "https://host/", "kind": "upload"},
        {"path": "https://host/", "kind": "s3"},
        {"path": "https://host/", "kind": "inline"},
        {"path": "https://host/", "kind": "ftp"},
    ],
)
def test_what_does_not_fit_together_is_refused(given):
    assert code_of(**given) == "invalid_source"


def test_a_local_file_may_be_called_anything():
    assert Source.of(path="https://host/a", kind="local").kind == "local"


def test_an_upload_is_known_by_its_id():
    upload_id = uuid4()

    assert Source.of(path=f"upload://{upload_id}").upload_id == upload_id
    with pytest.raises(ItemError) as caught:
        _ = Source.of(path="upload://../x").upload_id
    assert caught.value.code == "invalid_source"

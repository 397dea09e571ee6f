"""One door for a kind: text from wherever a document is, or an item error that says why not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.documents import uploads
from app.documents.model import Source
from app.documents.reader import Reader
from app.errors import ItemError
from tests import documents
from tests.documents import SENTENCE
from tests.integration.test_fetching import OUTSIDE, plain, serving


@pytest.fixture
def reader(resources, tmp_path):
    (tmp_path / "a.pdf").write_bytes(documents.pdf(SENTENCE))
    settings = replace(resources.settings, document_hosts=OUTSIDE, document_roots=str(tmp_path))
    opened = Reader(settings, resources.db)
    yield opened
    opened.close()


def code_of(act) -> str:
    with pytest.raises(ItemError) as caught:
        act()
    return caught.value.code


def test_text_is_found_wherever_the_document_is(reader, resources, tenant, tmp_path):
    upload = uploads.save(
        resources.db,
        resources.settings,
        tenant.id,
        name="a.docx",
        data=documents.docx(SENTENCE),
        created_by="usr_test",
    )
    with serving(OUTSIDE) as server:
        for source, type, text in (
            (Source.of(text=f"{SENTENCE}\r\n"), "text", f"{SENTENCE}\n"),
            (Source.of(path=upload.path), "docx", SENTENCE),
            (Source.of(path=server.url("/a.txt")), "text", "The bank was fined."),
            (Source.of(path=str(tmp_path / "a.pdf")), "pdf", SENTENCE),
        ):
            reader.check(tenant.id, source)
            found = reader.read(tenant.id, source, pages=3)

            assert (found.type, found.text) == (type, text)
        assert server.asked == ["/a.txt"], "checking a URL fetches nothing"


def test_what_cannot_be_read_is_an_item_error_with_its_code(reader, tenant):
    with serving(OUTSIDE) as server:
        server.answers["/gone"] = lambda handler: handler.head(404, Content_Length="0")
        server.answers["/a"] = plain
        cases = {
            "upload://00000000-0000-0000-0000-000000000000": "not_found",
            "upload://1": "invalid_source",
            server.url("/gone"): "not_found",
            f"http://10.0.0.1:{server.port}/": "address_not_allowed",
            "/etc/passwd": "path_not_allowed",
            "none.pdf": "not_found",
            "s3://bucket/key": "source_not_configured",
        }
        for path, code in cases.items():
            assert (
                code_of(lambda p=path: reader.read(tenant.id, Source.of(path=p), pages=3)) == code
            )
            if "gone" not in path:
                assert code_of(lambda p=path: reader.check(tenant.id, Source.of(path=p))) == code


def test_a_text_is_bounded_like_a_document(resources, tenant):
    settings = replace(resources.settings, document_max_bytes=10_000, document_max_chars=1000)
    reader = Reader(settings, resources.db)

    cut = reader.read(tenant.id, Source.of(text="ä" * 1001), pages=3)

    assert (len(cut.text), cut.truncated, cut.size) == (1000, True, 2002)
    assert (
        code_of(lambda: reader.read(tenant.id, Source.of(text="ä" * 5001), pages=3))
        == "document_too_large"
    )
    assert code_of(lambda: reader.read(tenant.id, Source.of(text=" \0"), pages=3)) == (
        "empty_document"
    )


def test_what_is_only_read_inline_starts_no_process(reader, tenant):
    reader.read(tenant.id, Source.of(text=SENTENCE), pages=3)

    assert reader._extractor._child is None

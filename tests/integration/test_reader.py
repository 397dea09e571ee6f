"""One door for a kind: text from wherever a document is, or an item error that says why not."""

from __future__ import annotations

import threading
from collections.abc import Sequence
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


def refusal(reader, tenant, path: str) -> ItemError | None:
    (found,) = reader.check_all(tenant.id, [Source.of(path=path)], seconds=10)
    return found


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
            assert reader.check_all(tenant.id, [source], seconds=10) == [None]
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
                assert refusal(reader, tenant, path).code == code


class Names:
    """A system's look-up that is asked about hosts, of which some never answer."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.over = threading.Event()

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host.startswith("slow"):
            self.over.wait(60)
        return [] if host.startswith("gone") else ["93.184.215.14"]


@pytest.fixture
def names():
    made = Names()
    yield made
    made.over.set()


def test_of_many_paths_each_host_is_looked_up_once(resources, tenant, names):
    reader = Reader(replace(resources.settings, document_urls="public"), resources.db, names)
    paths = [f"https://{host}.example/{n}" for n in range(100) for host in ("a", "gone", "b")]

    found = reader.check_all(tenant.id, [Source.of(path=path) for path in paths], seconds=60)

    assert sorted(names.asked) == ["a.example", "b.example", "gone.example"]
    assert [error and error.code for error in found] == [None, "fetch_failed", None] * 100


def test_hosts_that_do_not_answer_keep_nobody_waiting_for_each_of_them(resources, tenant, names):
    """And cost the paths that are known nothing."""
    reader = Reader(replace(resources.settings, document_urls="public"), resources.db, names)
    slow = [f"https://slow{n}.example/" for n in range(200)]
    sources = [Source.of(path=path) for path in ("https://a.example/", *slow, "upload://1")]

    first, *others, last = reader.check_all(tenant.id, sources, seconds=5.0)

    assert first is None
    assert {error.code for error in others} == {"timeout"}
    assert "within the 5 seconds" in str(others[-1])
    assert last.code == "invalid_source"
    assert len(names.asked) <= 17, "nothing new is begun when the time is up"


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

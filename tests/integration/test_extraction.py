"""Text out of documents by a real child process: ordinary, hostile, and a child that dies.

Whatever a document does, its caller gets a text or a code within the time allowed, and the next
document is read.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from app.documents import extractor
from app.documents.codes import CODES
from app.documents.extractor import Extractor, Limits
from app.documents.model import Content, Hint, Text
from app.errors import ItemError
from tests import documents
from tests.documents import SENTENCE
from tests.integration.conftest import until

ROOT = Path(__file__).parents[2]
#: Patient, since the machine that tests may be busy: what a document works is what counts.
LIMITS = Limits(seconds=2.0, patience=30.0, memory=512 << 20, max_chars=200_000)
IMPATIENT = replace(LIMITS, patience=2.0)
#: For what must be read to its end: on a slow machine that takes more work than on a quick one.
GENEROUS = replace(LIMITS, seconds=8.0, patience=60.0)
#: Far beyond what the limits allow, however busy the machine is.
LONG = 100.0


@pytest.fixture(scope="module")
def shared():
    """One child for all tests that leave it alive."""
    opened = Extractor(GENEROUS)
    opened.warm()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def strict():
    """A child like it for documents that may be given up, or have to be."""
    opened = Extractor(LIMITS)
    opened.warm()
    yield opened
    opened.close()


@pytest.fixture
def read(shared):
    return lambda data, pages=3, **hint: extract(shared, data, pages, **hint)


def extract(reader: Extractor, data: bytes, pages: int = 3, **hint: str) -> Text:
    return reader.extract(Content(data, Hint(**hint)), pages=pages)


def code_of(reader: Extractor, data: bytes, **hint: str) -> str:
    with pytest.raises(ItemError) as caught:
        extract(reader, data, **hint)
    assert caught.value.code in CODES
    assert str(caught.value), "every code comes with a sentence"
    return caught.value.code


def outcome(reader: Extractor, data: bytes, **hint: str) -> str:
    """Return the code of a document, or `read`."""
    try:
        found = extract(reader, data, **hint)
    except ItemError as error:
        return error.code
    assert 0 < len(found.text) <= LIMITS.max_chars
    return "read"


# Ordinary documents


def test_the_text_of_every_type_is_found(read):
    assert read(documents.pdf(SENTENCE)).text == SENTENCE
    assert read(documents.docx(SENTENCE, SENTENCE)).text == f"{SENTENCE}\n{SENTENCE}"
    assert read(documents.html(SENTENCE)).text == SENTENCE
    assert read(SENTENCE.encode()).text == SENTENCE
    assert read(b'name,crime,year\nJane Doe,fraud,2020\nJ. Roe,"theft, arson",2021\n').text == (
        "name | crime | year\nJane Doe | fraud | 2020\nJ. Roe | theft, arson | 2021"
    )


def test_the_answer_says_what_was_read(read):
    data = documents.pdf("one", "two", "three", "four")

    found = read(data, pages=2)

    assert found == Text("one\n\ntwo", "pdf", len(data), pages=4, pages_read=2, truncated=False)


def test_a_wrong_name_or_media_type_changes_nothing(read):
    assert read(documents.pdf(SENTENCE), suffix="docx", media_type="text/plain").type == "pdf"
    assert read(documents.docx(SENTENCE), suffix="pdf", media_type="text/html").type == "docx"
    assert read(SENTENCE.encode(), suffix="pdf", media_type="application/pdf").type == "text"
    assert read(documents.html(SENTENCE), suffix="txt").text == SENTENCE


def test_an_article_is_told_from_the_menus_around_it(read):
    pytest.importorskip("trafilatura")
    article = "".join(f"<p>{SENTENCE} Paragraph {n} says more about it.</p>" for n in range(12))
    menu = "".join(f'<li><a href="/{n}">Menu entry {n}</a></li>' for n in range(30))
    page = (
        f"<html><head><title>News</title></head><body><nav><ul>{menu}</ul></nav>"
        f"<main><article><h1>Bank fined</h1>{article}</article></main><footer>Imprint</footer>"
        "</body></html>"
    )

    text = read(page.encode()).text

    assert text.count(SENTENCE) == 12
    assert "Menu entry" not in text


def test_a_text_that_is_too_long_is_cut_and_says_so(read):
    assert read(b"a" * LIMITS.max_chars).truncated is False
    for data in (
        b"a" * (LIMITS.max_chars + 1),
        documents.docx(*["word " * 1000] * 50),
        documents.html("word " * 50_000),
        b"a,b,c\n" * 40_000,
        b"<html>" + b"<p>The bank was fined.</p>" * 800_000,
    ):
        cut = read(data)

        assert cut.truncated is True
        assert len(cut.text) == LIMITS.max_chars


def test_a_page_with_few_letters_is_no_picture(read):
    assert read(documents.outlined_pdf("Annual report")).text == "Annual report"
    assert read(documents.scanned_pdf("Fined for money laundering")).text == (
        "Fined for money laundering"
    )


def test_a_broken_page_costs_itself_and_not_the_others(read):
    found = read(documents.pdf_with_a_broken_page())

    assert found.text.split() == ["one", "three"]
    assert (found.pages, found.pages_read) == (3, 3)


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-128", "AES-256"])
def test_a_pdf_that_is_locked_for_printing_only_is_read(read, algorithm):
    if algorithm.startswith("AES"):
        pytest.importorskip("cryptography")

    locked = documents.encrypted_pdf(SENTENCE, password="", algorithm=algorithm)

    assert read(locked).text == SENTENCE


# Documents that give no text, and documents made to do harm


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-256"])
def test_a_pdf_with_a_password_is_encrypted(shared, algorithm):
    if algorithm.startswith("AES"):
        pytest.importorskip("cryptography")

    locked = documents.encrypted_pdf(SENTENCE, password="secret", algorithm=algorithm)

    assert code_of(shared, locked) == "encrypted"


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: b"", "empty_document"),
        (lambda: b" \n\t ", "empty_document"),
        (lambda: documents.pdf(""), "empty_document"),
        (lambda: documents.docx(), "empty_document"),
        (lambda: documents.html("<script>alert()</script>"), "empty_document"),
        (documents.scanned_pdf, "needs_ocr"),
        (documents.outlined_pdf, "needs_ocr"),
        (lambda: documents.scanned_pdf("Page 1"), "needs_ocr"),
        (lambda: b"\x89PNG\r\n\x1a\n" + bytes(100), "needs_ocr"),
        (lambda: documents.docx(**{"media/image1": b"picture"}), "needs_ocr"),
        (lambda: documents.office_container("EncryptedPackage"), "encrypted"),
        (lambda: documents.office_container("WordDocument"), "unsupported_type"),
        (lambda: documents.archive_of(**{"xl/workbook.xml": b"<x/>"}), "unsupported_type"),
        (lambda: documents.archive_of(**{"a.txt": b"text"}), "unsupported_type"),
        (lambda: b"{\\rtf1 text}", "unsupported_type"),
        (lambda: bytes(range(256)) * 10, "unsupported_type"),
        (lambda: documents.pdf(SENTENCE)[:300], "corrupt_document"),
        (lambda: documents.docx(SENTENCE)[:-60], "corrupt_document"),
        (lambda: b"%PDF-1.7\n" + bytes(range(256)) * 800, "corrupt_document"),
        (lambda: documents.docx_body(b"<w:p><w:r>"), "corrupt_document"),
        (documents.page_loop, "corrupt_document"),
        (documents.nested_objects, "corrupt_document"),
        (documents.xref_bomb, "corrupt_document"),
        (lambda: documents.lying_docx(120), "corrupt_document"),
        (lambda: documents.docx_bomb(120), "document_too_large"),
        (documents.flate_bomb, "document_too_complex"),
        (lambda: documents.flate_bomb(times=3), "document_too_complex"),
        (documents.object_stream_bomb, "document_too_complex"),
        (documents.nested_arrays, "document_too_complex"),
        (documents.page_tree_bomb, "document_too_complex"),
        (documents.form_bomb, "document_too_complex"),
        (documents.many_operators, "document_too_complex"),
        (documents.laughing_docx, "document_too_complex"),
        (documents.reaching_docx, "document_too_complex"),
        (documents.nested_docx, "document_too_complex"),
        # html.parser looks for the end of each of these again and again.
        (lambda: b"<html>" + b"<!--" * 300_000, "document_too_complex"),
    ],
)
def test_a_document_without_text_or_made_to_do_harm_ends_with_its_code(shared, strict, make, code):
    reader = strict if code == "document_too_complex" else shared
    data = make()
    begun = time.monotonic()

    assert code_of(reader, data) == code

    assert time.monotonic() - begun < LONG
    assert extract(reader, SENTENCE.encode()).text == SENTENCE, "the next one is read"


@pytest.mark.parametrize(
    "data",
    [
        b'"' * 2_000_000,
        b'a,"' * 1_000_000,
        b"," * 5_000_000,
        b"(" * 2_000_000,
        b"a" * 19_000_000,
        b"<html><a " + b"a=" * 500_000,
        b"<html>" + b"&" * 1_000_000,
        b"<meta " * 300_000 + b"\xff",
        ("\u0430" * 500_000).encode("cp1251"),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_text_that_expressions_and_tables_choke_on_is_read_or_given_up_in_time(strict, data):
    begun = time.monotonic()

    for hint in ({}, {"suffix": "csv"}, {"media_type": "text/html"}):
        assert outcome(strict, data, **hint) in {"read", "document_too_complex", "empty_document"}

    assert time.monotonic() - begun < LONG


def test_a_page_of_200_000_nested_blocks_is_read_or_given_up_in_time(strict):
    begun = time.monotonic()

    # It takes about as long as a document may.
    assert outcome(strict, documents.nested_html()) in {"read", "document_too_complex"}

    assert time.monotonic() - begun < LONG
    assert extract(strict, documents.nested_html(1000)).text == "text"


# A child that dies, lies or hangs: the real one, with a parser that does so in the place of ours


BROKEN = """
    import os, signal, socket, subprocess, sys, time
    from app.documents import child, wire
    from app.documents.formats.base import Answer

    def read(question, type):
        if b"be good" in question.data:
            return Answer("good", "text"), False
        {fault}

    child.read = read
    child.main()
"""


@pytest.fixture
def broken(monkeypatch):
    """Call to get an extractor whose parser does this to every document but a good one."""
    opened = []

    def start(fault: str, program: str = BROKEN, limits: Limits = LIMITS) -> Extractor:
        text = textwrap.dedent(program).replace("{fault}", fault)
        monkeypatch.setattr(extractor, "PROGRAM", ("-c", text))
        opened.append(Extractor(limits))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("os.abort()", "document_too_complex"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "document_too_complex"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "document_too_complex"),
        ("os._exit(0)", "document_too_complex"),
        ("sys.exit(0)", "document_too_complex"),
        ("raise KeyError('a bug')", "document_too_complex"),
        ("raise MemoryError", "document_too_complex"),
        ("def f(): f()\n    f()", "document_too_complex"),
        ("bytearray(600 << 20)", "document_too_complex"),
        ("hold = [bytearray(1 << 20) for _ in range(10_000)]", "document_too_complex"),
        ("while True: pass", "document_too_complex"),
        ("time.sleep(1000)", "timeout"),
        ("signal.signal(signal.SIGXCPU, signal.SIG_IGN)\n    while True: pass",
         "document_too_complex"),
        ("return Answer('x' * 50_000_000, 'text'), False", "document_too_complex"),
        ("return Answer('x', 'a type of its own'), False", "document_too_complex"),
        ("return Answer('x', 'text', pages='many'), False", "document_too_complex"),
        ("return Answer('a\\0b', 'text'), False", "document_too_complex"),
        ("open('/dev/shm/muster-was-here', 'wb').write(b'x')", "document_too_complex"),
        ("os.write(0, b'x' * 1000)\n    os._exit(0)", "document_too_complex"),
    ],
)  # fmt: skip
def test_a_parser_that_breaks_down_costs_its_document_and_no_other(broken, fault, code):
    reader = broken(fault, limits=IMPATIENT if code == "timeout" else LIMITS)
    begun = time.monotonic()

    assert code_of(reader, b"be bad") == code

    assert time.monotonic() - begun < LONG
    assert extract(reader, b"be good").text == "good"
    written = Path("/dev/shm/muster-was-here")
    assert not written.exists() or written.stat().st_size == 0
    written.unlink(missing_ok=True)


def test_no_document_is_read_in_the_process_that_has_read_another(broken):
    reader = broken(
        "n = getattr(child, 'n', 0); child.n = n + 1\n"
        "    return Answer(f'{n} {os.getpid()}', 'text'), False"
    )

    answers = [extract(reader, b"count").text.split() for _ in range(3)]

    assert [count for count, _ in answers] == ["0", "0", "0"]
    assert len({pid for _, pid in answers}) == 3


@pytest.mark.parametrize(
    "program",
    [
        "import sys; sys.exit(3)",
        "raise SystemError",
        "import os; os.write(0, b'\\xff' * 100_000)",
        "import os; os.write(0, b'\\0\\0\\0\\2{]' + bytes(100))",
        "import os, time; os.write(0, b'\\0'); time.sleep(1000)",
        "import os, time; os.write(0, b'\\0\\0\\0\\2{}\\xff\\xff\\xff\\xff'); time.sleep(1000)",
        'import os, time; os.write(0, b\'\\0\\0\\0\\x0c{"code": "x"}\' + bytes(4)); time.sleep(9)',
    ],
)
def test_a_child_that_talks_nonsense_is_killed_and_replaced(broken, monkeypatch, program):
    monkeypatch.setattr(extractor, "_START_SECONDS", 3.0)
    reader = broken("", program, IMPATIENT)

    assert code_of(reader, b"text") == "document_too_complex"

    monkeypatch.undo()
    assert extract(reader, SENTENCE.encode()).text == SENTENCE


def test_a_child_that_stopped_for_ever_is_given_up_and_killed(broken, monkeypatch):
    monkeypatch.setattr(extractor, "_START_SECONDS", 3.0)
    reader = broken("", "import time; time.sleep(1000)", IMPATIENT)

    assert code_of(reader, bytes(5_000_000) + b"more than the socket holds") == (
        "document_too_complex"
    )


def test_a_child_that_was_killed_while_idle_costs_no_document():
    reader = Extractor(LIMITS)
    assert extract(reader, SENTENCE.encode()).text == SENTENCE
    os.kill(pid_of(reader), signal.SIGKILL)
    until(lambda: is_gone(pid_of(reader)), LONG, "it is dead")

    assert extract(reader, SENTENCE.encode()).text == SENTENCE

    reader.close()


def test_closing_leaves_no_process():
    reader = Extractor(LIMITS)
    reader.warm()
    pid = pid_of(reader)

    reader.close()

    assert is_gone(pid)


def test_the_child_ends_when_whoever_asked_was_killed_even_in_the_middle_of_a_document(tmp_path):
    noted = tmp_path / "pid"
    endless = textwrap.dedent(BROKEN).replace("{fault}", "while True: pass")
    program = f"""
        from pathlib import Path
        from app.documents import extractor
        from app.documents.extractor import Extractor, Limits
        from app.documents.model import Content
        extractor.PROGRAM = ("-c", {endless!r})
        reader = Extractor(Limits(5.0, 5.0, 512 << 20, 1000))
        reader.extract(Content(b"be good"), pages=1)
        Path({str(noted)!r}).write_text(str(reader._child._process.pid))
        reader.extract(Content(b"be bad"), pages=1)
    """
    asking = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT)
    until(lambda: noted.exists() and noted.read_text(), LONG, "it reads")
    group = int(noted.read_text())
    until(lambda: len(members(group)) == 2, LONG, "the child has forked")

    asking.kill()
    asking.wait()

    until(lambda: not members(group), LONG, "child and reader are gone")


def test_the_child_is_told_nothing_but_where_the_packages_are(shared, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret@host/db")
    reader = Extractor(LIMITS)
    extract(reader, SENTENCE.encode(), suffix="txt")

    environment = Path(f"/proc/{pid_of(reader)}/environ").read_bytes().split(b"\0")
    command = Path(f"/proc/{pid_of(reader)}/cmdline").read_bytes().split(b"\0")
    reader.close()

    names = {each.partition(b"=")[0] for each in environment if each}
    assert names == {b"PYTHONPATH", b"PYTHONHASHSEED", b"LC_ALL"}
    assert command[1:6] == [b"-P", b"-s", b"-S", b"-m", b"app.documents.child"]


def test_a_forked_process_leaves_its_parents_child_alone():
    reader = Extractor(LIMITS)
    extract(reader, SENTENCE.encode())
    parents = pid_of(reader)

    forked = os.fork()
    if forked == 0:
        # Nothing of pytest's may run here.
        status = 1
        try:
            assert extract(reader, SENTENCE.encode()).text == SENTENCE
            assert pid_of(reader) != parents
            reader.close()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(forked, 0)

    assert status == 0
    assert pid_of(reader) == parents
    assert extract(reader, SENTENCE.encode()).text == SENTENCE
    reader.close()


def pid_of(reader: Extractor) -> int:
    return reader._child._process.pid


def is_gone(pid: int) -> bool:
    """Gone, or a zombie that only waits to be counted."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def members(group: int) -> list[int]:
    """The living processes of a group."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[2]) == group and fields[0] != "Z":
                found.append(int(folder.name))
    return found

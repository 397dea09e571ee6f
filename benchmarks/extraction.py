"""Documents per second through the child process that reads them, by type, on one core.

Each document holds the same 600 words, on three pages where it has pages. Beside it the same PDFs
by pypdf in this very process, which a bomb would take down with it; and by a process that is
started for each, which is as safe as ours. All take turns in one run.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pypdf import PdfReader

from app.documents import extractor
from app.documents.extractor import Extractor, Limits
from app.documents.model import Content, DocumentType, Hint, Text
from app.sample.dice import Dice
from app.settings import Settings
from benchmarks import machine
from benchmarks.figure import Figure, Measure
from tests import documents

Say = Callable[[str], None]

PAGES, LINES, WORDS = 3, 20, 10
RUNS = 5
COUNT = 100
#: Starting a process for each takes its time.
COUNT_STARTED = 5

#: The child as it is, which also tells how large its processes were at most, and what they used.
_TELLING = """
import resource
from app.documents import child, wire
answer = child._answer
def telling(head, data):
    if not head.get("sizes"):
        return answer(head, data)
    own, read = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = own.ru_utime + own.ru_stime + read.ru_utime + read.ru_stime
    return wire.pack({"own": own.ru_maxrss, "read": read.ru_maxrss, "cpu": cpu}, b"")
child._answer = telling
child.main()
"""


def measure(say: Say) -> Figure:
    pages = _pages()
    papers = _papers(pages)
    with _extractor() as ours:
        for type, content in papers.items():
            _check(ours, type, content, pages)
        speeds: dict[DocumentType, list[float]] = {type: [] for type in papers}
        alone: list[float] = []
        started: list[float] = []
        for turn in range(RUNS):
            for type, content in papers.items():
                speeds[type].append(_speed(lambda c=content: _read(ours, c), COUNT))
            data = papers[DocumentType.PDF].data
            alone.append(_speed(lambda d=data: _in_process(d), COUNT))
            started.append(
                _speed(lambda: _in_a_new_process(papers[DocumentType.PDF]), COUNT_STARTED)
            )
            say(f"run {turn + 1}: {speeds[DocumentType.PDF][-1]:.0f} PDFs/s")
        own, read = _sizes(ours)
        cpu = _cpu_of_one(ours, papers[DocumentType.PDF])
    first = statistics.median(_first() for _ in range(3))
    pdf = speeds.pop(DocumentType.PDF)
    return Figure(
        name="extraction",
        headline=Measure.median("PDFs of three pages through the child", pdf, "/s"),
        more=[
            *(
                Measure.median(f"{type} through the child", runs, "/s")
                for type, runs in speeds.items()
            ),
            Measure("a PDF through the child", 1000 / statistics.median(pdf), "ms"),
            Measure("CPU of a PDF: child, reading process and caller", 1000 * cpu[0], "ms"),
            Measure("CPU of a PDF by pypdf in this process", 1000 * cpu[1], "ms"),
            Measure("from nothing to the text of a first PDF", 1000 * first, "ms"),
            Measure("child that waits, at its largest", own, "MB"),
            Measure("process that reads a document, at its largest", read, "MB"),
        ],
        peers=[
            Measure.median("pypdf in this process, without limits", alone, "/s"),
            Measure.median("a process started for each PDF", started, "/s"),
        ],
        conditions=machine.conditions(
            ("pypdf", "trafilatura", "defusedxml"),
            work=f"{COUNT} documents of {PAGES * LINES * WORDS} words a run, one at a time",
            checked="every text is the one that was put in; PDFs equal pypdf in this process",
            memory="resident, with what a process shares with the one it was forked from",
        ),
    )


def _pages() -> list[str]:
    dice = Dice(7)
    words = [
        *("bank", "fraud", "case", "court", "fine", "director", "company", "transfer", "account"),
        *("evidence", "money", "trial", "report", "office", "country", "customer", "week", "law"),
    ]
    return [
        "\n".join(" ".join(dice.pick(words) for _ in range(WORDS)) for _ in range(LINES))
        for _ in range(PAGES)
    ]


def _papers(pages: list[str]) -> dict[DocumentType, Content]:
    lines = "\n".join(pages).split("\n")
    paragraphs = "".join(f"<p>{line}</p>" for line in lines)
    return {
        DocumentType.PDF: Content(documents.pdf(*pages)),
        DocumentType.DOCX: Content(documents.docx(*lines)),
        DocumentType.HTML: Content(
            f"<html><body><article>{paragraphs}</article></body></html>".encode()
        ),
        DocumentType.TEXT: Content("\n".join(lines).encode()),
        DocumentType.CSV: Content(
            "\n".join(line.replace(" ", ",") for line in lines).encode(), Hint("csv")
        ),
    }


def _check(ours: Extractor, type: DocumentType, content: Content, pages: list[str]) -> None:
    found = _read(ours, content)
    assert found.type is type, f"{found.type} is no {type}"
    words = found.text.replace("|", " ").split()
    assert words == " ".join(pages).split(), f"the text of {type} is another"
    if type is DocumentType.PDF:
        assert found.text == _in_process(content.data)


def _read(ours: Extractor, content: Content) -> Text:
    return ours.extract(content, pages=PAGES)


def _in_process(data: bytes) -> str:
    reader = PdfReader(io.BytesIO(data))
    return "\n\n".join(page.extract_text().strip() for page in reader.pages[:PAGES])


def _in_a_new_process(content: Content) -> None:
    with _extractor() as ours:
        _read(ours, content)


def _first() -> float:
    content = Content(documents.pdf("a word"))
    begun = time.perf_counter()
    with _extractor() as ours:
        _read(ours, content)
        return time.perf_counter() - begun


def _speed(act: Callable[[], object], count: int) -> float:
    """Return how often a second this can be done."""
    machine.wait_until_quiet()
    begun = time.perf_counter()
    for _ in range(count):
        act()
    return count / (time.perf_counter() - begun)


@contextmanager
def _extractor() -> Iterator[Extractor]:
    extractor.PROGRAM = ("-c", _TELLING)
    defaults = Settings.build(
        database_url="postgresql://nobody@127.0.0.1:1/none",
        redis_url="redis://127.0.0.1:1/0",
        jwt_secret="of nothing that this process would ever sign",
    )
    opened = Extractor(Limits.of(defaults))
    try:
        yield opened
    finally:
        opened.close()


def _cpu_of_one(ours: Extractor, pdf: Content) -> tuple[float, float]:
    """Return the CPU seconds of one PDF, by us and by pypdf alone: what waiting cannot change."""

    def used() -> float:
        head, _ = ours._ask({"sizes": True}, b"", 10.0)
        return head["cpu"] + time.process_time()

    before = used()
    for _ in range(COUNT):
        _read(ours, pdf)
    between = used()
    begun = time.process_time()
    for _ in range(COUNT):
        _in_process(pdf.data)
    return (between - before) / COUNT, (time.process_time() - begun) / COUNT


def _sizes(ours: Extractor) -> tuple[float, float]:
    """Return what the child, and what the largest process it forked, took at most, in MB."""
    head, _ = ours._ask({"sizes": True}, b"", 10.0)
    return head["own"] / 1000, head["read"] / 1000

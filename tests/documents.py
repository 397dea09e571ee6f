"""Documents made for tests and benchmarks: ordinary ones, and ones made to do harm."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence

from pypdf import PdfReader, PdfWriter

SENTENCE = "The bank was fined for money laundering in Riga."

# PDF

_CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
_FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"


def pdf_of(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """Put numbered objects into a file; the first is the catalog."""
    out = b"%PDF-1.4\n"
    at = []
    for number, each in enumerate(objects, 1):
        at.append(len(out))
        out += b"%d 0 obj\n" % number + each + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in at)
    size = len(objects) + 1
    return (
        out
        + b"xref\n0 %d\n0000000000 65535 f \n" % size
        + table
        + b"trailer<</Size %d/Root 1 0 R%b>>\nstartxref\n%d\n%%%%EOF" % (size, trailer, len(out))
    )


def stream(data: bytes, more: bytes = b"") -> bytes:
    return b"<</Length %d%b>>stream\n" % (len(data), more) + data + b"\nendstream"


def page_of(content: bytes, more: bytes = b"", resources: bytes = b"", *rest: bytes) -> bytes:
    """A PDF of one page with this content stream, and objects 6 and so on."""
    return pdf_of(
        [
            _CATALOG,
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R"
            b"/Resources<</Font<</F1 5 0 R>>%b>>>>" % resources,
            stream(content, more),
            _FONT,
            *rest,
        ]
    )


def pdf(*pages: str) -> bytes:
    """An ordinary PDF with these lines on its pages; none has brackets or backslashes."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(len(pages)))
    objects = [_CATALOG, b"<</Type/Pages/Kids[%b]/Count %d>>" % (kids, len(pages)), _FONT]
    for number, text in enumerate(pages):
        lines = [b"(%b) Tj 0 -14 Td" % line.encode("latin-1") for line in text.split("\n")]
        content = b"BT /F1 12 Tf 50 700 Td " + b" ".join(lines) + b" ET"
        objects += [
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents %d 0 R"
            b"/Resources<</Font<</F1 3 0 R>>>>>>" % (5 + 2 * number),
            stream(content),
        ]
    return pdf_of(objects)


def encrypted_pdf(text: str, *, password: str, algorithm: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(text))))
    writer.encrypt(password, owner_password="only the owner", algorithm=algorithm)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def scanned_pdf(stamp: str = "") -> bytes:
    """One page that is a picture, with these letters on it."""
    picture = stream(
        zlib.compress(bytes(100 * 100)),
        b"/Type/XObject/Subtype/Image/Width 100/Height 100/ColorSpace/DeviceGray"
        b"/BitsPerComponent 8/Filter/FlateDecode",
    )
    content = b"q 612 0 0 792 0 0 cm /Im0 Do Q BT /F1 9 Tf (%b) Tj ET" % stamp.encode()
    return page_of(content, b"", b"/XObject<</Im0 6 0 R>>", picture)


def outlined_pdf(letters: str = "") -> bytes:
    """One page whose letters, but for these, are drawn as lines."""
    return page_of(b"0 0 m 10 10 l 20 0 l f\n" * 200 + b"BT /F1 9 Tf (%b) Tj ET" % letters.encode())


def pdf_with_a_broken_page() -> bytes:
    """The second of three pages says that it is packed, and is not."""
    data = pdf("one", "two", "three")
    broken = b"/Filter/FlateDecode>>stream\nBT /F1 12 Tf 50 700 Td (two)"
    return data.replace(b">>stream\nBT /F1 12 Tf 50 700 Td (two)", broken)


def flate_bomb(megabytes: int = 256, times: int = 1) -> bytes:
    """A page whose content unpacks to so much; packed `times` over."""
    packing = zlib.compressobj(9)
    block = b" " * (1 << 20)
    packed = b"".join(packing.compress(block) for _ in range(megabytes)) + packing.flush()
    for _ in range(times - 1):
        packed = zlib.compress(packed, 9)
    return page_of(packed, b"/Filter[" + b"/FlateDecode" * times + b"]")


def many_operators(count: int = 2_000_000) -> bytes:
    content = zlib.compress(b"BT /F1 12 Tf " + b"(Hello) Tj 0 -1 Td " * count + b"ET")
    return page_of(content, b"/Filter/FlateDecode")


def page_loop() -> bytes:
    return pdf_of([_CATALOG, b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2>>"])


def page_tree_bomb(levels: int = 30) -> bytes:
    """A tree of pages in which every node names the next one ten times."""
    nodes = [
        b"<</Type/Pages/Kids[" + b"%d 0 R " % (3 + level) * 10 + b"]/Count 10>>"
        for level in range(levels)
    ]
    return pdf_of([_CATALOG, *nodes, b"<</Type/Page/MediaBox[0 0 9 9]>>"])


def form_bomb(levels: int = 12) -> bytes:
    """A page whose pictures draw the next one ten times each."""
    forms = [
        stream(
            b"/F Do " * 10,
            b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</F %d 0 R>>>>"
            % (7 + level),
        )
        for level in range(levels)
    ]
    last = stream(
        b"BT /F1 9 Tf (deep) Tj ET",
        b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</Font<</F1 5 0 R>>>>",
    )
    return page_of(b"/F Do " * 10, b"", b"/XObject<</F 6 0 R>>", *forms, last)


def nested_arrays(depth: int = 200_000) -> bytes:
    return page_of(b"[" * depth + b"]" * depth + b" TJ")


def nested_objects(depth: int = 200_000) -> bytes:
    return pdf_of([b"<</Type/Catalog/Pages 2 0 R/X " + b"[" * depth + b"]" * depth + b">>"])


def object_stream_bomb() -> bytes:
    """Objects said to be in a stream that unpacks to far too much."""
    packed = zlib.compress(b"1 0 " * 30_000_000, 9)
    return _with_xref_stream(
        stream(packed, b"/Type/ObjStm/N 30000000/First 120000000/Filter/FlateDecode"), 40
    )


def xref_bomb() -> bytes:
    """A table of objects that says it has thousands of millions."""
    return _with_xref_stream(stream(b""), 2_000_000_000)


def _with_xref_stream(first: bytes, size: int) -> bytes:
    out = b"%PDF-1.5\n1 0 obj\n" + first + b"\nendobj\n"
    entries = zlib.compress(b"".join(struct.pack(">BIH", 2, 1, n) for n in range(40)), 9)
    table = stream(
        entries,
        b"/Type/XRef/Size %d/Index[2 %d]/W[1 4 2]/Root 3 0 R/Filter/FlateDecode" % (size, size),
    )
    at = len(out)
    return out + b"2 0 obj\n" + table + b"\nendobj\nstartxref\n%d\n%%%%EOF" % at


# DOCX

_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_HEAD = b'<?xml version="1.0" encoding="UTF-8"?>'
_OPEN = b'<w:document xmlns:w="%b"><w:body>' % _WORD.encode()
_CLOSE = b"</w:body></w:document>"


def docx(*paragraphs: str, **parts: bytes) -> bytes:
    """An ordinary DOCX; `parts` are further ones, by the stem of their name under word/."""
    body = b"".join(paragraph(text) for text in paragraphs)
    return docx_of([_HEAD + _OPEN + body + _CLOSE], parts)


def paragraph(text: str) -> bytes:
    return b"<w:p><w:r><w:t>" + text.encode() + b"</w:t></w:r></w:p>"


def notes(text: str) -> bytes:
    return (
        _HEAD
        + b'<w:footnotes xmlns:w="%b">' % _WORD.encode()
        + paragraph(text)
        + (b"</w:footnotes>")
    )


def docx_body(inner: bytes, before: bytes = b"") -> bytes:
    return docx_of([_HEAD + before + _OPEN + inner + _CLOSE])


def docx_of(body: Iterable[bytes], parts: dict[str, bytes] | None = None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("[Content_Types].xml", b"<Types/>")
        with archive.open("word/document.xml", "w", force_zip64=True) as file:
            for block in body:
                file.write(block)
        for stem, data in (parts or {}).items():
            archive.writestr(f"word/{stem}.xml", data)
    return out.getvalue()


def docx_bomb(megabytes: int) -> bytes:
    block = paragraph(" " * 1000) * 1000
    blocks = megabytes * (1 << 20) // len(block) + 1
    return docx_of([_HEAD + _OPEN, *[block] * blocks, _CLOSE])


def lying_docx(megabytes: int) -> bytes:
    """A DOCX bomb that says it is small."""
    data = bytearray(docx_bomb(megabytes))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = archive.getinfo("word/document.xml").file_size
    return bytes(data).replace(struct.pack("<I", size), struct.pack("<I", 1000))


def laughing_docx() -> bytes:
    entities = b'<!ENTITY a "ha">' + b"".join(
        b'<!ENTITY %c "%b">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(10)
    )
    return docx_body(b"<w:p><w:r><w:t>&k;</w:t></w:r></w:p>", b"<!DOCTYPE x [" + entities + b"]>")


def reaching_docx() -> bytes:
    """A DOCX that asks for a file of the machine that reads it."""
    return docx_body(
        b"<w:p><w:r><w:t>&x;</w:t></w:r></w:p>",
        b'<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    )


def nested_docx(depth: int = 100_000) -> bytes:
    return docx_body(b"<w:p>" * depth + b"</w:p>" * depth)


def archive_of(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def office_container(inner: str) -> bytes:
    """The beginning of a file of old Office that holds a stream of this name."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000) + inner.encode("utf-16-le")


# HTML


def html(text: str) -> bytes:
    return f"<!doctype html><html><body><p>{text}</p></body></html>".encode()


def nested_html(depth: int = 200_000) -> bytes:
    return b"<html><body>" + b"<div>" * depth + b"<p>text</p>"

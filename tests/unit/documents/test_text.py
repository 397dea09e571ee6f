"""Bytes into characters, and characters into what can be stored."""

from __future__ import annotations

import codecs
import json

import pytest

from app.documents.clean import clean
from app.documents.formats.base import Question
from app.documents.formats.charset import decode
from app.documents.formats.html import strip
from app.documents.formats.plain import read
from app.documents.model import DocumentType, Hint

GERMAN = "Geldwäsche für 5 € – „groß“ und klein, in Zürich und Łódź."
RUSSIAN = "Банк был оштрафован за отмывание денег, сообщила прокуратура в среду."
GREEK = "Η τράπεζα τιμωρήθηκε με πρόστιμο για ξέπλυμα χρήματος στην Αθήνα."
JAPANESE = "銀行はマネーロンダリングで罰金を科されたと検察が水曜日に発表した。"


@pytest.mark.parametrize("text", [GERMAN, RUSSIAN, GREEK, JAPANESE])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_known_by_itself_or_by_its_mark(text, encoding):
    assert decode(text.encode(encoding)) == text


def test_big_endian_is_known_by_its_mark():
    assert decode(codecs.BOM_UTF16_BE + RUSSIAN.encode("utf-16-be")) == RUSSIAN
    assert decode(codecs.BOM_UTF32_BE + RUSSIAN.encode("utf-32-be")) == RUSSIAN


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_known_by_its_zeros(encoding):
    assert decode(GERMAN.encode(encoding)) == GERMAN


def test_what_is_no_utf8_is_read_as_told():
    assert decode(RUSSIAN.encode("koi8-r"), "koi8-r") == RUSSIAN
    page = f'<html><head><meta charset="iso-8859-7"></head>{GREEK}'
    assert decode(page.encode("iso-8859-7"), markup=True) == page
    old = f'<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">{RUSSIAN}'
    assert decode(old.encode("cp1251"), markup=True) == old


def test_utf8_is_believed_against_what_is_told():
    assert decode(RUSSIAN.encode(), "latin-1") == RUSSIAN


def test_what_nobody_told_is_guessed():
    western = GERMAN.replace("Łódź", "Lodz")

    assert decode(western.encode("cp1252")) == western
    assert decode((RUSSIAN * 5).encode("cp1251")) == RUSSIAN * 5
    assert decode((GREEK * 5).encode("cp1253")) == GREEK * 5


@pytest.mark.parametrize("declared", ["no-such", "zlib", "rot13", "undefined", "idna", "\0", "hex"])
def test_what_is_told_may_be_nonsense(declared):
    assert decode("Zürich".encode("cp1252"), declared) == "Zürich"


@pytest.mark.parametrize(
    "declared",
    [
        *("unicode-escape", "unicode_escape", "Unicode_Escape", "raw-unicode-escape"),
        *("raw_unicode_escape", "punycode", "idna", "base64", "rot13", "quopri"),
    ],
)
def test_what_python_unpacks_is_no_charset_however_it_is_spelt(declared):
    text = r"Zürich \u0041\x42-tda =41"

    assert decode(text.encode("cp1252"), declared) == text


def test_a_character_that_was_cut_costs_itself_and_not_the_text():
    assert decode(RUSSIAN.encode()[:-2]).startswith(RUSSIAN[:-2])


def test_every_character_can_be_stored_and_sent():
    nasty = "a\0b\x07c\ud800d\ufeffe\r\nf\rg\x0ch\u2028i\tj\x85k"

    text = clean(nasty)

    assert text == "abcde\nf\ng\nh\ni\tj\nk"
    assert json.loads(json.dumps(text).encode()) == text
    assert clean(RUSSIAN + JAPANESE + "👩‍👧 ﷺ") == RUSSIAN + JAPANESE + "👩‍👧 ﷺ"


def plain(text: str, **hint: str):
    answer = read(Question(text.encode(), Hint(**hint), 3, 10_000))
    return answer.type, answer.text


def test_a_table_is_known_by_its_rows_or_by_its_name():
    rows = "name;crime;year\nJane;fraud;2020\nJohn;theft;2021"

    assert plain(rows)[0] is DocumentType.CSV
    assert plain("a\tb\tc\nd\te\tf\ng\th\ti") == (
        DocumentType.CSV,
        "a | b | c\nd | e | f\ng | h | i",
    )
    assert plain("name,crime\nJane,fraud", suffix="csv") == (
        DocumentType.CSV,
        "name | crime\nJane | fraud",
    )
    assert plain("name,crime\nJane,fraud", media_type="text/csv")[0] is DocumentType.CSV
    assert plain("name,crime\nJane,fraud")[0] is DocumentType.TEXT


def test_prose_with_commas_is_no_table():
    prose = "Yesterday, in Riga, a bank was fined.\nIt had, it says, no choice.\nNobody was there."

    assert plain(prose) == (DocumentType.TEXT, prose)


def test_a_quoted_cell_may_hold_delimiters_and_lines():
    assert plain('a,"b, c",d\ne,"f\ng",h\ni,j,k')[1] == "a | b, c | d\ne | f g | h\ni | j | k"


def test_a_page_becomes_its_text_with_a_line_for_each_block():
    page = """<html><head><title>Title</title><style>p { color: red }</style></head><body>
        <!-- no --><h1>Bank&nbsp;fined</h1><p>One <b>bold</b>word,
        two.<br>Three &amp; four &lt;5</p><ul><li>six<li>seven</ul><script>var no = "<p>";</script>
        <svg><text>no</text></svg><template><p>no</p></template>
        <table><tr><td>eight</td><td>nine</td></tr></table></body></html>"""

    assert strip(page, 10_000).split("\n") == [
        *("Title", "Bank fined", "One boldword, two.", "Three & four <5", "six", "seven"),
        *("eight", "nine"),
    ]

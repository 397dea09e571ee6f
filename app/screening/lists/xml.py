"""Reading lists that are XML, one entry at a time, from files we have no reason to trust."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError  # types; defusedxml parses

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from app.screening.lists.reading import clean, rejected

#: The first bytes of a file, in which every list says when it was published.
_HEAD = 4096


def records(path: Path, *, root: str, tags: Container[str], of: str) -> Iterator[Element]:
    """Yield the elements called one of `tags`, whole, and forget each before the next.

    Namespaces are taken off: publishers change them, and no list uses two. `of` names the list
    in the error that a file with another root gets.
    """
    above: list[Element] = []
    try:
        with path.open("rb") as file:
            for event, element in iterparse(file, events=("start", "end"), forbid_dtd=True):
                if event == "start":
                    element.tag = element.tag.rpartition("}")[2]
                    if not above and element.tag != root:
                        raise rejected(path, 1, f"{of} begins with {root}; this does not.")
                    above.append(element)
                    continue
                above.pop()
                if element.tag in tags:
                    yield element
                    # What has been read must not pile up below its parent.
                    above[-1].clear()
    except ParseError as error:
        problem = "this is not well-formed XML. Fetch the file again, or ask its publisher."
        raise rejected(path, error.position[0], problem) from error
    except (LookupError, ValueError) as error:
        if isinstance(error, DefusedXmlException):
            problem = "the XML declares entities or a document type, which no list needs."
        else:
            problem = "the XML is in an encoding that cannot be read. Ask for it in UTF-8."
        raise rejected(path, None, problem) from error


def text(element: Element, path: str) -> str:
    """Return the text of the element at `path` below, cleaned; empty if there is none."""
    return clean(element.findtext(path) or "")


def texts(element: Element, path: str) -> list[str]:
    return [clean(found.text or "") for found in element.iterfind(path)]


def in_head(path: Path, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
    """Look for the pattern where a file says what it is."""
    with path.open("rb") as file:
        return pattern.search(file.read(_HEAD))

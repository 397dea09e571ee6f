"""Birth dates as lists write them -> YYYY, YYYY-MM or YYYY-MM-DD.

"circa 1965" is 1965, "1965 to 1968" is each of the four years, "22 Aug 1978" is 1978-08-22.
What cannot be read is left out: a date we misread would speak against the right person.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

#: A longer range says nothing that could tell two people apart.
LONGEST_RANGE = 15

_MONTHS = {
    month: number
    for number, month in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_YEAR = r"(1[89]\d\d|20\d\d)"
_ISO = re.compile(rf"^{_YEAR}(?:-(\d\d?)(?:-(\d\d?))?)?(?:T.*)?$")
_WORDS = re.compile(rf"^(?:(\d\d?)\s+)?([a-z]{{3}})[a-z]*\.?,?\s+{_YEAR}$", re.IGNORECASE)
_DOTS = re.compile(rf"^(\d\d?)\.(\d\d?)\.{_YEAR}$")
_RANGE = re.compile(rf"^.*?{_YEAR}\s*(?:to|-|–|and)\s*.*?{_YEAR}$", re.IGNORECASE)
_ABOUT = re.compile(
    r"^(?:circa|ca?\.|approximately|approx\.?|about|between|born)[\s-]+", re.IGNORECASE
)


def parse_dates(text: str) -> tuple[str, ...]:
    """Return the dates that the text gives, or those it may mean; none if it cannot be read."""
    words = text.strip().rstrip(".")
    while (shorter := _ABOUT.sub("", words)) != words:
        words = shorter
    if found := _ISO.match(words):
        return _dated(found[1], found[2], found[3])
    if found := _DOTS.match(words):
        return _dated(found[3], found[2], found[1])
    if found := _WORDS.match(words):
        month = _MONTHS.get(found[2].lower())
        return _dated(found[3], str(month), found[1]) if month else ()
    if found := _RANGE.match(words):
        first, last = int(found[1]), int(found[2])
        if 0 <= last - first <= LONGEST_RANGE:
            return tuple(str(year) for year in range(first, last + 1))
    return ()


def _dated(year: str, month: str | None, day: str | None) -> tuple[str, ...]:
    try:
        checked = date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        # 30 February is somebody's guess; the year is what it tells.
        return (year,)
    if not month:
        return (year,)
    return (checked.isoformat() if day else checked.isoformat()[:7],)


def parse_moment(text: str) -> datetime | None:
    """Return a publication time that a file gives, or None if it gives none we can read."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)

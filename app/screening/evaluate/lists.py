"""Labelled queries against whole lists: is the entry found, and how many others with it?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.screening.evaluate.labelled import LabelledQuery
from app.screening.evaluate.measure import Asked
from app.screening.index import Index, Without
from app.screening.match import Match

#: Screened in one call.
_TOGETHER = 250

#: Called with how many of the queries have been screened.
Progress = Callable[[int], None]


def screen_lists(
    queries: Sequence[LabelledQuery],
    indexes: Sequence[Index],
    lowest: float,
    *,
    leave_alias_out: bool = False,
    progress: Progress | None = None,
) -> list[Asked]:
    """Return what each query scored against every entry, as far as that reaches `lowest`.

    `leave_alias_out` takes the name asked about off the entry that is expected: what remains to
    be found it by are its other names. An expected entry that is not found scores 0.
    """
    asked: list[Asked] = []
    for start in range(0, len(queries), _TOGETHER):
        some = queries[start : start + _TOGETHER]
        subjects = [query.subject for query in some]
        without = [_without(query) if leave_alias_out else None for query in some]
        found: list[list[Match]] = [[] for _ in some]
        for index in indexes:
            for matches, more in zip(
                found, index.screen(subjects, lowest, without=without), strict=True
            ):
                matches += more
        asked += [_asked(query, matches) for query, matches in zip(some, found, strict=True)]
        if progress:
            progress(len(asked))
    return asked


def _without(query: LabelledQuery) -> Without | None:
    if query.expect is None or not query.subject.name:
        return None
    return Without(query.expect, query.subject.name)


def _asked(query: LabelledQuery, matches: Sequence[Match]) -> Asked:
    right = None if query.expect is None else 0.0
    wrong = []
    for match in matches:
        if match.entry.id == query.expect:
            right = max(match.score, right or 0.0)
        else:
            wrong.append(match.score)
    return Asked(right, tuple(wrong), query.group)

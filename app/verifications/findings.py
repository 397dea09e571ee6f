"""What came of one subject: hits, and of every source whether it answered.

    {"totalHits": 1, "hasMatches": true, "isComplete": false,
     "matchedSources": [{"source", "sourceName", "category", "hits", "records": [...]}],
     "sourcesChecked": [{"source", "sourceName", "category", "version", "records", "status",
                         "provider", "attempts", "durationMs", "error": {"code", "message"}}]}

The words are those of dialect B: an item's result is stored as it is shown, and copied into the
screening that an auditor reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

OK = "ok"
ERROR = "error"

#: The category of what says nothing of itself.
OTHER = "other"

#: Codes of sources that may answer when they are asked again, the rest of providers/remote.py's.
PASSING = frozenset({"timeout", "unavailable", "rate_limited", "circuit_open"})

#: Hits of one source that are kept, best first; their number is exact all the same.
SHOWN = 100

#: What dialect B calls the topics of lists (app/screening/topics.py).
CATEGORIES: Mapping[str, str] = {
    "sanction": "sanctions",
    "pep": "pep",
    "rca": "pep",
    "crime": "criminal",
    "wanted": "criminal",
}


def category_of(topics: Sequence[str]) -> str:
    """Return the gravest category of the topics; the order of CATEGORIES says which is graver."""
    known = [CATEGORIES.get(topic, topic) for topic in topics]
    ranked = [*dict.fromkeys(CATEGORIES.values())]
    known.sort(key=lambda each: ranked.index(each) if each in ranked else len(ranked))
    return known[0] if known else OTHER


@dataclass(frozen=True, slots=True)
class Checked:
    """One source, asked about one subject."""

    source: str
    source_name: str
    category: str
    provider: str
    version: str | None = None
    #: How many entries the source holds, where it says so.
    records: int | None = None
    error_code: str | None = None
    error_message: str | None = None
    attempts: int = 1
    duration_ms: int | None = None
    #: Hits that a reviewer has ruled out, and which therefore do not count.
    suppressed: Sequence[Hit] = ()
    #: Of the built-in engine: by which its scores were made.
    engine_version: str | None = None
    #: What whoever reads the result should know of the source: [{"code", "message"}].
    warnings: Sequence[Mapping[str, str]] = ()
    #: There may be more hits than it gave.
    is_cut_short: bool = False
    #: Of one that failed: the seconds for which it wants, or has, to be left alone. Not shown.
    retry_after: float = 0.0

    @property
    def is_ok(self) -> bool:
        return self.error_code is None

    @property
    def is_complete(self) -> bool:
        """It answered, with all that it has."""
        return self.is_ok and not self.is_cut_short

    def to_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "source": self.source,
            "sourceName": self.source_name,
            "category": self.category,
            "version": self.version,
            "records": self.records,
            "status": OK if self.is_ok else ERROR,
            "provider": self.provider,
            "attempts": self.attempts,
        }
        if self.duration_ms is not None:
            shown["durationMs"] = self.duration_ms
        if self.engine_version is not None:
            shown["engineVersion"] = self.engine_version
        if self.warnings:
            shown["warnings"] = [dict(each) for each in self.warnings]
        if self.suppressed:
            shown["suppressedHits"] = len(self.suppressed)
            shown["suppressedRecords"] = [
                {**hit.to_json(), "category": hit.category} for hit in self.suppressed
            ]
        if self.is_cut_short:
            shown["isCutShort"] = True
        if not self.is_ok:
            shown["error"] = {"code": self.error_code, "message": self.error_message}
        return shown


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry of a source that may be the subject. `score` is in [0, 1]."""

    source: str
    category: str
    id: str
    name: str = field(repr=False)
    score: float
    #: What else is known, in the words of dialect B: aliases, dateOfBirth, matchedOn, ...
    more: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name, "score": round(self.score, 4), **self.more}


@dataclass(frozen=True, slots=True)
class Answer:
    """What one provider says of a subject. `counts` tells hits beyond those that are here."""

    checked: Sequence[Checked]
    hits: Sequence[Hit] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Read:
    """What the answer of another server says."""

    hits: Sequence[Hit]
    version: str | None = None
    #: It holds as many hits as it may: there may be more.
    is_full: bool = False


class Provider(Protocol):
    """Somebody who may be asked about a subject."""

    @property
    def name(self) -> str: ...

    def check(self, subject: Mapping[str, Any], seconds: float) -> Answer:
        """Return what is found of a subject, which is as in an item of kind `kyc`.

        Takes about so many seconds at the most, and raises nothing: a source that does not answer
        is a source that was checked, with an error.
        """
        ...


def put_together(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return the findings as they are stored and shown."""
    checked = [each for answer in answers for each in answer.checked]
    names = {source.source: source.source_name for source in checked}
    categories = {source.source: source.category for source in checked}
    grouped: dict[tuple[str, str], list[Hit]] = {}
    for answer in answers:
        for hit in answer.hits:
            grouped.setdefault((hit.source, hit.category), []).append(hit)
    shown = {key: sorted(hits, key=lambda hit: -hit.score) for key, hits in grouped.items()}
    beyond = _beyond(answers)
    matched: list[dict[str, Any]] = []
    for (source, category), hits in shown.items():
        # What is not here is counted with the first group of its source.
        more = beyond.pop(source, 0)
        matched.append(
            {
                "source": source,
                "sourceName": names.get(source, source),
                "category": category,
                "hits": len(hits) + more,
                "records": [hit.to_json() for hit in hits[:SHOWN]],
            }
        )
    for source, more in beyond.items():
        # Hits of which not one is here are hits all the same.
        matched.append(
            {
                "source": source,
                "sourceName": names.get(source, source),
                "category": categories.get(source, OTHER),
                "hits": more,
                "records": [],
            }
        )
    total = sum(each["hits"] for each in matched)
    return {
        "totalHits": total,
        "hasMatches": total > 0,
        "isComplete": bool(checked) and all(source.is_complete for source in checked),
        "matchedSources": matched,
        "sourcesChecked": [each.to_json() for each in checked],
    }


def _beyond(answers: Sequence[Answer]) -> dict[str, int]:
    """Return, by source, how many hits there are beside those that are here."""
    beyond: dict[str, int] = {}
    for answer in answers:
        here = Counter(hit.source for hit in answer.hits)
        for source, count in answer.counts.items():
            if count > here[source]:
                beyond[source] = count - here[source]
    return beyond


def has_answer(findings: Mapping[str, Any]) -> bool:
    """At least one source answered."""
    return OK in {each["status"] for each in findings["sourcesChecked"]}


def nobody(options: Mapping[str, Any], code: str, message: str) -> dict[str, Any]:
    """Return the findings of a subject on whom the work itself failed: no source was asked.

    `options` are the job's: `lists` and `providers` as they were at the dispatch.
    """
    checked = [
        Checked(
            name,
            each.get("title", name),
            category_of(each["topics"]),
            "muster",
            each["version"],
            each.get("records"),
            error_code=code,
            error_message=message,
        )
        for name, each in options["lists"].items()
    ]
    checked += [
        Checked(
            *(each["name"], each["title"], each["category"], each["kind"]),
            error_code=code,
            error_message=message,
        )
        for each in options.get("providers", ())
    ]
    return put_together([Answer(checked)])

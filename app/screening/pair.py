"""A subject against one entry: the definition of a match, which the index finds faster."""

from __future__ import annotations

from collections.abc import Iterable

from app.screening.features import WEAK_ALIAS, plain_identifiers
from app.screening.match import BestName, Match, make_match, most_alike, spelt_alike
from app.screening.model import EntityType, Entry, Subject
from app.screening.names import PreparedName, prepare
from app.screening.scorer import score
from app.screening.shelf import names_of


def compare_entry(subject: Subject, entry: Entry) -> Match | None:
    """Return the match of the two at whatever score, or None where nothing could be compared."""
    same = not plain_identifiers(subject).isdisjoint(plain_identifiers(entry))
    best = _best_name(subject, entry)
    if best is None and not same:
        return None
    return make_match(subject, entry, best, has_identifier=same)


def _best_name(subject: Subject, entry: Entry) -> BestName | None:
    if not subject.name or subject.entity_type not in (None, entry.entity_type):
        return None
    query = prepare(subject.name, entry.entity_type)
    return best_of(query, prepared_names(entry), entry.entity_type)


#: A name of an entry as published, prepared, and whether it is a weak alias.
Listed = tuple[str, PreparedName, bool]


def prepared_names(entry: Entry) -> list[Listed]:
    return [(text, prepare(text, entry.entity_type), is_weak) for text, is_weak in names_of(entry)]


def best_of(query: PreparedName, names: Iterable[Listed], kind: EntityType) -> BestName | None:
    """Return the name that is most like the query."""
    return most_alike(
        BestName(
            score(query, listed, kind) * (WEAK_ALIAS if is_weak else 1.0),
            text,
            is_weak,
            kind,
            query,
            listed.tokens,
            listed.legal_forms,
            spelt_alike(query.tokens, listed.tokens),
        )
        for text, listed, is_weak in names
    )

"""KYC screening: is this person, company or vessel on a watchlist?

An item's payload is one entity as the client sent it: {"subject": {...}, "lists": [...],
"search_type": "..."}, or {"invalid": "why"} for one that was let through as wrong.
The job's options hold the threshold and, under `lists`, the list versions that were current when
it was submitted: {"ofac": {"id": 12, "version": "2026-07-11"}}.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from app.errors import JobError
from app.jobs.dispatch import INTERACTIVE, SCREENING
from app.jobs.model import Item, Job, NewItem, NewJob, Result
from app.kinds.base import Kind, Process
from app.resources import Resources
from app.screening import store as watchlists
from app.screening.lists.catalogue import CATALOGUE
from app.screening.model import ENGINE_VERSION, EntityType, Identifier, ListVersion, Match, Subject

if TYPE_CHECKING:
    from app.screening.index import Index

NAME = "kyc"
DEFAULT_THRESHOLD = 0.85
DEFAULT_SEARCH = "composite"

#: Matches shown for one entity, best first; the count is exact all the same.
SHOWN_MATCHES = 100

#: Entities screened in one call. Words that no entity before had are looked up together, so a
#: small batch costs more for each; this many take about a third of a second.
_BATCH = 250

LIST_UNAVAILABLE = "list_unavailable"
NO_LISTS_LOADED = "no_lists_loaded"
INVALID_ENTITY = "invalid_entity"

_ENTITY_TYPES = {
    "individual": EntityType.PERSON,
    "company": EntityType.ORGANISATION,
    "organization": EntityType.ORGANISATION,
    "vessel": EntityType.VESSEL,
    "aircraft": EntityType.AIRCRAFT,
}
_TYPE_WORDS = {
    EntityType.PERSON: "individual",
    EntityType.ORGANISATION: "organization",
    EntityType.VESSEL: "vessel",
    EntityType.AIRCRAFT: "aircraft",
}
#: Fields of a subject that identify it, and what the identifier is called.
_IDENTIFYING = {
    "document_id": "document",
    "wallet_address": "wallet",
    "imo_number": "imo",
    "call_sign": "call_sign",
}


def known_lists(resources: Resources) -> frozenset[str]:
    """Return the names a client may ask for: those of the catalogue, and whatever is loaded."""
    loaded = (version.name for version in loaded_lists(resources))
    return frozenset(known.name for known in CATALOGUE) | frozenset(loaded)


def loaded_lists(resources: Resources) -> list[ListVersion]:
    """Return the current version of every loaded list, by name."""
    with resources.db.transaction() as tx:
        versions = watchlists.current_versions(tx)
    return [versions[name] for name in sorted(versions)]


def plan(
    resources: Resources,
    *,
    tenant_id: UUID,
    created_by: str,
    items: Sequence[NewItem],
    threshold: float = DEFAULT_THRESHOLD,
    labels: Mapping[str, str] | None = None,
    interactive: bool = False,
) -> NewJob:
    """Return a screening job against the list versions that are current now."""
    versions = loaded_lists(resources)
    return NewJob(
        tenant_id=tenant_id,
        kind=NAME,
        dialect=NAME,
        queue=INTERACTIVE if interactive else SCREENING,
        chunk_size=resources.settings.chunk_size,
        options={
            "threshold": threshold,
            "lists": {v.name: {"id": v.id, "version": v.version} for v in versions},
        },
        items=items,
        created_by=created_by,
        labels=labels or {},
        # Measured in one process.
        calibrated_seconds=sum(v.seconds_per_entity for v in versions)
        / resources.settings.worker_processes,
    )


def prepare(resources: Resources, job: Job) -> Process:
    # Here and not above: the web plans jobs with this module and never loads an index.
    from app.screening.resident import open_index

    lists: Mapping[str, Mapping[str, Any]] = job.options["lists"]
    if not lists:
        raise JobError(NO_LISTS_LOADED, "No watchlist data is loaded on this server.")
    threshold = float(job.options["threshold"])
    opened: dict[str, Index] = {}

    def index(name: str) -> Index:
        if name not in opened:
            version_id = int(lists[name]["id"])
            opened[name] = open_index(resources.db, resources.settings.index_dir, version_id)
        return opened[name]

    # Opened before the chunk is claimed: building one may take longer than a claim lasts.
    for name in lists:
        index(name)

    def process(items: Sequence[Item]) -> Sequence[Result]:
        results: list[Result] = []
        together: dict[tuple[tuple[str, ...], str], list[Item]] = defaultdict(list)
        for item in items:
            # Once each: a list named twice must not count its matches twice.
            wanted = tuple(dict.fromkeys(item.payload.get("lists") or lists))
            missing = [name for name in wanted if name not in lists]
            if "invalid" in item.payload:
                results.append(Result.failure(item, INVALID_ENTITY, item.payload["invalid"]))
            elif missing:
                names = ", ".join(missing)
                message = f"List {names} is not loaded."
                results.append(Result.failure(item, LIST_UNAVAILABLE, message))
            else:
                search = item.payload.get("search_type", DEFAULT_SEARCH)
                together[wanted, search].append(item)
        for (wanted, search), group in together.items():
            subjects = [_subject(item.payload["subject"]) for item in group]
            found: list[list[tuple[str, Match]]] = [[] for _ in group]
            for name in wanted:
                for matches, more in zip(
                    found, index(name).screen(subjects, threshold, search), strict=True
                ):
                    matches += [(name, match) for match in more]
            versions = {name: lists[name]["version"] for name in wanted}
            results += [
                _result(item, matches, versions) for item, matches in zip(group, found, strict=True)
            ]
        return results

    return process


def _result(item: Item, matches: list[tuple[str, Match]], versions: Mapping[str, str]) -> Result:
    # Each list comes ranked, its equals by how closely they are spelt: a stable sort keeps that.
    matches.sort(key=lambda found: -found[1].score)
    detail: dict[str, Any] = {
        "is_match": bool(matches),
        "match_count": len(matches),
        "matches": [_shown(name, versions[name], m) for name, m in matches[:SHOWN_MATCHES]],
        "list_versions": versions,
        "engine_version": ENGINE_VERSION,
    }
    if len(matches) > SHOWN_MATCHES:
        # What is not shown cannot be counted by whoever asks list by list.
        counts = Counter(name for name, _ in matches)
        detail["match_counts"] = {name: counts[name] for name in versions}
    return Result.success(item, detail, matches=len(matches))


def _shown(name: str, version: str, match: Match) -> dict[str, Any]:
    """A match as it is stored and shown: enough for an auditor to see why, years later."""
    entry = match.entry
    return {
        "list_name": name,
        "list_version": version,
        "confidence_score": round(match.score, 4),
        "match_type": match.match_type,
        "matched_name": match.matched_name,
        "matched_fields": list(match.matched_fields),
        "explanations": {name: round(value, 4) for name, value in match.explanations.items()},
        "matched_words": [
            {
                "query": pair.query,
                "listed": pair.listed,
                "how": pair.how,
                "similarity": round(pair.similarity, 4),
            }
            for pair in match.tokens
        ],
        "match_data": {
            "id": entry.id,
            "name": entry.name,
            "aliases": list(entry.aliases + entry.weak_aliases),
            "entity_type": _TYPE_WORDS[entry.entity_type],
            "nationality": entry.countries[0] if entry.countries else None,
            "birth_date": entry.birth_dates[0] if entry.birth_dates else None,
            "identifiers": [{"type": i.type, "value": i.value} for i in entry.identifiers],
            "programs": list(entry.programs),
            "source_url": entry.source_url,
        },
    }


def _subject(fields: Mapping[str, Any]) -> Subject:
    identifiers = [Identifier(i["type"], i["value"]) for i in fields.get("identifiers", ())]
    for field, label in _IDENTIFYING.items():
        if fields.get(field):
            if field == "document_id":
                label = fields.get("document_type") or label
            identifiers.append(Identifier(label, fields[field]))
    nationality = fields.get("nationality")
    return Subject(
        name=fields.get("full_name"),
        entity_type=_ENTITY_TYPES.get(fields.get("entity_type", "")),
        birth_date=fields.get("birth_date"),
        countries=(nationality.upper(),) if nationality else (),
        identifiers=tuple(identifiers),
    )


def warm(resources: Resources) -> None:
    """Open the current lists, building the index of those that have none on this machine."""
    from app.screening.resident import open_index

    for version in loaded_lists(resources):
        open_index(resources.db, resources.settings.index_dir, version.id)


KIND = Kind(
    name=NAME,
    prepare=prepare,
    queues=frozenset({SCREENING, INTERACTIVE}),
    batch_size=_BATCH,
    warm=warm,
)

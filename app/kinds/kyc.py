"""KYC screening: is this person, company or vessel on a watchlist?

An item's payload is one entity as the client sent it: {"subject": {...}, "lists": [...],
"search_type": "..."}, or {"invalid": "why"} for one that was let through as wrong.
The job's options hold the threshold and, under `lists`, the list versions that were current when
it was submitted: {"ofac": {"id": 12, "version": "2026-07-11", "topics": [...], "covers": [...]}}.
Under `wanted` stands what the request says for every entity: {"lists", "search_type", "topics"};
under `warnings`, what whoever reads the results should know.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from app.errors import IndexNotReady, JobError
from app.jobs.dispatch import INTERACTIVE, SCREENING
from app.jobs.model import Item, Job, NewItem, NewJob, Result
from app.kinds import kyc_explained
from app.kinds.base import Kind, Process, Renewal
from app.resources import Resources
from app.screening import citing
from app.screening import store as watchlists
from app.screening.exclusions import store as exclusions
from app.screening.exclusions.model import FALSE_POSITIVE, Exclusion, Key
from app.screening.freshness import Freshness
from app.screening.lists.catalogue import CATALOGUE
from app.screening.model import ENGINE_VERSION, EntityType, Identifier, ListVersion, Subject

if TYPE_CHECKING:
    from app.screening.index import Index
    from app.screening.match import Match

    #: An entity, what it matches on which list, and the version of every list that was searched.
    _Screened = tuple[Item, list[tuple[str, Match]], Mapping[str, str]]
    #: A match of a list, and what a reviewer's decision adds to it.
    _Judged = tuple[str, Match, Mapping[str, Any]]

log = logging.getLogger(__name__)

NAME = "kyc"
DEFAULT_THRESHOLD = 0.85
DEFAULT_SEARCH = "composite"

#: Matches shown for one entity, best first; the count is exact all the same (_kept).
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


def known_lists(resources: Resources, tenant_id: UUID) -> frozenset[str]:
    """Return the names a tenant may ask for: those of the catalogue, and whatever is loaded."""
    with resources.db.transaction() as tx:
        loaded = watchlists.current_versions(tx, tenant_id)
    return frozenset(known.name for known in CATALOGUE) | frozenset(loaded)


def loaded_lists(
    resources: Resources, tenant_id: UUID | None = None
) -> list[tuple[ListVersion, Freshness]]:
    """Return the version in force of every list that the tenant may use, by name."""
    with resources.db.transaction() as tx:
        return list(citing.in_force(tx, resources.settings, tenant_id))


def plan(
    resources: Resources,
    *,
    tenant_id: UUID,
    created_by: str,
    items: Sequence[NewItem],
    threshold: float = DEFAULT_THRESHOLD,
    labels: Mapping[str, str] | None = None,
    wanted: Mapping[str, Any] | None = None,
    interactive: bool = False,
    allowed_seconds: float | None = None,
) -> NewJob:
    """Return a screening job against the list versions that are current now.

    `wanted` holds `lists`, `search_type` and `topics`, where the request says them for every
    entity that does not.
    """
    loaded = loaded_lists(resources, tenant_id)
    return NewJob(
        tenant_id=tenant_id,
        kind=NAME,
        dialect=NAME,
        queue=INTERACTIVE if interactive else SCREENING,
        chunk_size=resources.settings.chunk_size,
        options={
            "threshold": threshold,
            "lists": citing.cite(loaded),
            **({"wanted": dict(wanted)} if wanted else {}),
            **({"warnings": warnings} if (warnings := citing.warnings(loaded)) else {}),
        },
        items=items,
        created_by=created_by,
        labels=labels or {},
        allowed_seconds=allowed_seconds,
        # Measured in one process.
        calibrated_seconds=sum(version.seconds_per_entity for version, _ in loaded)
        / resources.settings.worker_processes,
    )


def renew(resources: Resources, job: Job) -> Renewal:
    """A retry searches the lists that are in force today."""
    today = plan(resources, tenant_id=job.tenant_id, created_by=job.created_by, items=())
    options = {name: today.options.get(name, []) for name in ("lists", "warnings")}
    return options, today.calibrated_seconds


def prepare(resources: Resources, job: Job) -> Process:
    # Here and not above: the web plans jobs with this module and never loads an index.
    from app.screening.resident import open_index

    lists: Mapping[str, Mapping[str, Any]] = job.options["lists"]
    if not lists:
        raise JobError(NO_LISTS_LOADED, "No watchlist data is loaded on this server.")
    threshold = float(job.options["threshold"])
    said: Mapping[str, Any] = job.options.get("wanted", {})
    topics = frozenset(said.get("topics", ()))
    stale = {each["list_name"] for each in job.options.get("warnings", ())}
    # Monitoring compares all there are.
    shown = int(job.options.get("shown_matches", SHOWN_MATCHES))
    opened: dict[str, Index] = {}

    def index(name: str) -> Index:
        if name not in opened:
            version_id = int(lists[name]["id"])
            opened[name] = open_index(resources.db, resources.settings.index_dir, version_id)
        return opened[name]

    # Opened before the first entity: building one may take longer than a batch should. Lists that
    # only single entities name are opened when one of them comes.
    for name in said.get("lists") or lists:
        if name in lists and (not topics or topics.intersection(lists[name]["covers"])):
            index(name)

    def process(items: Sequence[Item]) -> Sequence[Result]:
        results: list[Result] = []
        together: dict[tuple[tuple[str, ...], str], list[Item]] = defaultdict(list)
        screened: list[_Screened] = []
        for item in items:
            asked = _asked(item, lists, said)
            if isinstance(asked, Result):
                results.append(asked)
            else:
                together[asked].append(item)
        for (wanted, search), group in together.items():
            subjects = [read_subject(item.payload["subject"]) for item in group]
            found: list[list[tuple[str, Match]]] = [[] for _ in group]
            for name in wanted:
                for matches, more in zip(
                    found, index(name).screen(subjects, threshold, search), strict=True
                ):
                    matches += [
                        (name, match)
                        for match in more
                        if not topics or topics & set(match.entry.topics or lists[name]["topics"])
                    ]
            versions = {name: lists[name]["version"] for name in wanted}
            screened += [
                (item, matches, versions) for item, matches in zip(group, found, strict=True)
            ]
        decisions = _decisions(resources, job, screened)
        results += [
            _result(item, matches, versions, decisions, stale, lists, shown)
            for item, matches, versions in screened
        ]
        return results

    return process


def _asked(
    item: Item, lists: Mapping[str, Mapping[str, Any]], said: Mapping[str, Any]
) -> tuple[tuple[str, ...], str] | Result:
    """Return the lists to search for the entity and how, or its result if they cannot be.

    What the entity says goes before what the request says for all.
    """
    if "invalid" in item.payload:
        return Result.failure(item, INVALID_ENTITY, item.payload["invalid"])
    # Once each: a list named twice must not count its matches twice.
    wanted = tuple(dict.fromkeys(item.payload.get("lists") or said.get("lists") or lists))
    missing = [name for name in wanted if name not in lists]
    if missing:
        message = f"List {', '.join(missing)} is not loaded."
        return Result.failure(item, LIST_UNAVAILABLE, message)
    if topics := frozenset(said.get("topics", ())):
        uncovered = sorted(topics.difference(*(lists[name]["covers"] for name in wanted)))
        if uncovered:
            # Nobody looked for it: that must not read as "nothing was found".
            message = f"No list that was asked for covers the topic {', '.join(uncovered)}."
            return Result.failure(item, LIST_UNAVAILABLE, message)
        wanted = tuple(name for name in wanted if topics.intersection(lists[name]["covers"]))
    search = item.payload.get("search_type") or said.get("search_type") or DEFAULT_SEARCH
    return wanted, search


def _decisions(
    resources: Resources, job: Job, screened: Sequence[_Screened]
) -> Mapping[Key, Exclusion]:
    """Return what the tenant's reviewers decided about those that have a match."""
    matched = {item.ref for item, matches, _ in screened if item.ref and matches}
    if not matched:
        return {}
    with resources.db.transaction() as tx:
        return exclusions.in_force(tx, job.tenant_id, matched)


def _result(
    item: Item,
    matches: list[tuple[str, Match]],
    versions: Mapping[str, str],
    decisions: Mapping[Key, Exclusion],
    stale: Collection[str],
    lists: Mapping[str, Mapping[str, Any]],
    shown: int,
) -> Result:
    # Each list comes ranked, its equals by how closely they are spelt: a stable sort keeps that.
    matches.sort(key=lambda found: -found[1].score)
    judged = [(name, m, _judged(item, name, m, decisions)) for name, m in matches]
    # What a reviewer has ruled out is shown, behind everything that counts.
    counting = [each for each in judged if not each[2].get("suppressed")]
    ruled_out = [each for each in judged if each[2].get("suppressed")]
    detail: dict[str, Any] = {
        "is_match": bool(counting),
        "match_count": len(counting),
        "matches": [
            {**_shown(name, versions[name], match), **judgement}
            for name, match, judgement in _kept(counting, ruled_out, lists, shown)
        ],
        "list_versions": versions,
        "engine_version": ENGINE_VERSION,
    }
    if ruled_out:
        detail["suppressed_count"] = len(ruled_out)
    if old := [name for name in versions if name in stale]:
        detail["stale_lists"] = old
    if len(judged) > shown:
        # What is not shown cannot be counted by whoever asks list by list.
        counts = Counter(name for name, *_ in counting)
        detail["match_counts"] = {name: counts[name] for name in versions}
    return Result.success(item, detail, matches=len(counting))


def _kept(
    counting: Sequence[_Judged],
    ruled_out: Sequence[_Judged],
    lists: Mapping[str, Mapping[str, Any]],
    shown: int,
) -> Sequence[_Judged]:
    """Return the matches to be shown. Both come ranked.

    The best of each list and topic is among them: a hundred politicians of the same name must not
    hide that somebody is under sanctions.
    """
    if len(counting) > shown:
        first: dict[tuple[str, str], int] = {}
        for place, (name, match, _) in enumerate(counting):
            for topic in match.entry.topics or lists[name]["topics"] or ("",):
                first.setdefault((name, topic), place)
        heads = sorted(set(first.values()))[:shown]
        kept = set(heads)
        others = [place for place in range(len(counting)) if place not in kept]
        places = sorted(heads + others[: shown - len(heads)])
        counting = [counting[place] for place in places]
    return [*counting, *ruled_out][:shown]


def _judged(
    item: Item, name: str, match: Match, decisions: Mapping[Key, Exclusion]
) -> dict[str, Any]:
    """Return what a reviewer's decision adds to a match as it is shown."""
    decision = decisions.get((item.ref or "", name, match.entry.id))
    if decision is None:
        return {}
    if not decision.still_fits(item.payload["subject"], match.entry):
        return {"lapsed_exclusion_id": str(decision.id)}
    ruled_out = decision.decision == FALSE_POSITIVE
    return {
        **({"suppressed": True} if ruled_out else {}),
        "exclusion_id": str(decision.id),
        "decision": decision.decision,
    }


def _shown(name: str, version: str, match: Match) -> dict[str, Any]:
    """A match as it is stored and shown: enough for an auditor to see why, years later."""
    entry = match.entry
    calculation = match.calculation()
    return {
        "list_name": name,
        "list_version": version,
        "confidence_score": round(match.score, 4),
        "match_type": match.match_type,
        "matched_name": match.matched_name,
        "matched_fields": list(match.matched_fields),
        "explanations": {name: round(value, 4) for name, value in match.explanations.items()},
        "matched_words": kyc_explained.words(calculation),
        "calculation": kyc_explained.calculation(match, calculation),
        "match_data": {
            "id": entry.id,
            "name": entry.name,
            "aliases": list(entry.aliases + entry.weak_aliases),
            "entity_type": _TYPE_WORDS[entry.entity_type],
            "nationality": entry.countries[0] if entry.countries else None,
            "birth_date": entry.birth_dates[0] if entry.birth_dates else None,
            "identifiers": [{"type": i.type, "value": i.value} for i in entry.identifiers],
            "programs": list(entry.programs),
            "topics": list(entry.topics),
            "source_url": entry.source_url,
        },
    }


def read_subject(fields: Mapping[str, Any]) -> Subject:
    """Return whom the fields of a `subject` describe, as the engine has it."""
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


def load(resources: Resources) -> None:
    """Load the loops that long lists are compared by, where this machine has such a list."""
    from app.screening.resident import load_loops

    load_loops(resources.settings.index_dir)


def warm(resources: Resources) -> None:
    """Open the current lists, building the index of those that have none on this machine."""
    from app.screening.resident import open_index

    for version, _ in loaded_lists(resources):
        try:
            open_index(resources.db, resources.settings.index_dir, version.id)
        except IndexNotReady as error:
            # Jobs wait for it. The other lists need not.
            log.warning("index.not_ready", extra={"list": version.name, "code": error.code})


KIND = Kind(
    name=NAME,
    prepare=prepare,
    queues=frozenset({SCREENING, INTERACTIVE}),
    batch_size=_BATCH,
    load=load,
    warm=warm,
    renew=renew,
)

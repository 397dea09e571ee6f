"""Runs of verifications: the entity and each of its stakeholders against every source there is.

An item's payload is that of kind `kyc`, with `stakeholder_id` beside the subject. The job's options
hold `lists` and `threshold` as those of `kyc` do. Sources are the lists of the built-in engine, and
the providers of MUSTER_SCREENING_PROVIDERS; a source that fails for one subject is noted with that
subject. Only when none answers for a subject does the whole run rest, and try it again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Any

from app.db import Cursor
from app.errors import IndexNotReady, JobError, Misconfigured, RateLimited, Unavailable
from app.jobs.dispatch import SCREENING, VERIFICATIONS
from app.jobs.model import Item, Job, Result
from app.kinds import kyc
from app.kinds.base import Kind, Process
from app.providers.backoff import later
from app.resources import Resources
from app.verifications import store
from app.verifications.conclusion import conclude
from app.verifications.findings import (
    PASSING,
    Answer,
    Checked,
    Hit,
    category_of,
    has_answer,
    put_together,
)
from app.verifications.model import KIND as NAME
from app.verifications.providers import config as configs

log = logging.getLogger(__name__)

NO_SOURCES = "no_sources"

#: Seconds of the first and the second rest; there is no third. Whoever wants to be left alone for
#: longer is, up to the bound.
BACK_OFF = (2.0, 8.0)
_LONGEST_REST = 3600.0

#: Of the claim on a chunk, what the sources of one subject may use; the rest is for saving it.
_SHARE_OF_CLAIM = 0.8


#: What a reviewer's decision adds to a match -> what dialect B calls it.
_DECIDED: Mapping[str, str] = {
    "exclusion_id": "exclusionId",
    "decision": "decision",
    "lapsed_exclusion_id": "lapsedExclusionId",
}

#: Looks at a gate whose holders come and go.
_TRIES = 5


def prepare(resources: Resources, job: Job) -> Process:
    settings = resources.settings
    lists: Mapping[str, Mapping[str, Any]] = job.options["lists"]
    good, broken = configs.read_each(settings.screening_providers)
    asked = [replace(each, name=configs.apart(each.name, lists)) for each in good]
    for each in broken:
        log.error(
            "provider.misconfigured",
            extra={"provider": each.named.name, "problem": each.problem},
        )
    built_in = configs.uses_built_in(settings.screening_providers)
    engine = _BuiltIn.of(resources, job) if built_in and lists else None
    if engine is None and not asked and not broken:
        raise JobError(
            NO_SOURCES, "No watchlist is loaded on this server, and no provider is configured."
        )
    with resources.db.transaction() as tx:
        rested = store.rests_before(tx, job.id, job.pass_no)
    seconds = settings.claim_seconds * _SHARE_OF_CLAIM

    unable = [_unable(each, lists) for each in broken]

    def process(items: Sequence[Item]) -> Sequence[Result]:
        results: list[Result] = []
        for item in items:
            answers = [*_ask(engine, asked, item, seconds), *unable]
            found = put_together(answers)
            if not has_answer(found) and rested < len(BACK_OFF):
                wait = _wait(answers)
                if wait is not None:
                    with resources.db.transaction() as tx:
                        store.count_rest(tx, job.id, job.pass_no)
                    rest = max(BACK_OFF[rested], min(wait, _LONGEST_REST))
                    raise RateLimited(later(rest), "No source answered for a subject.")
            results.append(Result.success(item, found, matches=found["totalHits"]))
        return results

    return process


def _unable(broken: configs.Broken, lists: Mapping[str, Any]) -> Answer:
    """Return what is said of a provider that is set up wrongly; how is for the operator alone."""
    named = broken.named
    return Answer(
        [
            Checked(
                source=configs.apart(named.name, lists),
                source_name=named.title,
                category=named.category,
                provider=named.kind,
                error_code=Misconfigured.code,
                error_message=f"{named.title} could not be asked: it is set up wrongly here.",
                attempts=0,
            )
        ]
    )


def _wait(answers: Sequence[Answer]) -> float | None:
    """Return the seconds until the first of the sources may be asked again, or None if none may."""
    return min(
        (
            each.retry_after
            for answer in answers
            for each in answer.checked
            if each.error_code in PASSING
        ),
        default=None,
    )


def _ask(
    engine: _BuiltIn | None,
    asked: Sequence[configs.ProviderConfig],
    item: Item,
    seconds: float,
) -> list[Answer]:
    """Ask every source about one subject, those of other servers all at once."""
    subject = item.payload["subject"]
    if not asked:
        return [engine.check(item)] if engine else []
    # Here and not above: the web plans runs with this module and never calls a provider.
    from app.verifications.providers.remote import remote

    with ThreadPoolExecutor(len(asked)) as pool:
        # Each in a context of its own, so that its log lines name the job.
        calls = [
            pool.submit(copy_context().run, remote(each).check, subject, seconds) for each in asked
        ]
        here = [engine.check(item)] if engine else []
        return here + [call.result() for call in calls]


@dataclass(frozen=True, slots=True)
class _BuiltIn:
    """The engine of this server. Each of its lists is a source of its own."""

    process: Process
    lists: Mapping[str, Mapping[str, Any]]
    #: Of the lists that were late at the dispatch.
    warnings: Sequence[Mapping[str, str]]

    @classmethod
    def of(cls, resources: Resources, job: Job) -> _BuiltIn:
        warnings = job.options.get("warnings", ())
        return cls(kyc.prepare(resources, job), job.options["lists"], warnings)

    def check(self, item: Item) -> Answer:
        began = time.monotonic()
        try:
            result = self.process([item])[0]
        except (JobError, IndexNotReady, Unavailable):
            # Of no one subject: the machinery knows what to do.
            raise
        except Exception as error:
            # A bug of ours must not keep the other sources' answers from being kept.
            log.error("item.failed", exc_info=error, extra={"position": item.position})
            message = "The list could not be searched because of an error on our side."
            return self._answer(0, error=("internal_error", message))
        took = round(1000 * (time.monotonic() - began))
        if result.detail is None:
            return self._answer(took, error=(str(result.error_code), str(result.error_message)))
        matches = result.detail["matches"]
        counting = [match for match in matches if not match.get("suppressed")]
        suppressed = [self._hit(match) for match in matches if match.get("suppressed")]
        return replace(
            self._answer(took, suppressed, engine_version=result.detail["engine_version"]),
            hits=[self._hit(match) for match in counting],
            counts=result.detail.get("match_counts", {}),
        )

    def _answer(
        self,
        took: int,
        suppressed: Sequence[Hit] = (),
        *,
        engine_version: str | None = None,
        error: tuple[str | None, str | None] = (None, None),
    ) -> Answer:
        code, message = error
        return Answer(
            [
                Checked(
                    source=name,
                    source_name=each["title"],
                    category=category_of(each["topics"]),
                    provider=configs.BUILT_IN,
                    version=each["version"],
                    records=each["records"],
                    error_code=code,
                    error_message=message,
                    duration_ms=took,
                    suppressed=[hit for hit in suppressed if hit.source == name],
                    engine_version=engine_version,
                    warnings=[
                        {"code": each["code"], "message": each["message"]}
                        for each in self.warnings
                        if each["list_name"] == name
                    ],
                )
                for name, each in self.lists.items()
            ]
        )

    def _hit(self, match: Mapping[str, Any]) -> Hit:
        entry = match["match_data"]
        return Hit(
            source=match["list_name"],
            category=category_of(entry["topics"] or self.lists[match["list_name"]]["topics"]),
            id=entry["id"],
            name=entry["name"],
            score=match["confidence_score"],
            more={
                "aliases": entry["aliases"],
                "dateOfBirth": entry["birth_date"],
                "matchedOn": match["matched_fields"],
                "matchedName": match["matched_name"],
                "nationality": entry["nationality"],
                "identifiers": entry["identifiers"],
                "programs": entry["programs"],
                "topics": entry["topics"],
                "url": entry["source_url"],
                "explanations": match["explanations"],
                "calculation": match["calculation"],
                # What a reviewer has decided about it, if one has.
                **{
                    shown: match[name]
                    for name, shown in _DECIDED.items()
                    if match.get(name) is not None
                },
            },
        )


def admit(tx: Cursor, job: Job) -> bool:
    """Count the attempt, and take the gate for a run that has not got it yet."""
    store.count_attempt(tx, job.id, job.pass_no)
    for _ in range(_TRIES):
        if store.take_gate(tx, job.id):
            return True
        if store.note_conflict(tx, job.id) is not None:
            return False
        # Whoever held it has ended between the two looks.
    store.note_conflict(tx, job.id, even_ended=True)
    return False


KIND = Kind(
    name=NAME,
    prepare=prepare,
    queues=frozenset({VERIFICATIONS, SCREENING}),
    batch_size=1,
    load=kyc.load,
    warm=kyc.warm,
    admit=admit,
    conclude=conclude,
)

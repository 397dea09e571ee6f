"""The record of a verification as one HTML page: no script, no picture, nothing from elsewhere.

It prints, and holds the whole record as JSON at its end, for whoever wants to check the digests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from app.verifications.subjects import name_of

_STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 64rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; border-bottom: 1px solid #bbb; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem;
         border-bottom: 1px solid #ddd; overflow-wrap: anywhere; }
th { font-weight: 600; background: #f4f4f4; }
code, pre { font: 12px/1.4 ui-monospace, monospace; overflow-wrap: anywhere;
            white-space: pre-wrap; }
.bad { color: #a00; font-weight: 600; } .good { color: #060; font-weight: 600; }
@media print { body { margin: 0; max-width: none; } details { display: none; } }
""".strip()


def render(record: Mapping[str, Any]) -> str:
    """Return the page. Everything that anybody has said is escaped."""
    verification = record["verification"]
    names = {None: "the entity itself"} | {
        each["stakeholderId"]: f"stakeholder {each['stakeholderId']}"
        for each in verification["stakeholders"]
    }
    title = f"Verification {verification['trace']}"
    intact = (
        '<p class="good">The chain of the audit is intact, and covers every screening.</p>'
        if record["isIntact"]
        else '<p class="bad">The chain of the audit is broken: something was changed.</p>'
    )
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>Record of {escape(str(record['generatedAt']))}, by"
        f" {escape(record['software']['name'])} {escape(record['software']['version'])},"
        f" engine version {escape(record['software']['engineVersion'])}.</p>",
        intact,
        "<h2>Who is verified</h2>",
        _pairs(
            {
                "Trace": verification["trace"],
                "User id": verification["userId"],
                "Created": verification["createdAt"],
                "Last screened": verification["screenedAt"],
                **verification["entity"],
            }
        ),
        "<h2>Stakeholders</h2>",
        _table(
            ("id", "role", "name", "type", "born", "all that was sent"),
            [_stakeholder(each) for each in verification["stakeholders"]],
        ),
        "<h2>Risk</h2>",
        *_risk(verification["idvRisk"], names),
        "<h2>Runs</h2>",
        _table(
            ("job", "asked for by", "requested", "completed", "state", "attempts", "remark"),
            [_run(each) for each in record["runs"]],
        ),
        "<h2>Screenings</h2>",
        *(_screening(each, names) for each in record["screenings"]),
        "<h2>Audit</h2>",
        _table(("entry", "digest"), [(each["text"], each["digest"]) for each in record["audit"]]),
        "<h2>How to check this record</h2>",
        f"<p>{escape(record['howToCheck'])}</p>",
        "<h2>Rules of the risk</h2>",
        _pairs(record["riskRules"]),
        "<details><summary>The whole record as JSON</summary>",
        f"<pre>{escape(json.dumps(record, ensure_ascii=False, indent=1))}</pre></details>",
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _stakeholder(stakeholder: Mapping[str, Any]) -> tuple[Any, ...]:
    entity = stakeholder["entity"]
    return (
        *(stakeholder["stakeholderId"], stakeholder["role"], name_of(entity)),
        *(entity.get("type"), entity.get("dateOfBirth"), entity),
    )


def _risk(risk: Mapping[str, Any], names: Mapping[str | None, str]) -> list[str]:
    known = {name: value for name, value in risk.items() if name != "reasons"}
    reasons = [
        (
            *(names.get(each["stakeholderId"], each["stakeholderId"]), each["category"]),
            *(each["source"], each["recordId"], each["score"], each["points"]),
        )
        for each in risk.get("reasons", ())
    ]
    head = ("worst hit of", "category", "source", "entry", "score", "points")
    return [_pairs(known), _table(head, reasons)]


def _run(run: Mapping[str, Any]) -> tuple[Any, ...]:
    by = ", ".join(
        str(each) for each in (run["sourceAction"], run["sourceUid"], run["sourceEmail"]) if each
    )
    lost = run["conflictingJobId"] and f"held up by {run['conflictingJobId']}"
    return (
        *(run["jobId"], by, run["requestedAt"], run["completedAt"], run["state"]),
        *(run["attemptCount"], run["errorSummary"] or lost or ""),
    )


def _screening(screening: Mapping[str, Any], names: Mapping[str | None, str]) -> str:
    whose = names.get(screening["stakeholderId"], f"stakeholder {screening['stakeholderId']}")
    parts = [
        f"<h3>{escape(str(screening['screeningId']))}: {escape(whose)},"
        f" {escape(str(screening['screenedAt']))}</h3>",
        _pairs(
            {
                "Looked for": screening["subject"],
                "Job": screening["jobId"],
                "Hits": screening["totalHits"],
                "Every source answered": "yes" if screening["isComplete"] else "no",
            }
        ),
        _table(
            ("source", "name", "category", "version", "entries", "status"),
            [
                (
                    *(each["source"], each["sourceName"], each["category"], each["version"]),
                    *(each["records"], _status(each)),
                )
                for each in screening["sourcesChecked"]
            ],
        ),
    ]
    for source in screening["matchedSources"]:
        parts.append(
            _table(
                (f"hit on {source['source']}", "id", "score", "matched on", "aliases"),
                [
                    (
                        *(each["name"], each["id"], each["score"]),
                        *(each.get("matchedOn"), each.get("aliases")),
                    )
                    for each in source["records"]
                ],
            )
        )
    return "\n".join(parts)


def _status(checked: Mapping[str, Any]) -> str:
    failed = checked.get("error")
    return f"{checked['status']}: {failed['code']}, {failed['message']}" if failed else "ok"


def _pairs(values: Mapping[str, Any]) -> str:
    rows = [
        f"<tr><th>{escape(name)}</th><td>{_cell(each)}</td></tr>"
        for name, each in values.items()
        if each is not None
    ]
    return f"<table>{''.join(rows)}</table>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    shown = ["<tr>" + "".join(f"<td>{_cell(each)}</td>" for each in row) + "</tr>" for row in rows]
    if not shown:
        return "<p>None.</p>"
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    return f"<table><tr>{head}</tr>{''.join(shown)}</table>"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping | list | tuple):
        return f"<code>{escape(json.dumps(value, ensure_ascii=False))}</code>"
    return escape(str(value))

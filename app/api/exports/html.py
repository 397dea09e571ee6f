"""The report as one HTML page: no script, no address, nothing to load."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from app.api.exports.report import Found, Line

_STYLE = (
    "body{font:14px/1.4 system-ui,sans-serif;margin:2em;color:#111}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:.3em .6em;border-bottom:1px solid #ddd}"
    "tr.match td{background:#fff3f0}tr.found td{padding-left:2em;font-size:13px}"
    "tr.suppressed td{color:#777}dt{font-weight:600;float:left;width:12em}dd{margin-left:13em}"
    "thead th{position:sticky;top:0;background:#fff}"
)


def page(title: str, facts: Sequence[tuple[str, str]], lines: Iterable[Line]) -> Iterator[str]:
    """Yield the page piece by piece."""
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1><dl>"
    )
    yield "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    yield (
        "</dl><table><thead><tr><th>No.</th><th>Entity</th><th>Asked about</th><th>Outcome</th>"
        "</tr></thead><tbody>"
    )
    for line in lines:
        yield _line(line)
    yield "</tbody></table></body></html>"


def _line(line: Line) -> str:
    kind = ' class="match"' if line.is_match else ""
    cells = (str(line.number), line.entity_id, line.subject, line.outcome)
    row = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    text = f"<tr{kind}>{row}</tr>" + "".join(_found(match) for match in line.matches)
    if line.not_shown > 0:
        text += f'<tr class="found"><td colspan="4">and {line.not_shown:,} more</td></tr>'
    return text


def _found(match: Found) -> str:
    kind = "found suppressed" if match.is_suppressed else "found"
    ruled_out = " (ruled out by a reviewer)" if match.is_suppressed else ""
    return (
        f'<tr class="{kind}"><td>{match.score:.2f}</td>'
        f"<td>{escape(match.list_name)} {escape(match.list_version)}</td>"
        f"<td>{escape(match.matched_name)}{ruled_out}</td>"
        f"<td>{escape(match.entry)}<br>{escape(match.details)}</td></tr>"
    )
